"""A walk through scikit-learn's MLPClassifier and MLPRegressor: all of it must exist here.

What is walked through is the scikit-learn that is installed. What differs on purpose is listed with
the reason; a difference that is not listed fails, and so does one that is listed and no longer
there. The same calls are made on both in `test_parity_calls.py`, and what the documentation
promises is in `test_parity_promises.py`.
"""

import dataclasses
import inspect
import re

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import get_tags
from sklearn.utils._param_validation import (
    InvalidParameterError,
    Options,
    StrOptions,
    generate_invalid_param_val,
    generate_valid_param,
    make_constraint,
)

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor

PAIRS = [
    (RegularizedMLPClassifier, MLPClassifier),
    (RegularizedMLPRegressor, MLPRegressor),
]
EACH_PAIR = pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=["classifier", "regressor"])
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Early stopping goes by only"
    ),
]

# ---- signatures --------------------------------------------------------------------------------

POSITIONAL = inspect.Parameter.POSITIONAL_OR_KEYWORD
LATER = "scikit-learn 1.7 has put sample_weight there"
# (class or None for both, function or None for all, what differs): why.
SIGNATURE_DIFFERENCES = {
    (None, "__init__", "early_stopping is 'auto', not False"): "on beyond 10 000 rows only",
    (
        "RegularizedMLPRegressor",
        "__init__",
        "positional parameters: ['hidden_layer_sizes', 'activation'], not "
        "['loss', 'hidden_layer_sizes', 'activation']",
    ): "trap 1: the sizes come first in both classes",
    (
        "RegularizedMLPClassifier",
        "partial_fit",
        "positional parameters: ['X', 'y', 'sample_weight', 'classes'], not ['X', 'y', 'classes']",
    ): LATER,
}


def positional(signature):
    names = [p.name for p in signature.parameters.values() if p.kind is POSITIONAL]
    return [name for name in names if name != "self"]


def signature_differences(ours, theirs):
    """What a call that is right for `theirs` would find changed in `ours`."""
    ours, theirs = inspect.signature(ours), inspect.signature(theirs)
    differences = []
    expected = positional(theirs)
    # More may follow, all of it with a default.
    if positional(ours)[: len(expected)] != expected:
        differences.append(f"positional parameters: {positional(ours)}, not {expected}")
    for name, parameter in theirs.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        if name not in ours.parameters:
            differences.append(f"{name} is missing")
        elif ours.parameters[name].default != parameter.default:
            differences.append(
                f"{name} is {ours.parameters[name].default!r}, not {parameter.default!r}"
            )
    for name, parameter in ours.parameters.items():
        if name not in theirs.parameters and parameter.default is inspect.Parameter.empty:
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
                differences.append(f"{name} is required")
    return differences


def public_methods(cls):
    return {
        name
        for name, value in inspect.getmembers(cls, callable)
        if not name.startswith("_") and not inspect.isclass(value)
    }


def all_signature_differences(ours, theirs):
    functions = ["__init__", *sorted(public_methods(theirs))]
    found = set()
    for name in functions:
        if not callable(getattr(ours, name, None)):
            found.add((ours.__name__, name, "is missing"))
            continue
        pair = getattr(ours, name), getattr(theirs, name)
        found |= {(ours.__name__, name, text) for text in signature_differences(*pair)}
    return found


def expected_differences(table, cls):
    return {(cls.__name__, *key[1:]) for key in table if key[0] in (None, cls.__name__)}


@EACH_PAIR
def test_signatures(ours, theirs):
    unexpected = all_signature_differences(ours, theirs) - expected_differences(
        SIGNATURE_DIFFERENCES, ours
    )
    assert unexpected == set()


def test_listed_differences_of_signatures_are_there():
    found = set().union(*(all_signature_differences(*pair) for pair in PAIRS))
    loss_first = "loss" in positional(inspect.signature(MLPRegressor))
    for cls, name, text in SIGNATURE_DIFFERENCES:
        if (name == "partial_fit" and loss_first) or ("loss" in text and not loss_first):
            continue  # of scikit-learn 1.6, or not of it
        assert any((cls or pair[0].__name__, name, text) in found for pair in PAIRS)


def test_requests_of_metadata_name_what_they_name_there():
    for ours, theirs in PAIRS:
        for method, request in theirs().get_metadata_routing()._serialize().items():
            here = ours().get_metadata_routing()._serialize()[method]
            assert set(request) <= set(here), method


# ---- constraints and documented values ---------------------------------------------------------

# What one constraint of theirs refuses and ours accepts: more can be chosen here.
MORE_VALUES = {
    "activation": "sequences, instances",
    "early_stopping": "'auto'",
    "learning_rate": "callables",
    "loss": "instances",
    "solver": "instances",
    "validation_fraction": "a number of rows",
}


def accepts(cls, name, value):
    try:
        cls(**{name: value})._validate_params()
    except InvalidParameterError:
        return False
    return True


def valid_values(constraint):
    constraint = make_constraint(constraint)
    if isinstance(constraint, Options):  # StrOptions too
        return sorted(constraint.options, key=str)
    return [generate_valid_param(constraint)]


def invalid_values(constraints):
    """Values that the constraints refuse, all of them: of other types, and out of their ranges."""
    candidates = ["no such name", object(), {}, -1, -0.5, 0, 1.5, float("nan"), None, b"x"]
    for constraint in map(make_constraint, constraints):
        try:
            candidates.append(generate_invalid_param_val(constraint))
        except NotImplementedError:
            continue
    checks = [make_constraint(constraint) for constraint in constraints]
    return [v for v in candidates if not any(check.is_satisfied_by(v) for check in checks)]


def constraint_differences(ours, theirs):
    found = []
    for name, constraints in theirs._parameter_constraints.items():
        if name not in inspect.signature(ours).parameters:
            found.append(f"{name} is missing")
            continue
        for constraint in constraints:
            found += [
                f"{name}={value!r} is refused"
                for value in valid_values(constraint)
                if not accepts(ours, name, value)
            ]
        if name not in MORE_VALUES:
            found += [
                f"{name}={value!r} is accepted"
                for value in invalid_values(constraints)
                if accepts(ours, name, value)
            ]
    return found


@EACH_PAIR
def test_values_of_parameters(ours, theirs):
    assert constraint_differences(ours, theirs) == []


@EACH_PAIR
def test_where_more_is_accepted_nonsense_is_not(ours, theirs):
    for name in set(MORE_VALUES) & set(theirs._parameter_constraints):
        for value in ("no such name", object(), None, -1, 0.0j):
            if not accepts(theirs, name, value):
                assert not accepts(ours, name, value), (name, value)


def documented(cls):
    """Return {section: {name: (type, text)}} of the docstring of a class."""
    sections = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.getdoc(cls), flags=re.MULTILINE)
    entries = {}
    for title, body in zip(sections[1::2], sections[2::2], strict=True):
        found = re.findall(r"^(\w+) : (.*)\n((?:(?: .*)?\n)*)", body, re.MULTILINE)
        entries[title] = {name: (kind, text) for name, kind, text in found}
    return entries


def test_the_parser_reads_all_that_scikit_learn_documents():
    for _, theirs in PAIRS:
        sections = documented(theirs)
        assert list(sections["Parameters"]) == list(inspect.signature(theirs).parameters)
        assert {"coefs_", "loss_curve_", "t_", "out_activation_"} <= set(sections["Attributes"])


@EACH_PAIR
def test_documented_values_are_accepted(ours, theirs):
    n_values = 0
    for name, (kind, text) in documented(theirs)["Parameters"].items():
        choices = re.match(r"\{(.*?)\}", kind)
        if choices is None:
            continue
        # Both the type and the list that may follow it: "- 'tanh', the hyperbolic tan function".
        named = {*re.findall(r"'(\w+)'", choices[1]), *re.findall(r"^ *- '(\w+)'", text, re.M)}
        for value in named:
            assert accepts(ours, name, value), (name, value)
            n_values += 1
    assert n_values >= 10


@EACH_PAIR
def test_documented_names_are_documented_here(ours, theirs):
    here, there = documented(ours), documented(theirs)
    for section in ("Parameters", "Attributes"):
        assert set(there[section]) <= set(here[section])


# ---- fitted attributes -------------------------------------------------------------------------

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
TARGETS = {
    "one output": X[:, 0] + 1.0,
    "two outputs": X[:, :2],
    "two classes": (X[:, 0] > 0).astype(int),
    "three classes": np.digitize(X[:, 0], [-0.5, 0.5]),
    "labels": (X > 0).astype(int),
}
SETTINGS = {
    "default": {},
    "sgd": {"solver": "sgd", "learning_rate": "invscaling"},
    "lbfgs": {"solver": "lbfgs"},
    "early stopping": {"early_stopping": True},
    "deep": {"hidden_layer_sizes": (5, 4), "activation": "tanh"},
    "float32": {},
    "partial_fit": {},
}
# (attribute, setting or None for all): why it is not as it is there.
ATTRIBUTE_DIFFERENCES = {
    ("best_loss_", "early stopping"): "a number, not None: there is a lowest training loss",
}


def fitted(cls, target, setting):
    y = TARGETS[target]
    inputs = X.astype(np.float32) if setting == "float32" else X
    model = cls(
        **{"hidden_layer_sizes": (5,), "max_iter": 4, "random_state": 0, **SETTINGS[setting]}
    )
    if setting != "partial_fit":
        return model.fit(inputs, y)
    labels = np.arange(3) if target == "labels" else np.unique(y)
    classes = {"classes": labels} if issubclass(cls, PAIRS[0]) else {}
    for _ in range(4):
        model.partial_fit(inputs, y, **classes)
    return model


def public_attributes(model):
    return {
        name: getattr(model, name)
        for name in dir(model)
        if re.fullmatch(r"[a-z]\w*_", name) and hasattr(model, name)
    }


def kind(value):
    """Type and shape of a value, as a user's code depends on them."""
    if isinstance(value, np.ndarray):
        return "array", value.shape, value.dtype.str
    if isinstance(value, list):
        return ["list", *map(kind, value)]
    if isinstance(value, float | np.floating):
        return "float"
    return type(value).__name__


def attribute_differences(ours, theirs, setting):
    here, there = public_attributes(ours), public_attributes(theirs)
    found = []
    for name in there:
        if name in here:
            pair = kind(here[name]), kind(there[name])
            if pair[0] != pair[1] and (name, setting) not in ATTRIBUTE_DIFFERENCES:
                found.append(f"{name} is {pair[0]}, not {pair[1]}")
        else:
            found.append(f"{name} is missing")
    return found


def targets_for(cls):
    regression = ("one output", "two outputs")
    return [
        target for target in TARGETS if (target in regression) is (cls is RegularizedMLPRegressor)
    ]


@pytest.mark.parametrize("setting", SETTINGS)
@EACH_PAIR
def test_fitted_attributes(ours, theirs, setting):
    for target in targets_for(ours):
        pair = fitted(ours, target, setting), fitted(theirs, target, setting)
        assert attribute_differences(*pair, setting) == [], target
        for name in ("n_iter_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
            assert getattr(pair[0], name) == getattr(pair[1], name), (name, target)
        if setting != "lbfgs":  # scikit-learn's lbfgs counts no rows
            assert pair[0].t_ == pair[1].t_


@EACH_PAIR
def test_what_is_public_before_fit(ours, theirs):
    there = {name for name in dir(theirs()) if not name.startswith("_") and hasattr(theirs(), name)}
    # MLPClassifier().loss is 'log_loss': no parameter, and in no documentation.
    assert {name for name in there if not hasattr(ours(), name)} <= {"loss"}
    # No attribute of a fit pretends to be there.
    assert public_attributes(ours()) == public_attributes(theirs()) == {}


# ---- tags and methods that come and go ---------------------------------------------------------

# In every configuration; those of some are in test_representation.py.
TAG_DIFFERENCES = {
    "target_tags.multi_output": "trap 16: MLPRegressor takes several and denies it",
    "input_tags.sparse": "scikit-learn 1.6 denied it, too",
    "input_tags.categorical": "tables are accepted as HistGradientBoosting does",
    "input_tags.allow_nan": "the same",
}


def flat_tags(tags, prefix=""):
    flat = {}
    for field in dataclasses.fields(tags):
        value = getattr(tags, field.name)
        if dataclasses.is_dataclass(value):
            flat |= flat_tags(value, f"{prefix}{field.name}.")
        else:
            flat[prefix + field.name] = value
    return flat


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@EACH_PAIR
def test_tags(ours, theirs, solver):
    here, there = (flat_tags(get_tags(cls(solver=solver))) for cls in (ours, theirs))
    assert len(there) > 20
    different = {name for name in there if here[name] != there[name]}
    assert different <= set(TAG_DIFFERENCES)
    assert all(here[name] and not there[name] for name in different)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@EACH_PAIR
def test_methods_of_an_instance(ours, theirs, solver):
    for name in public_methods(theirs):
        if (name, solver) == ("partial_fit", "lbfgs"):
            assert not hasattr(ours(solver=solver), name)  # trap 8
        else:
            assert hasattr(ours(solver=solver), name)


@EACH_PAIR
def test_kind_of_estimator(ours, theirs):
    shared = [base for base in theirs.__mro__ if base.__module__ == "sklearn.base"]
    assert all(issubclass(ours, base) for base in shared)
    assert len(shared) >= 2


# ---- the walk finds what is taken away ---------------------------------------------------------


class WithoutParameter(RegularizedMLPClassifier):
    def __init__(self, hidden_layer_sizes=(100,), activation="relu", *, alpha=1e-3):
        super().__init__(hidden_layer_sizes, activation, alpha=alpha)

    predict_log_proba = None

    def score(self, X, sample_weight=None):
        return 0.0


def test_the_walk_sees_a_missing_parameter_and_method():
    found = {text[1:] for text in all_signature_differences(WithoutParameter, MLPClassifier)}
    assert ("__init__", "solver is missing") in found
    assert ("__init__", "alpha is 0.001, not 0.0001") in found
    assert ("predict_log_proba", "is missing") in found
    assert any(name == "score" and "['X', 'sample_weight'], not" in text for name, text in found)
    assert "solver is missing" in constraint_differences(WithoutParameter, MLPClassifier)


class Stricter(RegularizedMLPRegressor):
    _parameter_constraints = {
        **RegularizedMLPRegressor._parameter_constraints,
        "activation": [StrOptions({"relu", "tanh"})],
        "alpha": [object],
    }


def test_the_walk_sees_changed_constraints():
    found = constraint_differences(Stricter, MLPRegressor)
    assert "activation='identity' is refused" in found
    assert "alpha=-1 is accepted" in found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: delattr(model, "loss_"), "loss_ is missing"),
        (lambda model: model.loss_curve_.append(0.0), "loss_curve_ is"),
        (lambda model: setattr(model, "n_iter_", 4.0), "n_iter_ is float, not int"),
    ],
    ids=["missing", "longer", "of another type"],
)
def test_the_walk_sees_a_missing_attribute(change, message):
    ours, theirs = (fitted(cls, "two classes", "default") for cls in PAIRS[0])
    change(ours)
    (difference,) = attribute_differences(ours, theirs, "default")
    assert difference.startswith(message)
