"""Loss by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..layers import check_estimator, check_record
from .axes import BLUE, GREY, ORANGE, Display

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from ..._typing import NDArray, OneOrMoreInts
    from ...estimators.base import BaseRegularizedMLP


class TrainingCurveDisplay(Display):
    """Training and validation loss by epoch, the best epoch, and the learning rate.

    Use `from_estimator` to create a display.

    Parameters
    ----------
    loss : array-like of shape (n_epochs,)
        Training loss, `loss_curve_`.
    validation_loss : array-like of shape (n_epochs,) or None, default=None
        Validation loss, `validation_loss_curve_`.
    best_iter : int, array-like of int or None, default=None
        Epoch whose parameters were kept, from 1; one for each member of an ensemble.
    learning_rate : array-like of shape (n_epochs,) or None, default=None
        Learning rate of each epoch, `learning_rate_curve_`.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, matplotlib Figure
        Axes with the losses, and their figure.
    rate_ax_ : matplotlib Axes or None
        Axes with the learning rate, if it is drawn.
    loss_line_, validation_line_ : matplotlib Line2D
        Training and validation loss; None without a validation loss.

    See Also
    --------
    skregnet.RegularizedMLPRegressor : Estimator that records the curves.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_diabetes
    >>> from skregnet import RegularizedMLPRegressor
    >>> from skregnet.inspection import TrainingCurveDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = RegularizedMLPRegressor(
    ...     early_stopping=True, learning_rate_init=0.01, random_state=0
    ... )
    >>> display = TrainingCurveDisplay.from_estimator(model.fit(X, y))
    >>> plt.close(display.figure_)
    """

    rate_ax_: Axes | None
    validation_line_: Line2D | None

    def __init__(
        self,
        loss: Sequence[float] | NDArray[np.float64],
        validation_loss: Sequence[float] | NDArray[np.float64] | None = None,
        best_iter: OneOrMoreInts | None = None,
        learning_rate: Sequence[float] | NDArray[np.float64] | None = None,
    ) -> None:
        self.loss, self.validation_loss = loss, validation_loss
        self.best_iter, self.learning_rate = best_iter, learning_rate

    @classmethod
    def from_estimator(
        cls, estimator: BaseRegularizedMLP, *, learning_rate: bool = False, ax: Axes | None = None
    ) -> Self:
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : RegularizedMLPRegressor or RegularizedMLPClassifier
            Fitted estimator.
        learning_rate : bool, default=False
            Whether to draw the learning rate, too, on an axis on the right.
        ax : matplotlib Axes, default=None
            Axes to draw on; None creates a figure.

        Returns
        -------
        display : TrainingCurveDisplay
            The display, drawn.
        """
        check_estimator(estimator)
        check_record(estimator)
        # With warm_start the curves start with the first fit, but `best_iter_` with the last.
        n_before = len(estimator.loss_curve_) - estimator.n_iter_
        display = cls(
            estimator.loss_curve_,
            estimator.validation_loss_curve_,
            np.add(estimator.best_iter_, n_before) if estimator.do_early_stopping_ else None,
            estimator.learning_rate_curve_ if learning_rate else None,
        )
        return display.plot(ax)

    def _draw(self):
        epochs = np.arange(1, len(self.loss) + 1)
        (self.loss_line_,) = self.ax_.plot(epochs, self.loss, color=BLUE, label="training")
        self.validation_line_ = self.rate_ax_ = None
        if self.validation_loss is not None:
            (self.validation_line_,) = self.ax_.plot(
                epochs, self.validation_loss, color=ORANGE, linestyle="--", label="validation"
            )
        if self.best_iter is not None:
            for i, best in enumerate(np.atleast_1d(self.best_iter)):
                label = "kept" if i == 0 else None
                self.ax_.axvline(best, color=GREY, linestyle=":", linewidth=1, label=label)
        self.ax_.set(xlabel="Epoch", ylabel="Loss")
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        lines = self.ax_.get_legend_handles_labels()[0]
        if self.learning_rate is not None:
            self.rate_ax_ = self.ax_.twinx()
            (line,) = self.rate_ax_.plot(
                epochs, self.learning_rate, color=GREY, linewidth=1, label="learning rate"
            )
            self.rate_ax_.set_ylabel("Learning rate")
            lines.append(line)
        self.ax_.legend(handles=lines)
