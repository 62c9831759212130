"""A table of the layers of a network, and advice."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from html import escape
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from ..estimators.base import BaseRegularizedMLP
from .layers import (
    LayerReport,
    forward_backward,
    is_stochastic,
    lowers_rate_to_zero,
    measure_layers,
    network_and_rows,
    penalty_in_loss,
    update_ratios,
)
from .rules import MIN_ROWS, Facts, RunReport, advise, percent

if TYPE_CHECKING:
    from typing import Any

    from .._typing import ArrayLike, MatrixLike

# Head and format of each column of the table.
_COLUMNS = {
    "layer": ("layer", "{}".format),
    "units": ("units", "{:d}".format),
    "activation": ("activation", "{}".format),
    "dead": ("dead", percent),
    "saturated": ("saturated", percent),
    "mean": ("mean", "{:.2g}".format),
    "std": ("std", "{:.2g}".format),
    "spread": ("spread", "{:.2g}".format),
    "gradient_std": ("gradient", "{:.1e}".format),
    "gradient_ratio": ("to next", "{:.2g}".format),
    "update_ratio": ("update", "{:.1e}".format),
}
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

    See Also
    --------
    diagnose : Function that returns it, with an example.
    """

    estimator: str
    layers: tuple[LayerReport, ...]
    run: RunReport
    advice: tuple[str, ...]
    is_ensemble: bool = False

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the numbers of the layers by column, for example for a DataFrame.

        Returns
        -------
        columns : dict of str to list
            For each attribute of `LayerReport` a list with one value per layer.
        """
        return {
            field.name: [getattr(layer, field.name) for layer in self.layers]
            for field in fields(LayerReport)
        }

    def _table(self):
        """Return the cells as text, a list for each row, without blank columns."""
        rows = [
            [_text(value, _COLUMNS[name][1]) for name, value in asdict(layer).items()]
            for layer in self.layers
        ]
        filled = [i for i, cells in enumerate(zip(*rows, strict=True)) if any(cells)]
        heads = [head for head, _ in _COLUMNS.values()]
        return [[row[i] for i in filled] for row in (heads, *rows)]

    def _summary(self):
        run = self.run
        parts = [f"{run.n_epochs} epoch{'s' * (run.n_epochs != 1)}, stopped by {run.stop_reason}"]
        kind = " with the penalty" if run.has_penalty else ""
        if self.is_ensemble:
            kind += " as the mean of all networks"
            parts = [f"{run.n_epochs} epochs at most of all networks", parts[0].split(", ")[1]]
        if run.best_epoch != run.n_epochs:
            parts.append(f"epoch {run.best_epoch} kept")
        if np.isfinite(run.learning_rate):
            parts.append(f"learning rate {run.learning_rate:.2g}")
        if np.isfinite(run.loss):
            parts.append(
                f"loss {run.loss:.3g} on these rows, {run.training_loss:.3g} in training{kind}, "
                f"{run.constant_loss:.3g} of the best constant"
            )
        return f"{'; '.join(parts)}."

    def __str__(self):
        table = self._table()
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(map(_aligned, row, widths, table[0])).rstrip() for row in table]
        advice = [f"- {sentence}" for sentence in self.advice] or [_HEALTHY]
        return "\n".join([self.estimator, self._summary(), "", *lines, "", *advice])

    __repr__ = __str__

    def _repr_html_(self):
        """Return the table as HTML, in the colours of the page that shows it."""
        head, *rows = self._table()
        cell = "padding: 0.2em 0.7em; text-align: {}; color: inherit; background: none"
        table = "border-collapse: collapse; color: inherit; font: inherit"
        line = "border-bottom: 1px solid currentColor"

        def cells(tag, row, extra=""):
            return "".join(
                f'<{tag} style="{cell.format(_side(name))}{extra}">{escape(text)}</{tag}>'
                for name, text in zip(head, row, strict=True)
            )

        body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
        advice = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.advice)
        return (
            '<div style="color: inherit">'
            f"<p><strong>{escape(self.estimator)}</strong><br>{escape(self._summary())}</p>"
            f'<div style="overflow-x: auto"><table style="{table}">'
            f"<thead><tr>{cells('th', head, f'; {line}')}</tr></thead>"
            f"<tbody>{body}</tbody></table></div>"
            + (f"<ul>{advice}</ul>" if advice else f"<p>{_HEALTHY}</p>")
            + "</div>"
        )


def _text(value, form):
    return "" if isinstance(value, float) and np.isnan(value) else form(value)


def _side(column):
    return "left" if column in ("layer", "activation") else "right"


def _aligned(text, width, column):
    return text.ljust(width) if _side(column) == "left" else text.rjust(width)


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
        Weights of the rows. If the network was fitted with weights, pass the same ones, because
        the losses in training and on these rows are compared.
    member : int, default=0
        Index of the network in an ensemble. The curves and the training loss are those of the
        whole ensemble.
    learning_rate : float, default=None
        Learning rate of the measured steps. None stands for that of the last epoch, or for the
        median over the epochs if the schedule ends near zero, as ``learning_rate='cosine'`` does.

    Returns
    -------
    diagnosis : Diagnosis
        Object with the attributes `layers`, `run` and `advice`, and the method `to_dict`.

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
    and batch statistics, on a copy that starts from the fitted weights. The thresholds of the
    advice are rules of thumb and prove nothing about a network.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skregnet import RegularizedMLPClassifier
    >>> from skregnet.inspection import diagnose
    >>> X, y = load_iris(return_X_y=True)
    >>> model = RegularizedMLPClassifier(
    ...     (10,) * 6,
    ...     "logistic",
    ...     init="standard",
    ...     max_iter=20,
    ...     n_iter_no_change=20,
    ...     learning_rate="cosine",
    ...     random_state=0,
    ... )
    >>> report = diagnose(model.fit(X, y), X, y)
    >>> print(report.advice[0])
    The predictions are constant over these rows: ...
    >>> [layer.update_ratio > 0 for layer in report.layers]
    [True, True, True, True, True, True, True]
    """
    if isinstance(estimator, BaseRegularizedMLP):
        check_is_fitted(estimator)
    if learning_rate is not None:
        is_number = isinstance(learning_rate, Real) and not isinstance(learning_rate, bool)
        if not (is_number and 0.0 < learning_rate < np.inf):
            raise ValueError(f"learning_rate must be positive and finite, got {learning_rate!r}.")
    given = network_and_rows(estimator, X, y, sample_weight=sample_weight, member=member)
    hidden, raw, raw_gradients = forward_backward(given)
    rate = _learning_rate(estimator, learning_rate)
    run = _run(estimator, given, raw, member, rate)
    updates = update_ratios(given, estimator, member, rate)
    layers = measure_layers(hidden, raw, raw_gradients, updates, estimator.out_activation_)
    facts = Facts(
        *(estimator, layers[:-1], float(np.median(updates)), run),
        *_reference_and_baseline(estimator, given, run),
        *_size_and_sparsity(given.x),
    )
    is_ensemble = estimator.network_.n_members > 1
    return Diagnosis(_in_short(estimator, member), layers, run, advise(facts), is_ensemble)


def _in_short(estimator, member):
    network, solver = estimator.network_, estimator.solver
    sizes = [network.dense_layers[0].n_inputs, *(each.n_outputs for each in network.dense_layers)]
    solver = solver if isinstance(solver, str) else repr(solver)
    text = f"{type(estimator).__name__}: {'-'.join(map(str, sizes))}, {solver}"
    is_single = network.n_members == 1
    return text if is_single else f"{text}, network {member} of {network.n_members}"


def _learning_rate(estimator, given):
    if not is_stochastic(estimator.solver):
        return np.nan
    if given is not None:
        return float(given)
    known = [rate for rate in estimator.learning_rate_curve_ if np.isfinite(rate)]
    if not known:
        return float(estimator.learning_rate_init)
    return float(np.median(known) if lowers_rate_to_zero(estimator) else known[-1])


def _run(estimator, given, raw, member, rate):
    loss = constant_loss = np.nan
    predictions = given.loss.predict(raw)
    spread = predictions.std(axis=0, dtype=np.float64)
    size = np.abs(predictions).mean(axis=0, dtype=np.float64)
    if given.y is not None:
        constant = given.loss.constant(given.y, given.weight).astype(raw.dtype)
        loss = given.mean_loss(raw)
        constant_loss = given.mean_loss(np.broadcast_to(constant, raw.shape))
        size = given.y.std(axis=0, dtype=np.float64).reshape(-1, *[1] * (spread.ndim - 1))
    penalty = penalty_in_loss(estimator)
    with np.errstate(divide="ignore", invalid="ignore"):
        variation = float(np.max(spread / size))  # NaN for constant targets
        training_loss = float(estimator.loss_ - (0.0 if penalty is None else penalty))
    reason, best = estimator.stop_reason_, estimator.best_iter_
    return RunReport(
        n_rows=len(raw),
        stop_reason=reason if isinstance(reason, str) else reason[member],
        n_epochs=estimator.n_iter_,
        best_epoch=int(best if np.ndim(best) == 0 else best[member]),
        learning_rate=rate,
        training_loss=training_loss,
        loss=loss,
        constant_loss=constant_loss,
        variation=variation,
        has_penalty=penalty is None and estimator.alpha > 0.0,
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


def _size_and_sparsity(x):
    """Return the root mean square, and whether most values are zero."""
    n = x.shape[0] * x.shape[1]
    values = x.data if issparse(x) else x
    size = float(np.sqrt(np.square(values, dtype=np.float64).sum() / n))
    return size, bool(np.count_nonzero(values) < 0.5 * n)
