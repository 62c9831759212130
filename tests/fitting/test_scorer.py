"""The estimator that a scorer receives during training."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from factories import data_for, each_estimator, few_held_back, not_converged, small
from skregnet.inspection import LayerHistogramDisplay, TrainingCurveDisplay, diagnose

pytestmark = [not_converged, few_held_back]


def fit_with(look, Estimator, **parameters):
    """Fit an estimator whose scorer calls ``look(estimator, X, y)``; return it and the results."""
    seen = []

    def score(estimator, X, y):
        seen.append(look(estimator, X, y))
        return estimator.score(X, y)

    options = {"early_stopping": True, "validation_fraction": 40, "scoring": score, "max_iter": 2}
    options["batch_size"] = 20
    model = small(Estimator, **options, **parameters)
    return model.fit(*data_for(Estimator, 100)), seen


@each_estimator
def test_known_attributes(Estimator):
    names = ["do_early_stopping_", "refit_", "n_outputs_", "n_layers_", "out_activation_"]
    model, seen = fit_with(lambda one, X, y: [getattr(one, n) for n in names], Estimator)
    assert seen[0] == [getattr(model, name) for name in names]


@each_estimator
def test_there_is_no_record_of_an_earlier_fit(Estimator):
    def look(one, X, y):
        return {"n_iter_", "loss_", "best_iter_", "loss_curve_"} & set(vars(one))

    model, seen = fit_with(look, Estimator, warm_start=True)
    model.fit(*data_for(Estimator, 100))
    assert len(seen) == 6
    assert not any(seen)


@pytest.mark.slow
@each_estimator
@pytest.mark.parametrize("parameters", [{}, {"n_estimators": 2}, {"warm_start": True}])
def test_the_network_can_be_drawn_and_exported(Estimator, parameters):
    plt = pytest.importorskip("matplotlib.pyplot")

    def look(one, X, y):
        for options in ({"kind": "gradients"}, {"initial": True}):
            display = LayerHistogramDisplay.from_estimator(one, X, y, **options)
            plt.close(display.figure_)
        exported = one.to_sklearn()
        assert exported.early_stopping
        assert_allclose(exported.predict(X), one.predict(X))
        exported.set_params(warm_start=True, batch_size=10).fit(X, y)
        return display.values[0]

    model, seen = fit_with(look, Estimator, **parameters)
    n_members = parameters.get("n_estimators", 1)
    assert len(seen) == 3 * n_members
    for member in range(n_members):
        for initial in seen[member::n_members]:
            np.testing.assert_array_equal(initial, seen[member])
    if n_members > 1:
        assert not np.array_equal(seen[0], seen[1])
    if model.warm_start:
        model.fit(*data_for(Estimator, 100))


@each_estimator
def test_the_start_of_one_member_of_a_minimiser_is_unknown(Estimator):
    def look(one, X, y):
        LayerHistogramDisplay.from_estimator(one, X, y, initial=True)

    with pytest.raises(ValueError, match=r"cannot score.*full-batch solver"):
        fit_with(look, Estimator, solver="lbfgs", n_estimators=2)


@each_estimator
@pytest.mark.parametrize(
    "inspect", [diagnose, lambda one, *_: TrainingCurveDisplay.from_estimator(one)]
)
def test_what_needs_the_record_of_training_says_so(Estimator, inspect):
    with pytest.raises(ValueError, match=r"no record of its training.*Use the estimator that fit"):
        fit_with(inspect, Estimator)
