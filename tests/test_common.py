"""scikit-learn's own checks of estimators, and what stands in for those that cannot hold.

The estimators with default parameters run every check. The other configurations run the checks
whose outcome their parameters can change.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn.datasets import make_blobs, make_regression
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from skregnet import MLPFeatures, RegularizedMLPClassifier, RegularizedMLPRegressor, WhiteningScaler
from skregnet.functions.activations import get_activation
from skregnet.functions.losses import REGRESSION_LOSSES, BinaryLogLoss
from skregnet.network import Backprop, build_network

from .defaults import USER_DEFAULTS, changed_defaults

ESTIMATORS = (RegularizedMLPClassifier, RegularizedMLPRegressor)

# The checks fit some 200 rows, one step per epoch: a larger rate reaches their scores sooner.
FAST = {"learning_rate_init": 0.02, "max_iter": 30}

# Besides the defaults.
VARIANTS = [
    {"batch_norm": True, **FAST},
    {"solver": "lbfgs"},
    {"solver": "cg"},
    {"solver": "scg"},
    {"solver": "sgd", **FAST},
    {"solver": "adamw", **FAST},
    {"solver": "rmsprop", **FAST},
    {"dtype": "float32", **FAST},
    {"dtype": "float64", **FAST},
    {"early_stopping": True, **FAST},
    {"dropout": 0.2, "input_dropout": 0.1, **FAST},
    # Where inputs may be categorical, the checks shift and round them: they need a scaler.
    {"scaler": None, "categorical_features": None, **FAST},
    {"scaler": "whiten", **FAST},
    {"hidden_layer_sizes": (10, 5), "activation": ["tanh", "relu"], **FAST},
    {"hidden_layer_sizes": (), "solver": "sgd", "learning_rate_init": 0.01, "max_iter": 150},
    {"n_estimators": 3, **FAST},
    {"categorical_features": [0], **FAST},
    {"handle_missing": "indicator", **FAST},
    {"categorical_features": None, "handle_missing": "error", **FAST},
    {"numeric_embedding": "piecewise_linear", **FAST},
]
CLASSIFIER_VARIANTS = [
    {"class_weight": "balanced", **FAST},
    {"label_smoothing": 0.1, **FAST},
    {"temperature": "auto", "early_stopping": True, **FAST},
]
REGRESSOR_VARIANTS = [
    {"loss": loss, **FAST} for loss in REGRESSION_LOSSES if loss != "squared_error"
]

SAMPLE_WEIGHT_CHECKS = (
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
)
# (parameter, the value that makes them impossible, checks, why, and the test of what does hold)
IMPOSSIBLE_CHECKS = [
    *(
        (
            "loss",
            loss,
            ("check_regressor_multioutput",),
            "it has negative targets, though the tag says that they must be positive; see "
            "test_shapes_and_types in estimators/test_regression_losses.py",
        )
        for loss in ("poisson", "gamma")
    ),
    (
        "dropout",
        0.2,
        SAMPLE_WEIGHT_CHECKS,
        "two copies of a row draw two masks, a row of weight two draws one; see "
        "test_dropout_gives_weights_the_meaning_of_repetitions_in_expectation",
    ),
    (
        "early_stopping",
        True,
        SAMPLE_WEIGHT_CHECKS,
        "copies of a row can fall on both sides of a random split; see "
        "test_early_stopping_by_a_given_validation_set_takes_weights_as_repetitions",
    ),
    (
        "dtype",
        "float32",
        (
            *SAMPLE_WEIGHT_CHECKS,
            "check_methods_subset_invariance",
            "check_methods_sample_order_invariance",
        ),
        "they compare to 1e-7 what is rounded to 6e-8 in each operation; see "
        "test_single_precision_holds_the_same_properties_to_its_own_precision",
    ),
    (
        "scaler",
        "whiten",
        ("check_sample_weight_equivalence_on_sparse_data",),
        "scikit-learn 1.6 gives sparse rows to estimators whose tag says that they take none; see "
        "test_the_sparse_tag_says_whether_the_scaler_takes_sparse_input",
    ),
]


# Parameters by what they change beside the training itself.
INPUT_PARAMETERS = {"scaler", "dtype", "categorical_features", "handle_missing"}
INPUT_PARAMETERS |= {"numeric_embedding"}
TARGET_PARAMETERS = {"loss", "class_weight", "label_smoothing"}
# No parameter changes the outcome of these checks: they concern the interface, the checks of
# arguments before the training, or other containers of the same rows.
INTERFACE_CHECKS = {
    "check_array_api_input",
    "check_classifiers_regression_target",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_sparse_matrix",  # check_estimator_sparse_array has the same rows
    "check_estimators_fit_returns_self",
    "check_estimators_partial_fit_n_features",
    "check_estimators_unfitted",
    "check_fit1d",
    "check_fit2d_predict1d",
    "check_fit_check_is_fitted",
    "check_fit_score_takes_y",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_n_features_in",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_pipeline_consistency",
    "check_regressors_no_decision_function",
    "check_requires_y_none",
    "check_sample_weights_list",
    "check_sample_weights_not_an_array",
    "check_sample_weights_pandas_series",
    "check_sample_weights_shape",
    "check_set_params",
}
# Unusual inputs; memory maps of a check's usual inputs are among them.
INPUT_CHECKS = {
    "check_complex_data",
    "check_dtype_object",
    "check_estimator_sparse_array",
    "check_estimator_sparse_tag",
    "check_estimators_dtypes",
    "check_estimators_empty_data_messages",
    "check_estimators_nan_inf",
    "check_f_contiguous_array_estimator",
    "check_n_features_in_after_fitting",
    "check_readonly_memmap_input",
    "check_sample_weight_equivalence_on_sparse_data",
}
# Unusual targets, or weights of classes.
TARGET_CHECKS = {
    "check_class_weight_classifiers",
    "check_classifier_data_not_an_array",
    "check_classifiers_classes",
    "check_positive_only_tag_during_fit",
    "check_regressor_data_not_an_array",
    "check_supervised_y_2d",
    "check_supervised_y_no_nan",
}


def is_affected(check, parameters):
    """Whether one of the parameters can change the outcome of a check."""
    name = check.func.__name__
    if name in INTERFACE_CHECKS:
        return False
    if name in INPUT_CHECKS or "readonly_memmap" in check.keywords:
        return not INPUT_PARAMETERS.isdisjoint(parameters)
    if name in TARGET_CHECKS:
        return not TARGET_PARAMETERS.isdisjoint(parameters)
    return True


def is_of_one_class(check):
    """Whether scikit-learn has a check for classifiers only, or for regressors only."""
    return "classifier" in check.func.__name__ or "regressor" in check.func.__name__


def variants():
    """Yield estimators besides the defaults, and whether they run a check.

    The checks of both classes are run by one of them: they take turns.
    """
    own = CLASSIFIER_VARIANTS, REGRESSOR_VARIANTS
    for i, (cls, more) in enumerate(zip(ESTIMATORS, own, strict=True)):
        for j, parameters in enumerate([*VARIANTS, *more]):
            is_turn = parameters in more or (i + j) % 2 == 0
            # Some checks set no random_state, and with one start in a hundred sgd diverges.
            yield (
                cls(random_state=0, **parameters),
                lambda check, parameters=parameters, is_turn=is_turn: (
                    is_affected(check, parameters) and (is_turn or is_of_one_class(check))
                ),
            )


def each_check():
    """Parametrize by estimators and checks."""
    network = RegularizedMLPRegressor((5,), random_state=0, **FAST)
    cases = []
    with changed_defaults(USER_DEFAULTS):
        defaults = [cls() for cls in ESTIMATORS]
    for estimator in defaults:
        cases += checks_of(estimator, name=f"{type(estimator).__name__}()")
    for estimator in (WhiteningScaler(), MLPFeatures(network)):
        cases += checks_of(estimator)
    for estimator, is_wanted in variants():
        cases += checks_of(estimator, is_wanted, pytest.mark.slow)
    return pytest.mark.parametrize(("estimator", "check"), cases)


def checks_of(estimator, is_wanted=lambda check: True, marks=(), name=None):
    mark = parametrize_with_checks([estimator])
    name_of = mark.kwargs["ids"]
    # Once: to print an estimator takes as long as to collect ten cases.
    name = name or name_of(estimator)
    return [
        pytest.param(*case, id=f"{name}-{name_of(case[1])}", marks=marks)
        for case in mark.args[1]
        if is_wanted(case[1])
    ]


def skip_impossible(estimator, check_name):
    for parameter, value, checks, reason in IMPOSSIBLE_CHECKS:
        if getattr(estimator, parameter, None) == value and check_name in checks:
            pytest.skip(reason)


@pytest.mark.slow
@pytest.mark.filterwarnings(
    # With few epochs and few rows of noise these are to be expected.
    "ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning",
    "ignore:Early stopping goes by only:UserWarning",
    "ignore:Early stopping kept:sklearn.exceptions.ConvergenceWarning",
    "ignore:The network predicts the training rows worse:sklearn.exceptions.ConvergenceWarning",
    # Real numbers of new rows are no category of the training rows.
    "ignore:All categories in column 0 of X are unknown:UserWarning",
)
@each_check()
def test_scikit_learn_checks(estimator, check):
    skip_impossible(estimator, check.func.__name__)
    check(estimator)


@pytest.mark.slow
# Checks that scikit-learn has, but runs on its own estimators only.
@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.filterwarnings("ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "check", ["check_param_validation", "check_dataframe_column_names_consistency"]
)
def test_checks_of_its_own_estimators(cls, check):
    if not hasattr(estimator_checks, check):
        pytest.skip("the installed scikit-learn does not have it")
    getattr(estimator_checks, check)(cls.__name__, cls(max_iter=2))


@pytest.mark.parametrize(("parameter", "value", "checks"), [row[:3] for row in IMPOSSIBLE_CHECKS])
def test_a_skipped_check_is_one_that_scikit_learn_has(parameter, value, checks):
    assert any(variant.get(parameter) == value for variant in [*VARIANTS, *REGRESSOR_VARIANTS])
    for check in checks:
        assert hasattr(estimator_checks, check)


@pytest.mark.parametrize("group", [INTERFACE_CHECKS, INPUT_CHECKS, TARGET_CHECKS])
def test_scikit_learn_has_the_checks_of_each_group(group):
    assert [name for name in sorted(group) if not hasattr(estimator_checks, name)] == []


def weighted_and_repeated(y_kind, n_samples=40, seed=0):
    """Return (X, y, weight) and the same rows repeated as often as the weights say."""
    rng = np.random.default_rng(seed)
    if y_kind is RegularizedMLPClassifier:
        X, y = make_blobs(n_samples, n_features=4, centers=3, cluster_std=4.0, random_state=seed)
    else:
        X, y = make_regression(n_samples, n_features=4, noise=5.0, random_state=seed)
    weight = rng.integers(0, 4, n_samples)
    return (X, y, weight), (X.repeat(weight, axis=0), y.repeat(weight))


def prediction(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


class TestDropout:
    N_MASKS = 4000

    def loss_and_gradient(self, loss, n_outputs, rows, y, weight, seed):
        """Values over many masks of the same network: (masks,), (masks, parameters)."""
        network = build_network(
            rows.shape[1],
            n_outputs,
            (6, 5),
            (get_activation("tanh"), get_activation("softplus")),
            dropout=(0.4, 0.3),
            input_dropout=0.2,
            n_members=self.N_MASKS,
        )
        network.params[:] = np.random.default_rng(7).normal(size=network.params.shape[1])
        generators = [
            np.random.Generator(np.random.SFC64(child))
            for child in np.random.SeedSequence(seed).spawn(self.N_MASKS)
        ]
        backprop = Backprop(network, loss, len(rows), generators)
        relative = None if weight is None else (weight / weight.mean())[np.newaxis, :, np.newaxis]
        return backprop(rows[np.newaxis], y[np.newaxis], relative), backprop.gradient

    @staticmethod
    def standard_errors(a, b):
        """Difference of the means in standard errors, and the error relative to their size."""
        error = np.sqrt(a.var(axis=0, ddof=1) / len(a) + b.var(axis=0, ddof=1) / len(b))
        return np.abs(a.mean(axis=0) - b.mean(axis=0)) / error, error / np.abs(a.mean(axis=0))

    @pytest.mark.slow
    def test_dropout_gives_weights_the_meaning_of_repetitions_in_expectation(self):
        loss = BinaryLogLoss()
        rng = np.random.default_rng(1)
        rows, y = rng.normal(size=(8, 3)), rng.integers(0, 2, (8, 2)).astype(float)
        weight = np.array([1, 5, 2, 1, 3, 1, 4, 1])
        weighted = self.loss_and_gradient(loss, 2, rows, y, weight, seed=10)
        repeated = self.loss_and_gradient(
            loss, 2, rows.repeat(weight, axis=0), y.repeat(weight, axis=0), None, seed=11
        )
        unweighted = self.loss_and_gradient(loss, 2, rows, y, None, seed=12)
        differences, precision = self.standard_errors(weighted[0], repeated[0])
        assert differences < 4
        assert precision < 0.02
        # 88 parameters: the largest of as many normal numbers is hardly ever above 4.5.
        differences, precision = self.standard_errors(weighted[1], repeated[1])
        assert differences.max() < 4.5
        assert np.sqrt(np.mean(differences**2)) < 1.3
        assert np.median(precision) < 0.05
        # The comparison is sharp enough to tell weights from no weights.
        differences, _ = self.standard_errors(unweighted[1], repeated[1])
        assert differences.max() > 20

    @pytest.mark.parametrize("cls", ESTIMATORS)
    def test_rows_of_weight_zero_are_rows_that_are_not_there(self, cls):
        (X, y, weight), _ = weighted_and_repeated(cls)
        model = cls((8,), dropout=0.3, input_dropout=0.1, max_iter=30, tol=0, random_state=0)
        model.set_params(n_iter_no_change=30)
        kept = weight > 0
        with pytest.warns(match="Maximum iterations"):
            given = prediction(model.fit(X, y, sample_weight=kept), X)
        with pytest.warns(match="Maximum iterations"):
            without = prediction(model.fit(X[kept], y[kept]), X)
        assert_allclose(given, without, rtol=1e-10)

    @pytest.mark.parametrize("cls", ESTIMATORS)
    def test_the_scale_of_the_weights_does_not_matter(self, cls):
        # Powers of two scale exactly; alpha is divided by the total weight, so it is scaled too.
        (X, y, weight), _ = weighted_and_repeated(cls)
        model = cls((8,), dropout=0.3, max_iter=30, tol=0, n_iter_no_change=30, random_state=0)
        with pytest.warns(match="Maximum iterations"):
            expected = prediction(model.set_params(alpha=0.25).fit(X, y, weight), X)
        with pytest.warns(match="Maximum iterations"):
            scaled = prediction(model.set_params(alpha=1.0).fit(X, y, 4 * weight), X)
        assert_allclose(scaled, expected, rtol=1e-9)


@pytest.mark.parametrize("parameters", [{}, {"batch_norm": True}, {"solver": "lbfgs"}], ids=str)
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_early_stopping_by_a_given_validation_set_takes_weights_as_repetitions(cls, parameters):
    (X, y, weight), (X_repeated, y_repeated) = weighted_and_repeated(cls)
    validation, repeated_validation = weighted_and_repeated(cls, n_samples=30)
    model = cls(
        (8,),
        activation="tanh",
        early_stopping=True,
        n_iter_no_change=5,
        random_state=0,
        learning_rate_init=0.02,
        **parameters,
    )
    names = ("X_val", "y_val", "sample_weight_val")
    model.fit(X, y, weight, **dict(zip(names, validation, strict=True)))
    assert model.do_early_stopping_
    assert model.stop_reason_ == "early_stopping"
    expected = (model.best_iter_, model.n_iter_, model.validation_loss_curve_)
    expected_prediction = prediction(model, X)
    model.fit(X_repeated, y_repeated, **dict(zip(names, repeated_validation, strict=False)))
    assert (model.best_iter_, model.n_iter_) == expected[:2]
    assert_allclose(model.validation_loss_curve_, expected[2], rtol=1e-9)
    assert_allclose(prediction(model, X), expected_prediction, rtol=1e-7)


@pytest.mark.parametrize("cls", ESTIMATORS)
class TestSinglePrecision:
    def fitted(self, cls, *data):
        model = cls((8,), activation="tanh", dtype="float32", random_state=0, max_iter=30, tol=0)
        with pytest.warns(match="Maximum iterations"):
            return model.set_params(n_iter_no_change=30).fit(*data)

    def test_single_precision_holds_the_same_properties_to_its_own_precision(self, cls):
        (X, y, weight), repeated = weighted_and_repeated(cls)
        model = self.fitted(cls, X, y, weight)
        assert model.network_.params.dtype == np.float32
        expected = prediction(model, X)
        scale = np.abs(expected).max()
        assert_allclose(
            prediction(self.fitted(cls, *repeated), X), expected, rtol=0, atol=1e-5 * scale
        )
        order = np.random.default_rng(0).permutation(len(X))
        assert_allclose(prediction(model, X[order]), expected[order], rtol=0, atol=1e-6 * scale)
        one_by_one = np.concatenate([prediction(model, X[i : i + 1]) for i in range(len(X))])
        assert_allclose(one_by_one, expected, rtol=0, atol=1e-6 * scale)


def test_the_multilabel_tag_is_off_where_class_weights_are_given():
    assert get_tags(RegularizedMLPClassifier()).classifier_tags.multi_label
    weighted = RegularizedMLPClassifier(class_weight="balanced")
    assert not get_tags(weighted).classifier_tags.multi_label
    with pytest.raises(ValueError, match="class_weight='balanced' cannot be used with multilabel"):
        weighted.fit(np.eye(4), np.eye(4, dtype=int))


def test_the_multi_output_tag_is_on():
    assert get_tags(RegularizedMLPRegressor()).target_tags.multi_output


def test_the_sparse_tag_says_whether_the_scaler_takes_sparse_input():
    assert get_tags(RegularizedMLPRegressor()).input_tags.sparse
    whitening = RegularizedMLPRegressor(scaler="whiten")
    assert not get_tags(whitening).input_tags.sparse
    with pytest.raises(ValueError, match="scaler='whiten' needs dense X"):
        whitening.fit(csr_array(np.eye(4)), np.arange(4))


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"solver": "lbfgs"}, "only available for the stochastic solvers, not for 'lbfgs'"),
        ({"solver": "cg"}, "only available for the stochastic solvers, not for 'cg'"),
        ({"solver": "scg"}, "only available for the stochastic solvers, not for 'scg'"),
        ({"early_stopping": True}, "does not support early_stopping=True"),
    ],
    ids=str,
)
def test_partial_fit_is_there_only_where_it_works(cls, parameters, reason):
    assert hasattr(cls(), "partial_fit")
    model = cls(**parameters)
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError) as caught:
        model.partial_fit(np.eye(3), [0, 1, 2])
    assert reason in str(caught.value.__cause__)
    # scikit-learn raises a ValueError.
    assert isinstance(caught.value, ValueError)
    assert reason in str(caught.value)
