"""The documentation: what it shows runs, and what can be chosen by name is in it."""

import doctest
import re
import runpy
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skregnet import RegularizedMLPRegressor
from skregnet.functions.activations import ACTIVATIONS
from skregnet.functions.initializers import INITIALIZERS
from skregnet.functions.losses import REGRESSION_LOSSES
from skregnet.functions.schedules import SCHEDULES
from skregnet.interop.plain_network import plain_network
from skregnet.network import Network
from skregnet.network.jacobian import linearize
from skregnet.network.layers import Activation, Dense
from skregnet.optim import FULL_BATCH_SOLVERS, STOCHASTIC_OPTIMIZERS
from skregnet.uncertainty import mc_moments

# Pages show the defaults that users get.
pytestmark = pytest.mark.user_defaults

DOCS = Path(__file__).parent.parent / "docs"
WRITTEN = [
    path
    for path in sorted(DOCS.rglob("*.rst"))
    if not {"_build", "_templates", "auto_examples", "generated"} & {*path.relative_to(DOCS).parts}
]
WITH_EXAMPLES = [path for path in WRITTEN if ">>>" in path.read_text(encoding="utf-8")]
README = (DOCS.parent / "README.md").read_text(encoding="utf-8")
# Each library is a process, and its import takes longest: a few, one of them perhaps missing.
LIMITS = {
    "bench_checks": ["--only", "skregnet", "skorch"],
    "bench_training": ["--peers", "sklearn", "jax", "floor"],
}
BENCHMARKS = sorted((DOCS.parent / "examples" / "benchmarks").glob("bench_*.py"))
SOLVERS = [*STOCHASTIC_OPTIMIZERS, *FULL_BATCH_SOLVERS]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.slow
def test_page_shows_what_happens(path, monkeypatch):
    monkeypatch.chdir(DOCS.parent)  # pages read files of the repository
    if "sklearn.callback" in path.read_text(encoding="utf-8"):
        pytest.importorskip("sklearn.callback", reason="needs scikit-learn 1.9")
    # Some pages switch warnings off for themselves.
    with warnings.catch_warnings():
        failed, attempted = doctest.testfile(
            str(path),
            module_relative=False,
            optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
            encoding="utf-8",
        )
    assert attempted > 0
    assert failed == 0


@pytest.mark.parametrize(
    "path", sorted((DOCS / "snippets").glob("*.py")), ids=lambda path: path.stem
)
def test_snippet_runs_and_trains(path):
    text = (DOCS / "extending.rst").read_text(encoding="utf-8")
    assert f"literalinclude:: snippets/{path.name}" in text
    made = runpy.run_path(str(path))
    # An estimator, or what the loop of training was given.
    losses = made["model"].loss_curve_ if "model" in made else made["monitor"].history.curve("loss")
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("solver", ["sgd", "adamw", "lbfgs"])
def test_penalty_of_the_page_is_a_part_of_the_loss(solver):
    penalty = runpy.run_path(str(DOCS / "snippets" / "penalty.py"))["WeightElimination"](0.5)
    X = np.random.default_rng(0).normal(size=(40, 2))
    losses = []
    for strength in (0.0, 1.0, 3.0):
        model = RegularizedMLPRegressor(
            (4,),
            solver=solver,
            learning_rate="constant",
            alpha=strength,
            penalty=penalty,
            max_iter=1,
            random_state=0,
        )
        with pytest.warns(ConvergenceWarning):
            losses.append(model.fit(X, X[:, 0]).loss_curve_[0])
        assert clone(model).penalty == penalty
    if solver == "lbfgs":
        assert losses == sorted(losses)
    else:  # the first epoch starts with the same weights: its loss grows with the strength
        assert losses[2] - losses[0] == pytest.approx(3 * (losses[1] - losses[0]), rel=0.2)
        assert losses[1] > losses[0]


def test_activation_of_the_page_may_be_set_anew_between_fits():
    snake = runpy.run_path(str(DOCS / "snippets" / "activation.py"))["Snake"]
    X = np.random.default_rng(0).normal(size=(40, 2))
    model = RegularizedMLPRegressor((4,), snake(), solver="lbfgs", warm_start=True, random_state=0)
    loss = model.set_params(max_iter=1000).fit(X, X[:, 0]).loss_
    assert model.set_params(activation=snake()).fit(X, X[:, 0]).loss_ <= loss


@pytest.fixture(scope="module")
def gates():
    return runpy.run_path(str(DOCS / "snippets" / "layer.py"))["Gates"]


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("n_members", [1, 2])
def test_layer_of_the_page_stands_anywhere(gates, place, n_members):
    layers = [Dense(3, 3), Activation(3, ACTIVATIONS["tanh"]), Dense(3, 3)]
    layers.insert(place, gates(3))
    network = Network.of_zeros(layers, n_members)
    rng = np.random.default_rng(0)
    network.params[...] = rng.normal(size=network.params.shape)
    x = rng.normal(size=(5, 3))
    raw = network.infer(x)
    for member in range(n_members):
        out, pull_back = linearize(network, member, x)
        np.testing.assert_allclose(out, raw[member], rtol=1e-12)
        assert pull_back(np.ones_like(out)).shape == x.shape
    plain = plain_network(network.member(0), "tanh")
    hidden = np.tanh(x @ plain.coefs[0] + plain.intercepts[0])
    np.testing.assert_allclose(hidden @ plain.coefs[1] + plain.intercepts[1], raw[0], rtol=1e-10)
    mean, _ = mc_moments(network, x, 3, rng)
    np.testing.assert_allclose(mean, raw.mean(axis=0), rtol=1e-12)


def test_layer_of_the_page_refuses_sparse_rows(gates):
    with pytest.raises(TypeError):
        Network.of_zeros([gates(3), Dense(3, 1)]).infer(csr_array(np.eye(3)))


def test_transform_of_the_page_averages_with_its_decay():
    made = runpy.run_path(str(DOCS / "snippets" / "transform.py"))
    network = made["network"].select(slice(None))
    average = network.select(slice(None))
    network.params[...], average.params[...] = 1.0, 0.0
    transform = made["AverageWeights"](average, decay=0.5)
    move = transform.prepare(network, None, None, None)
    move()
    move()
    np.testing.assert_array_equal(average.params, 0.75)
    np.testing.assert_array_equal(network.params, 1.0)


@pytest.mark.parametrize("name", [*ACTIVATIONS, *INITIALIZERS, *SOLVERS, *SCHEDULES])
def test_choice_is_on_the_page_of_solvers(name):
    assert f"``'{name}'``" in (DOCS / "user_guide" / "solvers.rst").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", REGRESSION_LOSSES)
def test_choice_is_on_the_page_of_losses(name):
    assert f"``'{name}'``" in (DOCS / "user_guide" / "losses.rst").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_page_of_solvers_tells_the_default_initialisation(name):
    text = (DOCS / "user_guide" / "solvers.rst").read_text(encoding="utf-8")
    rows = re.findall(r"\* - (``'.+)\n     - ``'(\w+)'``", text)
    told = [init for activations, init in rows if f"``'{name}'``" in activations]
    assert told == [ACTIVATIONS[name].default_init]


@pytest.mark.slow
@pytest.mark.parametrize("script", BENCHMARKS, ids=lambda path: path.stem)
def test_benchmark_runs(script, tmp_path, monkeypatch, capsys):
    report = tmp_path / "report.md"
    monkeypatch.syspath_prepend(str(script.parent))
    options = ["--quick", "--output", str(report), *LIMITS.get(script.stem, ())]
    monkeypatch.setattr(sys, "argv", [str(script), *options])
    runpy.run_path(str(script), run_name="__main__")
    text = report.read_text(encoding="utf-8")
    assert text == capsys.readouterr().out
    assert "---: |" in text  # the table has begun


@pytest.fixture
def benchmark_modules(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS.parent / "examples" / "benchmarks"))


@pytest.mark.usefixtures("benchmark_modules")
@pytest.mark.parametrize("name", ["skregnet", "MLP", "HGB"])
def test_estimators_of_the_comparison_are_asked(name):
    from comparison import load
    from comparison.checks import QUICK, run

    library, versions = load(name)
    assert versions
    assert run(library, quick=True) == dict.fromkeys(QUICK, "yes")


@pytest.mark.parametrize(
    "name",
    ["training", "scaling", "calibration", "tuning", "columns", "search", "accuracy", "intervals"],
)
@pytest.mark.slow
def test_report_is_made_from_the_raw_numbers(name, tmp_path, monkeypatch, capsys):
    script = {"accuracy": "tabular"}.get(name, name)
    script = DOCS.parent / "examples" / "benchmarks" / f"bench_{script}.py"
    numbers = DOCS / "benchmarks" / f"{name}.json"
    report = tmp_path / "report.md"
    monkeypatch.syspath_prepend(str(script.parent))
    options = ["--from-json", str(numbers), "--output", str(report)]
    monkeypatch.setattr(sys, "argv", [str(script), *options])
    runpy.run_path(str(script), run_name="__main__")
    shown = numbers.with_suffix(".md").read_text(encoding="utf-8")
    assert report.read_text(encoding="utf-8") == shown == capsys.readouterr().out
    assert report.with_suffix(".json").read_text(encoding="utf-8") == numbers.read_text("utf-8")
    if numbers.with_suffix(".png").exists():
        assert report.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.usefixtures("benchmark_modules")
def test_benchmarked_libraries_learn_alike_and_the_one_that_fails_is_left_out():
    from cases import Case
    from peers import PEERS
    from workers import alternate, load_case, start_workers

    # Compiling PyTorch takes long; those that are not installed are missing.
    names = [name for name in PEERS if name != "torch-compile"]
    with start_workers(names, 1) as (workers, about, missing):
        assert list(about) == list(workers)
        assert {"skregnet", "sklearn", "floor"} <= set(about)
        assert set(missing.values()) <= {"not installed"}
        some = {name: workers[name] for name in ("sklearn", "floor")}
        n_epochs, _, errors = load_case(some, Case((3,), 8, 20, 2, dropout=0.5))
        assert list(n_epochs) == ["floor"]
        assert "dropout" in errors["sklearn"]
        seconds = alternate(some, 3, "train", {"sklearn": 1, "floor": 1}, errors)
        assert list(seconds) == ["floor"]
        assert len(seconds["floor"]) == 3

        losses = []
        for name in set(workers) - {"floor"}:
            workers[name].ask("prepare", Case((20,), 16, 1_000, 4, learning_rate=0.002))
            workers[name].ask("train", 20)
            losses.append(workers[name].ask("loss"))
        assert max(losses) < 0.05  # the mean of y gives 0.5
        assert max(losses) < 1.5 * min(losses)


@pytest.mark.slow
def test_first_picture_shows_what_it_says():
    draw = runpy.run_path(str(DOCS / "images" / "draw.py"))
    X, y, X_test, y_test = draw["moons"]()
    # Each median of three starts instead of ten.
    medians = [
        np.median(draw["losses"](draw["fit_classifiers"](draw[name], X, y, 3), X_test, y_test))
        for name in ("PLAIN", "REGULARISED", "DEFAULTS")
    ]
    first_page = " ".join((DOCS / "index.rst").read_text(encoding="utf-8").split())
    for text in (" ".join(README.split()), first_page):
        told = re.search(r"from (0\.\d+) to (0\.\d+).*With the defaults, .* has (0\.\d+)", text)
        assert medians == pytest.approx([float(number) for number in told.groups()], rel=0.15)
    # What is said of them: the penalty and dropout help, and the defaults do not overfit.
    assert medians[1] < 0.6 * medians[0]
    assert medians[2] < 1.05 * medians[1]


@pytest.mark.filterwarnings("ignore:The predicted standard deviations may be")
def test_second_picture_shows_what_it_says():
    draw = runpy.run_path(str(DOCS / "images" / "draw.py"))
    model = RegularizedMLPRegressor(**{**draw["BANDS"], "max_iter": 200}, random_state=0)
    model.fit(*draw["curve_with_gap"]())
    low, high = model.predict_interval([[-3.0], [3.0], [0.0], [-6.0], [6.0]], method="model")
    at_points, in_gap = (high - low)[:2].mean(), (high - low)[2]
    assert in_gap > 1.15 * at_points
    assert (high - low)[3:].mean() > 1.4 * in_gap


GOOD_PAGE = '<a href="b.html#there">b</a><a href="https://example.org/x">x</a><h1 id="top"></h1>'


@pytest.mark.parametrize(
    ("html", "message"),
    [
        (GOOD_PAGE, None),
        ('<a href="b.html?x=1#there"></a><a href="#top"></a><p id="top"></p>', None),
        ('<a href="c.html"></a>', "no such file"),
        ('<img src="c.png" alt="c">', "no such file"),
        ('<a href="b.html#here"></a>', "no such anchor"),
        ('<a href="#here"></a>', "no such anchor"),
        ('<a href="../b.html"></a>', "outside the pages"),
        ('<a href="/b.html"></a>', "absolute"),
        ('<p id="top"></p><p id="top"></p>', "occurs twice"),
        ('<img src="data:,">', "no alternative text"),
    ],
)
def test_checker_of_pages(tmp_path, html, message):
    (tmp_path / "index.html").write_text(html, encoding="utf-8")
    (tmp_path / "b.html").write_text('<p id="there">ö</p>', encoding="utf-8")
    found = runpy.run_path(str(DOCS / "check_pages.py"))["faults"](tmp_path)
    assert len(found) == (message is not None)
    assert message is None or message in found[0]


def test_examples_are_in_order(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    from gallery_order import LectureOrder

    names = ["plot_mc_dropout.py", "plot_zoo.py", "plot_quickstart.py", "plot_alpha.py"]
    expected = ["plot_quickstart.py", "plot_mc_dropout.py", "plot_alpha.py", "plot_zoo.py"]
    assert sorted(names, key=LectureOrder("examples")) == expected


def test_formulas_become_mathml(monkeypatch):
    pytest.importorskip("docutils.utils.math", reason="needs docutils")
    pytest.importorskip("sphinx", reason="needs Sphinx")
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    from mathml import to_mathml

    half = re.sub(r"\s", "", to_mathml(r"\tfrac12 x", is_block=False))
    assert "<mn>1</mn><mn>2</mn></mfrac><mi>x</mi>" in half
    lines = to_mathml(r"a &= b \\ c &= d", is_block=True)
    assert 'displaystyle="true"' in lines
    assert lines.count("<mtr>") == 2


def test_index_counts_right():
    text = (DOCS / "index.rst").read_text(encoding="utf-8")
    assert (
        f"{len(ACTIVATIONS)} activations, {len(INITIALIZERS)} initialisations, "
        f"{len(SOLVERS)} solvers, {len(SCHEDULES)} learning-rate schedules"
    ) in text


def test_markdown_becomes_rst(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    monkeypatch.delitem(sys.modules, "markdown_include", raising=False)
    from markdown_include import to_rst

    markdown = """# Title

## [1.0]

- `a` in [b](https://example.org/)

| x | y |
|---|--:|
| 1 | 2 |
"""
    expected = """
1.0
---

- ``a`` in `b <https://example.org/>`__

.. list-table::
   :header-rows: 1

   * - x
     - y
   * - 1
     - 2
"""
    assert [line for line in to_rst(markdown).splitlines() if line] == [
        line for line in expected.splitlines() if line
    ]
