"""Divergence that no loss of an epoch shows, and what is kept where nothing was learned."""

from dataclasses import replace
from functools import partial

import numpy as np

from ..training.monitor import monitored
from ..training.state import Snapshot
from .judge import sample_of
from .out_of_fold import constant_biases

# So many rows of a call of a stream are predicted after its epoch.
_ROWS_OF_CALL = 32
# A pass of a whole batch through the buffers of training takes less time than buffers of its own,
# if it has at most so many multiplications.
_QUICK = 1 << 18


class FitDivergence:
    """Finds the members that a fit has made far worse.

    Parameters
    ----------
    judge : Judge
    evaluation : callable() -> callable(network, members) -> losses
        Makes a function of members of the network and their numbers, for the losses of training
        rows. It is called when the first member stops.
    initial : callable() -> Network
        The network before the run. It is called only if a loss is suspicious.
    normalize : callable(network), default=None
        Sets the population statistics of batch normalisation; the running ones lag behind.
    """

    def __init__(self, judge, evaluation, initial, normalize=None):
        self._judge = judge
        self._evaluation = evaluation
        self._initial = initial
        self._normalize = normalize
        self._evaluate = None
        self.losses = None  # of the members that were judged last, NaN for others

    def __call__(self, network, members):
        """Return the mask of the ruined ones among some members, a mask."""
        if self._evaluate is None:
            self._evaluate = self._evaluation()
            self.losses = np.full(len(members), np.nan)
        numbers = np.flatnonzero(members)
        if len(numbers) < network.n_members:
            network = network.select(numbers)
        limit = self._judge.diverged_loss()
        losses = self._evaluate(network, numbers)
        if not (losses <= limit).all() and self._normalize is not None:
            network = network.select(slice(None))
            self._normalize(network, numbers)
            losses = self._evaluate(network, numbers)
        self.losses[numbers] = losses
        ruined = np.zeros_like(members)
        if not (losses <= limit).all():
            before = self._evaluate(self._initial().select(numbers), numbers)
            limit = self._judge.diverged_loss(np.where(np.isfinite(before), before, -np.inf))
            ruined[numbers] = ~(losses <= limit)
        return ruined


class StreamDivergence:
    """Finds the members that a call of a stream has made far worse.

    The losses are those of the rows of the call, compared with the largest loss of the best
    constant of all calls: one call may bring rows of a single class. A network may be poor for
    reasons of its own, such as rows that changed. It is ruined if the calls since it was good have
    raised the loss on their rows by the factor of divergence, together.

    Parameters
    ----------
    judge : Judge
    data : tuple of (x, y, weight)
        The rows of the call.
    initial : callable() -> Network
        The network before the call. It is called only if a loss is suspicious.
    state : TrainingState
        Its `constant_loss` and `growth` are updated.
    backprop : Backprop
        Has trained the network.
    """

    def __init__(self, judge, data, initial, state, backprop):
        self._judge = judge
        self._data = data
        self._initial = initial
        self._state = state
        self._backprop = backprop
        state.constant_loss = max(state.constant_loss, judge.constant_loss)

    def __call__(self, network, members):
        """Return the mask of the ruined ones among some members, a mask."""
        state, limit = self._state, self._judge.diverged_loss(self._state.constant_loss)
        if network.stats.size and not np.isfinite(network.stats).all():
            return members
        if all([loss <= limit for loss in self._loss_of_some(network).tolist()]):
            state.growth = 0.0
            return np.zeros_like(members)
        evaluate = self._judge.evaluation(*sample_of(self._data))
        after, before = evaluate(network), evaluate(self._initial())
        growth = state.growth + self._judge.growth(before, after)
        ruined = members & ~(after <= limit) & ~(growth <= 1.0)
        state.growth = max(0.0, float(growth[members].max()))
        return ruined

    def _loss_of_some(self, network):
        x, y, weight = self._data
        trains_as_it_predicts = not (network.stats.size or network.is_stochastic)
        is_quick = self._backprop.n_rows * network.params.size <= _QUICK
        if is_quick and trains_as_it_predicts and isinstance(x, np.ndarray):
            some, of_few = slice(self._backprop.n_rows), self._backprop.value
            x = x if network.n_members == 1 else x[np.newaxis]
            x = x[..., some, :]
        else:
            some, of_few = slice(_ROWS_OF_CALL), partial(self._judge.losses, network)
            x = x[some]
        weight = None if weight is None else weight[np.newaxis, some]
        return of_few(x, y[np.newaxis, some], weight)


def undone(run, result, judge, data):
    """Return the result of a call of a stream that changed nothing.

    The members share the scalings, the steps of the schedule and those of the optimiser.
    """
    network = run.initial_network(data, judge.constant).select(slice(None))
    if run.start is None:
        _check_finite(judge.compared(network, sample_of(data))[0])
    state = None if run.start is None else run.start.continuation.state
    return replace(
        result,
        network=network,
        state=state or run.new_state(network.n_members),
        stop_reason=np.full_like(result.stop_reason, "diverged"),
        kept_epoch=np.zeros_like(result.kept_epoch),
        kept_loss=np.full_like(result.kept_loss, np.inf),
    )


def no_worse_than_start(run, result, judge, data):
    """Return a result in which members that diverged predict no worse than before the run.

    The epoch before the one with the least loss may have been ruined already. With early stopping,
    held-out rows have compared the epochs with the start.
    """
    if run.plan.stops_early:
        return result
    initial = run.initial_network(data, judge.constant).select(slice(None))
    if run.has_population_statistics(initial):
        run.set_population_statistics(initial, data)
    evaluate = judge.evaluation(*sample_of(data))
    is_worse = ~(evaluate(result.network) <= evaluate(initial))
    is_worse &= result.stop_reason == "diverged"
    Snapshot.of(initial).write_to(result.network, is_worse)
    return replace(
        result,
        kept_epoch=np.where(is_worse, 0, result.kept_epoch),
        kept_loss=np.where(is_worse, np.inf, result.kept_loss),
    )


def no_worse_than_constant(run, result, validate):
    """Return a result in which members that learned nothing predict a constant if it is better.

    Held-out rows compare the constant with the initial weights that early stopping has kept.
    """
    is_over = ~np.isin(result.stop_reason, ("interrupted", "callback", "max_time"))
    unchanged = is_over & (result.kept_epoch == 0)
    if not unchanged.any() or not result.history.n_epochs:
        return result
    constant = result.network.select(slice(None))
    predict_constant(run, constant)
    is_better = ~(monitored(*validate(result.network)) <= monitored(*validate(constant)))
    is_better &= unchanged
    Snapshot.of(constant).write_to(result.network, is_better)
    return replace(result, predicts_constant=is_better if is_better.any() else None)


def predict_constant(run, network, members=slice(None)):
    """Let members of a network predict the best constant of their training rows."""
    output = network.dense_layers[-1]
    output.weight[members] = 0.0
    if run.members is None:
        _, y, weight = run.arrays(run.training)
        constant = run.loss.constant_of_known(y, weight)
        output.bias[members] = constant_biases(run.loss, constant, y)
    else:
        output.bias[members] = run.members.constant_of_members(run.loss, run.dtype)[members]


def checked(run, result, judge, data):
    """Return the result of a fit with what predictions of training rows say of its network.

    Raises ValueError if they or the statistics of batch normalisation are not finite.
    """
    network = result.network
    if not np.isfinite(network.stats).all():
        raise ValueError(
            "The statistics of batch normalisation are not finite: the inputs of its layers leave "
            f"the range of {network.params.dtype}. The input data may contain large values and "
            "need to be preprocessed: leave scaler at its default, or scale X."
        )
    if _is_known_to_be_good(run, result, judge):
        return result
    sample = sample_of(data)
    losses, constant = judge.compared(network, sample)
    _check_finite(losses)
    if run.plan.lengths is not None or "interrupted" in result.stop_reason:
        return result
    is_lost = judge.is_lost(losses, constant, result.kept_loss)
    if not judge.is_worse_than_constant(losses, constant):
        return replace(result, is_lost=is_lost and bool(network.batch_norm_layers))
    initial = run.in_common_units(run.initial_network(data, judge.constant))
    before, _ = judge.compared(initial.select(result.members), sample)
    return replace(
        result,
        is_worse_than_constant=True,
        is_worse_than_start=not losses.mean() <= before.mean(),
        is_lost=is_lost and bool(network.batch_norm_layers),
    )


def _is_known_to_be_good(run, result, judge):
    """Whether losses that are known already are below that of the best constant."""
    losses = result.kept_loss
    if run.settings.is_stochastic:  # that of an epoch is older than its steps
        losses = None if run.divergence is None else run.divergence.losses
        losses = np.nan if losses is None else losses[result.members]
    return not run.settings.batch_norm and bool(np.all(losses <= judge.constant_loss))


def _check_finite(losses):
    """Raise ValueError if losses of the weights that were kept are not finite."""
    if not np.isfinite(losses).all():
        raise ValueError(
            "Solver produced non-finite parameter weights. The input data may contain large values "
            "and need to be preprocessed. The loss of training rows is not finite, even with the "
            "weights that were kept: leave scaler and normalize_y at their defaults, or scale X "
            "and y."
        )
