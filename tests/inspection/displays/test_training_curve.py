"""Curves of training, as they were recorded."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_diabetes, make_regression
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from skregnet import RegularizedMLPRegressor
from skregnet.inspection import TrainingCurveDisplay


def fit(**parameters):
    X, y = make_regression(400, 4, noise=10.0, random_state=0)
    options = {"learning_rate_init": 0.02, "tol": 1e-2, "random_state": 0, **parameters}
    return RegularizedMLPRegressor((8,), **options).fit(X, y)


def test_losses_are_drawn_over_the_epochs():
    model = fit(early_stopping=True)
    display = TrainingCurveDisplay.from_estimator(model)
    epochs, loss = display.loss_line_.get_data()
    assert_array_equal(epochs, np.arange(1, model.n_iter_ + 1))
    assert_array_equal(loss, model.loss_curve_)
    assert_array_equal(display.validation_line_.get_ydata(), model.validation_loss_curve_)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["training", "validation", "kept"]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Epoch", "Loss")
    kept = display.ax_.lines[-1].get_xdata()
    assert_array_equal(kept, [model.best_iter_] * 2)


def test_without_a_validation_part_there_is_one_line():
    display = TrainingCurveDisplay.from_estimator(fit())
    assert display.validation_line_ is None
    assert len(display.ax_.lines) == 1
    assert display.rate_ax_ is None


def test_each_member_has_a_best_epoch():
    model = fit(early_stopping=True, n_estimators=3)
    display = TrainingCurveDisplay.from_estimator(model)
    drawn = sorted(line.get_xdata()[0] for line in display.ax_.lines[2:])
    assert_array_equal(drawn, sorted(model.best_iter_))
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels.count("kept") == 1


def test_the_learning_rate_has_an_axis_of_its_own():
    model = fit(learning_rate="cosine", max_iter=12, n_iter_no_change=12)
    display = TrainingCurveDisplay.from_estimator(model, learning_rate=True)
    assert_array_equal(display.rate_ax_.lines[0].get_ydata(), model.learning_rate_curve_)
    assert display.rate_ax_.get_ylabel() == "Learning rate"


def test_given_axes_are_drawn_on():
    figure, ax = plt.subplots()
    display = TrainingCurveDisplay([3.0, 2.0]).plot(ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure


def test_an_estimator_that_is_not_fitted_says_so():
    with pytest.raises(NotFittedError):
        TrainingCurveDisplay.from_estimator(RegularizedMLPRegressor())


def test_the_epoch_that_is_kept_is_marked_on_the_curves_of_several_fits():
    X, y = load_diabetes(return_X_y=True)
    model = RegularizedMLPRegressor(
        (8,), max_iter=20, warm_start=True, early_stopping=True, random_state=0
    ).set_params(n_iter_no_change=20)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    display = TrainingCurveDisplay.from_estimator(model)
    assert display.best_iter == len(model.loss_curve_) - model.n_iter_ + model.best_iter_
    kept = model.validation_loss_curve_[display.best_iter - 1]
    assert kept == min(model.validation_loss_curve_[-model.n_iter_ :])


@pytest.mark.parametrize("estimator", [LinearRegression(), make_pipeline(LinearRegression())])
def test_other_estimators_are_refused(estimator):
    with pytest.raises(TypeError, match=r"RegularizedMLPRegressor, got .*pipeline\[-1\]"):
        TrainingCurveDisplay.from_estimator(estimator)


def test_the_learning_rate_is_in_the_legend():
    display = TrainingCurveDisplay([3.0, 2.0], [3.0, 2.5], learning_rate=[0.1, 0.05]).plot()
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["training", "validation", "learning rate"]


@pytest.mark.parametrize("ax", [3, "axes", plt.Figure()])
def test_what_is_no_axes_is_named(ax):
    with pytest.raises(TypeError, match=f"ax must be .* Axes or None, got {type(ax).__name__}"):
        TrainingCurveDisplay([3.0, 2.0]).plot(ax=ax)
