# The habits of a contributor. `make` alone prepares .venv and runs the quick tests.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: test-quick quick test test-validity lint format docs linkcheck images bench bench-accuracy clean

# Several threads wait for each other wherever the cores are busy, and the arrays here are small.
test-quick test test-validity docs linkcheck images: export OPENBLAS_NUM_THREADS ?= 1
test-quick test test-validity docs linkcheck images: export MKL_NUM_THREADS ?= 1
test-quick test test-validity docs linkcheck images: export OMP_NUM_THREADS ?= 1

test-quick: .venv/installed
	$(BIN)/pytest -q -n 2 -m "not slow"

quick: test-quick

test: .venv/installed
	$(BIN)/pytest -q -n 2

# Whether intervals and sets hold what they promise, over many random data sets.
test-validity: .venv/installed
	$(BIN)/pytest -q -n 2 -m validity

lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: .venv/installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: .venv/installed
	$(BIN)/pip install -q -e ".[docs]"
	$(BIN)/pytest -q tests/test_docstrings.py
	$(BIN)/sphinx-build -W -b html docs docs/_build/html
	$(BIN)/python docs/check_pages.py docs/_build/html

# The addresses of other sites; needs the network, and some sites refuse.
linkcheck: .venv/installed
	$(BIN)/pip install -q -e ".[docs]"
	$(BIN)/sphinx-build -b linkcheck -D plot_gallery=0 docs docs/_build/linkcheck

# Of README.md and of the first page.
images: .venv/installed
	$(BIN)/python docs/images/draw.py

# One after another, since each needs the machine for itself.
bench: .venv-bench/installed
	for script in $(filter-out %/bench_tabular.py,$(wildcard examples/benchmarks/bench_*.py)); do \
		name=$$(basename $$script .py); \
		.venv-bench/bin/python $$script --output docs/benchmarks/$${name#bench_}.md || exit 1; \
	done

# Hours; DATA is the folder of data sets that the script describes.
bench-accuracy: .venv-bench/installed
	.venv-bench/bin/pip install -q pytabkit catboost lightgbm pandas
	.venv-bench/bin/python examples/benchmarks/bench_tabular.py --data $(DATA) \
		--output docs/benchmarks/accuracy.md

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -e ".[test,lint]"
	touch $@

.venv-bench/installed: pyproject.toml
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install -q -e ".[benchmarks]"
	touch $@

clean:
	rm -rf .venv .venv-bench .venv-peers build dist docs/_build .pytest_cache .ruff_cache
