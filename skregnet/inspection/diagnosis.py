"""A table of the layers of a network, and what to do about it."""

from dataclasses import asdict, dataclass, fields
from html import escape
from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from ..estimators.base import BaseRegularizedMLP
from ..fitting.settings import is_stochastic
from .advice import advise
from .facts import FEWEST_ROWS, Facts, RunReport, comes_down_by_plan, percent
from .measures import LayerReport, measure_layers, measure_updates
from .probe import probe, trace

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
    """What `diagnose` returns; printed, and in a notebook, it is a table with advice.

    Parameters
    ----------
    estimator : str
        The network in short.
    layers : tuple of LayerReport
        Numbers of each layer, from the first hidden one to the output.
    run : RunReport
        Numbers of the run of training, and the loss on the given rows.
    advice : tuple of str
        What is conspicuous, with numbers and with what to do; empty where nothing is.
    is_ensemble : bool, default=False
        Whether there are other networks, which numbers of the run are of, too.

    See Also
    --------
    diagnose : What makes it, with an example.
    """

    estimator: str
    layers: tuple[LayerReport, ...]
    run: RunReport
    advice: tuple[str, ...]
    is_ensemble: bool = False

    def to_dict(self):
        """Return the numbers of the layers by column, such as for a DataFrame.

        Returns
        -------
        columns : dict of str to list
            An entry for each layer; the names are those of `LayerReport`.
        """
        return {
            field.name: [getattr(layer, field.name) for layer in self.layers]
            for field in fields(LayerReport)
        }

    def _table(self):
        """Return the cells as text, one list for each row, without the columns that are blank."""
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
        """Return the same as HTML, in the colours of the page that it is shown on."""
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


def diagnose(estimator, X, y=None, *, sample_weight=None, member=0, learning_rate=None):
    """Look at the layers of a fitted network and at its training, and say what is wrong.

    Parameters
    ----------
    estimator : RegularizedMLPRegressor or RegularizedMLPClassifier
        Fitted. It is not changed.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows, such as those it was trained on; of more than 2000 some are drawn, the same each time.
        With rows that it was not trained on, overfitting shows.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets; without them nothing is said of gradients, updates and losses.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows. Of rows that the network was fitted to with weights, give the same:
        losses in training and on these rows are compared.
    member : int, default=0
        Which network of an ensemble. The curves that the advice goes by, and the training loss, are
        those of the ensemble.
    learning_rate : float, default=None
        Of the steps that are measured. None takes that of the last epoch, or the median over the
        epochs where it comes down to nothing by plan, as with ``learning_rate='cosine'``.

    Returns
    -------
    diagnosis : Diagnosis
        With the attributes `layers`, `run` and `advice`, and the method `to_dict`.

    Raises
    ------
    ValueError
        If rows, targets or arguments cannot be used.
    TypeError
        If `estimator` is not one of this package's.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    See Also
    --------
    LayerHistogramDisplay : The distributions behind the numbers, also at initialisation.
    TrainingCurveDisplay : The losses by epoch.

    Notes
    -----
    Activations and gradients are those of prediction: no unit is dropped, and batch normalisation
    uses its running statistics. The updates are those of real steps with dropout and batch
    statistics, made on a copy, with the weights of the last fit as the start. The limits that the
    advice goes by are rules of thumb: none of it proves that a network is good or bad.

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
    found = probe(estimator, X, y, sample_weight=sample_weight, member=member)
    hidden, raw, raw_gradients = trace(found)
    rate = _learning_rate(estimator, learning_rate)
    run, reference, baseline = _run(estimator, found, raw, member, rate)
    updates = measure_updates(found, estimator, member, rate)
    layers = measure_layers(hidden, raw, raw_gradients, updates, estimator.out_activation_)
    facts = Facts(
        *(estimator, layers[:-1], float(np.median(updates)), run, reference, baseline),
        *_size_and_sparsity(found.x),
    )
    is_ensemble = estimator.network_.n_members > 1
    return Diagnosis(_in_short(estimator, member), layers, run, advise(facts), is_ensemble)


def _in_short(estimator, member):
    sizes = [estimator.network_.dense_layers[0].n_inputs]
    sizes += [layer.n_outputs for layer in estimator.network_.dense_layers]
    solver = estimator.solver
    solver = solver if isinstance(solver, str) else repr(solver)
    text = f"{type(estimator).__name__}: {'-'.join(map(str, sizes))}, {solver}"
    n_members = estimator.network_.n_members
    return text if n_members == 1 else f"{text}, network {member} of {n_members}"


def _learning_rate(estimator, given):
    if not is_stochastic(estimator.solver):
        return np.nan
    if given is not None:
        return float(given)
    known = [rate for rate in estimator.learning_rate_curve_ if np.isfinite(rate)]
    if not known:
        return float(estimator.learning_rate_init)
    return float(np.median(known) if comes_down_by_plan(estimator) else known[-1])


def _run(estimator, found, raw, member, rate):
    """Return the report of the run, and what differences of losses and losses compare with."""
    loss = constant_loss = baseline = np.nan
    start = estimator.loss_curve_[0] if estimator.loss_curve_ else np.nan
    reference = abs(start)
    predictions = found.loss.predict(raw) if found.loss else estimator._fitted_loss.predict(raw)
    spread = predictions.std(axis=0, dtype=np.float64)
    size = np.abs(predictions).mean(axis=0, dtype=np.float64)
    if found.y is not None:
        loss = _mean_loss(found, raw)
        constant = found.loss.constant(found.y, found.weight).astype(raw.dtype)
        constant_loss = _mean_loss(found, np.broadcast_to(constant, raw.shape))
        reference = float(found.y.shape[1]) if found.loss.in_nats else constant_loss
        size = found.y.std(axis=0, dtype=np.float64)
        size = size.reshape(-1, *[1] * (spread.ndim - 1))
        if np.ptp(found.y, axis=0).any():
            baseline = constant_loss if len(raw) >= FEWEST_ROWS else np.nan
        elif np.isfinite(start):
            reference = abs(start)  # a constant fits these rows, but it is not known beforehand
    with np.errstate(divide="ignore", invalid="ignore"):
        variation = spread / size
    training_loss, has_penalty = _training_loss(estimator)
    reason, best = estimator.stop_reason_, estimator.best_iter_
    run = RunReport(
        len(raw),
        reason if isinstance(reason, str) else reason[member],
        estimator.n_iter_,
        int(best if np.ndim(best) == 0 else best[member]),
        rate,
        training_loss,
        loss,
        constant_loss,
        float(np.max(variation)),  # not a number where targets are constant
        has_penalty,
    )
    return run, reference, baseline


def _training_loss(estimator):
    """Return `loss_` without the penalty, and whether it could not be taken off."""
    penalty = getattr(estimator, "_fitted_penalty", None)
    if penalty is None:
        return float(estimator.loss_), estimator.alpha > 0.0
    network = estimator.network_
    with np.errstate(over="ignore", invalid="ignore"):
        values = penalty.value(network.params[:, : network.n_weights])
        return float(estimator.loss_ - values.mean()), False


def _mean_loss(found, raw):
    weight = None if found.weight is None else found.weight[np.newaxis]
    scale = 1.0 / (len(raw) if weight is None else float(weight.sum(dtype=np.float64)))
    return float(found.loss.value(raw[np.newaxis], found.y[np.newaxis], weight, scale)[0])


def _size_and_sparsity(x):
    """Return the root mean square, and whether most values are zero."""
    n = x.shape[0] * x.shape[1]
    values = x.data if issparse(x) else x
    size = float(np.sqrt(np.square(values, dtype=np.float64).sum() / n))
    return size, bool(np.count_nonzero(values) < 0.5 * n)
