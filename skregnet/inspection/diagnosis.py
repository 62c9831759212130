"""A table of the layers of a network, and advice."""

from __future__ import annotations

from dataclasses import dataclass, fields
from html import escape
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import issparse

from ..fitting.settings import settings_of_last_fit
from ..functions.losses.sums import by_target
from ..preprocessing.columns import listed
from .layers import (
    LayerReport,
    check_estimator,
    check_record,
    forward_backward,
    measure_layers,
    network_and_rows,
    update_ratios,
)
from .rules import MIN_ROWS, Facts, RunReport, advise, percent

if TYPE_CHECKING:
    from typing import Any

    from .._typing import ArrayLike, MatrixLike
    from ..estimators.base import BaseRegularizedMLP

# Head and format of each column of the table, in the order of the attributes of `LayerReport`.
_COLUMNS = {
    "layer": str,
    "units": str,
    "activation": str,
    "dead": percent,
    "saturated": percent,
    "mean": "{:.2g}".format,
    "std": "{:.2g}".format,
    "spread": "{:.2g}".format,
    "gradient": "{:.1e}".format,
    "to next": "{:.2g}".format,
    "update": "{:.1e}".format,
}
_LEFT = ("layer", "activation")  # columns that are aligned to the left
_HEALTHY = "Nothing conspicuous."


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """Result of `diagnose`. Printed, or displayed in a notebook, it is a table with advice.

    Parameters
    ----------
    estimator : str
        Class, layer sizes and solver of the network.
    layers : tuple of LayerReport
        Numbers of each layer, from the first hidden layer to the output layer.
    run : RunReport
        Numbers of the training run, and losses on the given rows.
    advice : tuple of str
        A sentence for each defect, with numbers and remedies; empty if none was found.
    is_ensemble : bool, default=False
        Whether the network is one of several, which share some numbers of `run`.
    constant_columns : tuple of str or int, default=()
        Names or numbers of the columns that were constant in training: they have no effect.

    See Also
    --------
    diagnose : Function that returns it, with an example.
    """

    estimator: str
    layers: tuple[LayerReport, ...]
    run: RunReport
    advice: tuple[str, ...]
    is_ensemble: bool = False
    constant_columns: tuple[str | int, ...] = ()

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the numbers of the layers by column, for example for a DataFrame.

        Returns
        -------
        columns : dict of str to list
            For each attribute of `LayerReport` a list with one value per layer.
        """
        names = (field.name for field in fields(LayerReport))
        return {name: [getattr(layer, name) for layer in self.layers] for name in names}

    def _table(self):
        """Return the cells as text, a list for each row, without blank columns."""
        columns = [
            [head, *("" if value != value else form(value) for value in values)]  # "" for NaN
            for (head, form), values in zip(_COLUMNS.items(), self.to_dict().values(), strict=True)
        ]
        return list(zip(*(column for column in columns if any(column[1:])), strict=True))

    def _summary(self):
        run, end = self.run, f"stopped by {self.run.stop_reason}"
        parts = [f"{run.n_epochs} epoch{'s' * (run.n_epochs != 1)}, {end}"]
        kind = " with the penalty" if run.has_penalty else ""
        if self.is_ensemble:
            kind += " as the mean of all networks"
            parts = [f"{run.n_epochs} epochs at most of all networks", end]
        if run.best_epoch != run.n_epochs:
            parts.append(f"epoch {run.best_epoch} kept")
        if np.isfinite(run.learning_rate):
            parts.append(f"learning rate {run.learning_rate:.2g}")
        if np.isfinite(run.loss):
            parts.append(
                f"loss {run.loss:.3g} on these rows, {run.training_loss:.3g} in training{kind}, "
                f"{run.constant_loss:.3g} of the best constant"
            )
        if self.constant_columns:
            parts.append(f"no effect of {listed(self.constant_columns)}, constant in training")
        return f"{'; '.join(parts)}."

    def __str__(self):
        columns = []
        for head, *cells in zip(*self._table(), strict=True):
            width = max(map(len, (head, *cells)))
            align = str.ljust if head in _LEFT else str.rjust
            columns.append([align(cell, width) for cell in (head, *cells)])
        lines = ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]
        advice = [f"- {sentence}" for sentence in self.advice] or [_HEALTHY]
        return "\n".join([self.estimator, self._summary(), "", *lines, "", *advice])

    __repr__ = __str__

    def _repr_html_(self):
        # The colours are those of the page that shows it.
        head, *rows = self._table()
        style = "padding: 0.2em 0.7em; text-align: {}; color: inherit; background: none"
        table = "border-collapse: collapse; color: inherit; font: inherit"
        line = "; border-bottom: 1px solid currentColor"

        def cells(tag, row, extra=""):
            sides = ["left" if name in _LEFT else "right" for name in head]
            return "".join(
                f'<{tag} style="{style.format(side)}{extra}">{escape(text)}</{tag}>'
                for side, text in zip(sides, row, strict=True)
            )

        body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
        advice = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.advice)
        return (
            '<div style="color: inherit">'
            f"<p><strong>{escape(self.estimator)}</strong><br>{escape(self._summary())}</p>"
            f'<div style="overflow-x: auto"><table style="{table}">'
            f"<thead><tr>{cells('th', head, line)}</tr></thead>"
            f"<tbody>{body}</tbody></table></div>"
            + (f"<ul>{advice}</ul>" if advice else f"<p>{_HEALTHY}</p>")
            + "</div>"
        )


@np.errstate(over="ignore", divide="ignore", invalid="ignore")
def diagnose(
    estimator: BaseRegularizedMLP,
    X: MatrixLike,
    y: ArrayLike | None = None,
    *,
    sample_weight: ArrayLike | None = None,
    member: int = 0,
    learning_rate: float | None = None,
) -> Diagnosis:
    """Examine the layers and the training of a fitted network, and find defects.

    Parameters
    ----------
    estimator : RegularizedMLPRegressor or RegularizedMLPClassifier
        Fitted estimator. It is not changed.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows, such as the training rows. If there are more than 2000, a sample is used, the same
        one in each call. Overfitting shows on rows that were not used for training.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets. Without them there are no gradients, updates and losses.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows. Pass those of the fit, because the losses in training and on these
        rows are compared.
    member : int, default=0
        Index of the network in an ensemble. The curves and the training loss are those of the
        whole ensemble.
    learning_rate : float, default=None
        Learning rate of the measured steps. None takes that of the last epoch, or the median over
        the epochs if the schedule ends near zero, as ``learning_rate='cosine'`` does.

    Returns
    -------
    diagnosis : Diagnosis
        The result, which is printed as a table.

    Raises
    ------
    ValueError
        If rows, targets or arguments are invalid.
    TypeError
        If `estimator` is not an estimator of this package.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    LayerHistogramDisplay : Distributions of activations and gradients, also at initialisation.
    TrainingCurveDisplay : Losses by epoch.

    Notes
    -----
    Activations and gradients are computed as in prediction: no unit is dropped, and batch
    normalisation uses its running statistics. The updates are real training steps, with dropout
    and batch statistics, on a copy of the network. The thresholds of the advice are rules of thumb.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skregnet import RegularizedMLPClassifier
    >>> from skregnet.inspection import diagnose
    >>> X, y = load_iris(return_X_y=True)
    >>> model = RegularizedMLPClassifier((10,) * 6, "logistic", init="standard")
    >>> options = {"n_iter_no_change": 20, "learning_rate": "cosine"}
    >>> model.set_params(max_iter=20, random_state=0, **options).fit(X, y)
    RegularizedMLPClassifier(...)
    >>> report = diagnose(model, X, y)
    >>> print(report.advice[0])
    The predictions are constant over these rows: ...
    >>> all(layer.update_ratio > 0 for layer in report.layers)
    True
    """
    check_estimator(estimator)
    check_record(estimator)
    if learning_rate is not None:
        is_number = isinstance(learning_rate, Real) and not isinstance(learning_rate, bool)
        if not (is_number and 0.0 < learning_rate < np.inf):
            raise ValueError(f"learning_rate must be positive and finite, got {learning_rate!r}.")
    given = network_and_rows(estimator, X, y, sample_weight=sample_weight, member=member)
    settings = settings_of_last_fit(estimator)
    hidden, raw, raw_gradients = forward_backward(given)
    rate = _learning_rate(estimator, settings, learning_rate)
    run = _run(estimator, settings, given, raw, member, rate)
    updates = update_ratios(given, estimator, member, rate)
    layers = measure_layers(hidden, raw, raw_gradients, updates, estimator.out_activation_)
    n_inputs = given.x.shape[0] * given.x.shape[1]
    values = given.x.data if issparse(given.x) else given.x
    inputs = estimator._fitted.inputs
    facts = Facts(
        estimator,
        settings,
        layers[:-1],
        float(np.median(updates)),
        run,
        *_reference_and_baseline(estimator, given, run),
        input_size=float(np.sqrt(np.square(values, dtype=np.float64).sum() / n_inputs)),
        is_sparse=bool(np.count_nonzero(values) < 0.5 * n_inputs),
        changed_constants=inputs.changed_constants(inputs.read(X)),
    )
    return Diagnosis(
        _in_short(estimator, member),
        layers,
        run,
        advise(facts),
        estimator.network_.n_members > 1,
        tuple(inputs.constant_columns),
    )


def _in_short(estimator, member):
    network = estimator.network_
    sizes = [network.dense_layers[0].n_inputs, *(each.n_outputs for each in network.dense_layers)]
    text = f"{type(estimator).__name__}: {'-'.join(map(str, sizes))}, {estimator.solver}"
    is_single = network.n_members == 1
    return text if is_single else f"{text}, network {member} of {network.n_members}"


def _learning_rate(estimator, settings, given):
    """Return the learning rate of the measured steps; NaN for full-batch solvers."""
    if not settings.is_stochastic:
        return np.nan
    if given is not None:
        return float(given)
    known = [rate for rate in estimator.learning_rate_curve_ if np.isfinite(rate)]
    if not known:
        return float(settings.learning_rate_init)
    return float(np.median(known) if settings.plans_its_end else known[-1])


def _run(estimator, settings, given, raw, member, rate):
    predictions, loss, constant_loss = given.loss.predict(raw), np.nan, np.nan
    spread = predictions.std(axis=0, dtype=np.float64)
    size = np.abs(predictions).mean(axis=0, dtype=np.float64)
    if given.y is not None:
        constant = given.loss.constant_of_known(given.y, given.weight).astype(raw.dtype)
        loss = given.mean_loss(raw)
        constant_loss = given.mean_loss(np.broadcast_to(constant, raw.shape))
        size = by_target(lambda y, _: y.std(axis=0, dtype=np.float64), given.y, given.weight)
        size = size.reshape(-1, *[1] * (spread.ndim - 1))
    penalty, network = estimator._continuation.penalty, estimator.network_
    training_loss = estimator.loss_
    with np.errstate(all="ignore"):
        variation = float(np.max(spread / size))  # NaN for constant targets
        if penalty is not None:
            training_loss -= penalty.value(network.params[:, : network.n_weights]).mean()
    reason, best = estimator.stop_reason_, estimator.best_iter_
    return RunReport(
        n_rows=len(raw),
        stop_reason=reason if isinstance(reason, str) else reason[member],
        n_epochs=estimator.n_iter_,
        best_epoch=int(best if np.ndim(best) == 0 else best[member]),
        learning_rate=rate,
        training_loss=float(training_loss),
        loss=loss,
        constant_loss=constant_loss,
        variation=variation,
        has_penalty=penalty is None and settings.alpha > 0.0,
    )


def _reference_and_baseline(estimator, given, run):
    """Return the unit for differences of losses, and the loss of the best constant or NaN."""
    start = abs(estimator.loss_curve_[0]) if estimator.loss_curve_ else np.nan
    is_constant = given.y is not None and not np.ptp(given.y, axis=0).any()
    # For constant targets the constant is exact, but it was not known before training.
    if given.y is None or (is_constant and np.isfinite(start)):
        return start, np.nan
    reference = float(given.y.shape[1]) if given.loss.in_nats else run.constant_loss
    return reference, np.nan if is_constant or run.n_rows < MIN_ROWS else run.constant_loss
