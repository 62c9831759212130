"""The annotations of the public interface, as mypy reads them in a user's program."""

import doctest
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import skregnet
from skregnet import _typing, inspection
from skregnet.functions.activations import ACTIVATIONS
from skregnet.functions.initializers import INITIALIZERS
from skregnet.functions.losses import REGRESSION_LOSSES
from skregnet.functions.penalties import PENALTIES
from skregnet.functions.schedules import SCHEDULES
from skregnet.optim import FULL_BATCH_SOLVERS, STOCHASTIC_OPTIMIZERS
from skregnet.preprocessing.scalers import SCALERS
from skregnet.uncertainty import (
    distributions,
    expected_calibration_error,
    gaussian_crps,
    length_scale_alpha,
)

ROOT = Path(__file__).parents[1]
# Of the other pages some unpack a dict of mixed values, and some use an attribute that is None or
# an array for other parameters: there mypy asks for a check.
PAGES = ("differences", "export", "inside", "normalisation", "solvers", "tables", "tuning")
# scikit-learn and SciPy are not typed, and a user's own functions need not be.
OPTIONS = (
    "--strict",
    "--allow-any-generics",
    "--allow-untyped-defs",
    "--allow-untyped-calls",
    "--disable-error-code=import-untyped",
    "--follow-imports=silent",
    f"--config-file={os.devnull}",
)

TYPED = """
# mypy: disallow-untyped-calls
from typing import Any, Literal, assert_type

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from skregnet import (
    MLPFeatures,
    RegularizedMLPClassifier,
    RegularizedMLPRegressor,
    WhiteningScaler,
)
from skregnet.functions.activations import ReLU
from skregnet.functions.losses import Huber
from skregnet.inspection import (
    CalibrationOfIntervalsDisplay,
    Diagnosis,
    LayerHistogramDisplay,
    TrainingCurveDisplay,
    UncertaintyBandDisplay,
    diagnose,
)
from skregnet.optim import Adam
from skregnet.uncertainty import (
    empirical_crps,
    expected_calibration_error,
    gaussian_crps,
    interval_score,
    interval_scorer,
    length_scale_alpha,
    set_coverage,
)

Floats = NDArray[np.floating[Any]]
X = np.ones((3, 2))
y = np.ones(3)
weights = {0: 1, 1: 2}

model = RegularizedMLPRegressor(
    (10, 5),
    ["tanh", ReLU()],
    loss=Huber(),
    dropout=[0.1, 0.2],
    n_iter_no_change=np.inf,
    scaler=make_pipeline(StandardScaler()),
    solver=Adam(),
    validation_fraction=TimeSeriesSplit(3),
)
RegularizedMLPRegressor(
    np.array([3, 4]), init=[X, X], scaler=WhiteningScaler(), categorical_features=["a", "b"]
)
RegularizedMLPRegressor(
    10,
    init=lambda shape, rng: rng.normal(size=shape),
    learning_rate=lambda step, n_steps: 1.0,
    validation_fraction=[(np.arange(3), np.arange(2))],
)
RegularizedMLPClassifier(class_weight=weights, verbose=True, scaler=QuantileTransformer())

assert_type(model.fit(X, y), RegularizedMLPRegressor)
assert_type(model.partial_fit(X, y), RegularizedMLPRegressor)
assert_type(model.set_params(max_iter=3), RegularizedMLPRegressor)
assert_type(model.set_fit_request(X_val=True), RegularizedMLPRegressor)
assert_type(model.predict(X), Floats)
assert_type(model.predict(X, return_std=True), tuple[Floats, Floats])
assert_type(model.predict(X, bool(y[0])), Floats | tuple[Floats, Floats])
assert_type(model.predict_interval(X, 0.9), tuple[Floats, Floats])
assert_type(model.sample_y(X, 3), Floats)
assert_type(model.score(X, y), float)
assert_type(model.max_iter, int | Literal["auto"])
assert_type(model.n_iter_, int)
assert_type(model.best_iter_, int | NDArray[np.int_])
assert_type(model.loss_curve_, list[float])
assert_type(model.validation_loss_curve_, list[float] | None)
assert_type(model.coefs_, list[Floats])
assert_type(model.y_scale_, NDArray[np.float64])
assert_type(model.network_.params, Floats)
model.fit(pd.DataFrame(X), pd.Series(y)).fit(csr_array(X), [1, 2, 3], sample_weight=y)
model.fit([["a", 1.0, None]], y).fit([[1, 2]], [1])

classifier = RegularizedMLPClassifier().fit(X, ["a", "b", "c"])
assert_type(classifier, RegularizedMLPClassifier)
assert_type(classifier.predict(X), NDArray[Any])
assert_type(classifier.predict_proba(X), Floats)
assert_type(classifier.decision_function(X), Floats)
assert_type(classifier.score(X, y), float)
assert_type(classifier.partial_fit(X, y, classes=[0, 1]), RegularizedMLPClassifier)
plain = classifier.to_sklearn()
assert_type(RegularizedMLPClassifier.from_sklearn(plain), RegularizedMLPClassifier)
assert_type(MLPFeatures(classifier).fit(X, y).transform(X), Floats)

assert_type(model.predict_mc(X).std, NDArray[np.float64])
assert_type(classifier.predict_mc(X).mutual_information, NDArray[np.float64])
assert_type(model.predict_mc(X).crps(y), NDArray[np.float64])
assert_type(gaussian_crps(y, y, y), NDArray[np.float64])
assert_type(empirical_crps(y, X), NDArray[np.float64])
assert_type(interval_score(y, *model.predict_interval(X), 0.9), float)
assert_type(interval_scorer(0.8, method="model")(model, X, y), float)
assert_type(set_coverage(y, X > 0), float)
RegularizedMLPRegressor(scoring=interval_scorer())
assert_type(expected_calibration_error(y, X), float)
assert_type(length_scale_alpha(1.0, 1), float)

assert_type(diagnose(classifier, X, y), Diagnosis)
display = TrainingCurveDisplay.from_estimator(classifier)
assert_type(display, TrainingCurveDisplay)
assert_type(display.plot().ax_, Axes)
assert_type(display.rate_ax_, Axes | None)
assert_type(display.figure_, Figure)
UncertaintyBandDisplay.from_estimator(model, X).line_.get_color()
CalibrationOfIntervalsDisplay.from_estimator(model, X, y).line_.get_color()
LayerHistogramDisplay.from_estimator(model, X, y, kind="gradients").lines_[0].get_color()
"""

# mypy reports the marked lines, and no others.
WRONG = """
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.inspection import LayerHistogramDisplay

RegularizedMLPRegressor(max_iter="3")  # wrong
RegularizedMLPRegressor(activation=3)  # wrong
RegularizedMLPRegressor(solver=None)  # wrong
RegularizedMLPRegressor(dtype="float16")  # wrong
RegularizedMLPRegressor(early_stopping="no")  # wrong
RegularizedMLPRegressor(scaler=3.0)  # wrong
RegularizedMLPRegressor(learning_rate=lambda step: 1.0)  # wrong
RegularizedMLPRegressor((10,), "relu", "huber")  # wrong
RegularizedMLPRegressor(dropuot=0.1)  # wrong
model = RegularizedMLPRegressor().fit([[1.0]], [1.0])
model.predict([[1.0]]).no_such  # wrong
model.predict([[1.0]], return_std=True).shape  # wrong
model.fit(object(), [1.0])  # wrong
model.n_iter_.no_such  # wrong
model.best_iter_.no_such  # wrong
RegularizedMLPClassifier().predict([[1.0]], return_std=True)  # wrong
LayerHistogramDisplay.from_estimator(model, [[1.0]], kind="weights")  # wrong
"""


def examples_of(path):
    found = doctest.DocTestParser().get_examples(path.read_text(encoding="utf-8"))
    return "".join(example.source for example in found)


def programs():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    yield "readme", re.findall(r"```python\n(.*?)```", readme, re.DOTALL)[0]
    yield "first_page", examples_of(ROOT / "docs" / "index.rst")
    yield "quickstart", (ROOT / "examples" / "plot_quickstart.py").read_text(encoding="utf-8")
    for page in PAGES:
        yield page, examples_of(ROOT / "docs" / "user_guide" / f"{page}.rst")
    yield "typed", TYPED


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """What mypy reports for each program: a list of (line, message)."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("programs")
    files = {**dict(programs()), "wrong": WRONG}
    for name, text in files.items():
        assert "skregnet" in text
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", *OPTIONS, f"--cache-dir={folder / 'cache'}"]
    run = subprocess.run(
        [*command, *(f"{name}.py" for name in files)],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1, run.stdout + run.stderr  # the wrong program is refused
    found = {name: [] for name in files}
    for line in run.stdout.splitlines():
        if match := re.match(r"(\w+)\.py:(\d+): error: (.*)", line):
            found[match[1]].append((int(match[2]), match[3]))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, _ in programs()])
def test_mypy_accepts_a_program(reports, name):
    assert reports[name] == []


@pytest.mark.slow
def test_mypy_refuses_what_is_wrong(reports):
    marked = [i for i, line in enumerate(WRONG.splitlines(), 1) if line.endswith("# wrong")]
    assert sorted({line for line, _ in reports["wrong"]}) == marked


@pytest.mark.parametrize(
    ("names", "registry"),
    [
        (_typing.ActivationName, ACTIVATIONS),
        (_typing.InitializerName, {"auto", *INITIALIZERS}),
        (_typing.LossName, REGRESSION_LOSSES),
        (_typing.PenaltyName, PENALTIES),
        (_typing.ScalerName, SCALERS),
        (_typing.ScheduleName, SCHEDULES),
        (_typing.SolverName, {*STOCHASTIC_OPTIMIZERS, *FULL_BATCH_SOLVERS}),
    ],
)
def test_completed_names_are_in_the_registry(names, registry):
    literals = [name for part in get_args(names) for name in get_args(part)]
    assert literals
    assert set(literals) <= set(registry)


def public_functions():
    """The functions of the public interface that the package itself defines, by name."""
    things = [gaussian_crps, expected_calibration_error, length_scale_alpha]
    things += [distributions.PredictiveClasses, distributions.PredictiveDistribution]
    things += [getattr(module, n) for module in (skregnet, inspection) for n in module.__all__]
    for thing in things:
        members = inspect.getmembers(thing) if inspect.isclass(thing) else [("__call__", thing)]
        for name, member in members:
            function = member.fget if isinstance(member, property) else member
            function = getattr(function, "__func__", function)
            is_public = name in ("__init__", "__call__") or not name.startswith("_")
            if is_public and inspect.isfunction(function):
                package, _, module = function.__module__.partition(".")
                # What stands in for an older scikit-learn is not ours to type.
                if package == "skregnet" and module != "_sklearn_compat":
                    yield f"{thing.__name__}.{name}", function


def test_every_argument_and_result_is_annotated():
    checked, untyped = set(), []
    for name, function in public_functions():
        if name.endswith(".from_draws"):  # for the estimators only
            continue
        checked.add(name)
        signature = inspect.signature(function)
        types = {
            n: p.annotation for n, p in signature.parameters.items() if n not in ("self", "cls")
        }
        if inspect.Signature.empty in {*types.values(), signature.return_annotation}:
            untyped.append(name)
    assert untyped == []
    assert len(checked) > 60
    assert {"RegularizedMLPRegressor.fit", "RegularizedMLPClassifier.__init__"} < checked


def test_the_package_says_that_it_is_typed():
    assert (Path(skregnet.__file__).parent / "py.typed").exists()
