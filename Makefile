# The habits of a contributor. `make` alone prepares .venv and runs the quick tests.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quick test lint format docs bench clean

quick: .venv/installed
	$(BIN)/pytest -n 2 -m "not slow"

test: .venv/installed
	$(BIN)/pytest -n 2

lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: .venv/installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: .venv/installed
	$(BIN)/pip install -q -e ".[docs]"
	$(BIN)/sphinx-build -W -b html docs docs/_build/html

bench: .venv/installed
	$(BIN)/python examples/benchmarks/bench_training.py

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -e ".[test,lint]"
	touch $@

clean:
	rm -rf .venv build dist docs/_build .pytest_cache .ruff_cache
