"""One run of training: from rows in the user's units to a trained network."""

import math
import time
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from .._warnings import warn_interrupted_callback
from ..data.source import Source, in_memory, row_chunks
from ..functions.schedules import get_schedule
from ..network import Backprop, Network
from ..optim import FULL_BATCH_SOLVERS
from ..optim.pipeline import Rate, make_pipeline
from ..training import (
    Batches,
    EarlyStopping,
    History,
    Monitor,
    NoisyPlateau,
    TrainingState,
    train,
    train_full_batch,
)
from ..training.full_batch import Objective
from ..training.monitor import RateLowering
from ..uncertainty.noise import (
    count_rows,
    estimate_noise,
    n_residual_rows,
    noise_before_fit,
)
from .settings import member_initializers

# A loss below this is the rounding error of a constant target.
_EXACT = 1e-30
# About as many rows tell the training loss well enough to see a plateau or a divergence.
_SAMPLE_ROWS = 2000
# A run has diverged if it ends with more than this many times the larger of the losses of the
# initial weights and of the best constant.
_DIVERGENCE_FACTOR = 10.0


@dataclass(frozen=True)
class Plan:
    """How long a run lasts, and what may end it before.

    Parameters
    ----------
    max_epochs : int
        Largest number of epochs.
    stops_early : bool, default=False
        Whether the validation part decides when to stop and which epoch to keep.
    is_stream : bool, default=False
        Whether the run is one epoch of a stream: patience goes on from call to call, running
        statistics stay, and no run is judged by its end.
    members : ndarray of int, default=None
        For a repetition of an earlier run: numbers of the restarts that were kept.
    lengths : ndarray of int of shape (members,), default=None
        For a repetition: the number of epochs of each member.
    lowered : sequence of (int, ndarray of bool), default=()
        For a repetition: the epochs after which the rates of some members are lowered.
    deadline : float, default=None
        End of training on the clock of ``time.monotonic``.
    """

    max_epochs: int
    stops_early: bool = False
    is_stream: bool = False
    members: np.ndarray | None = None
    lengths: np.ndarray | None = None
    lowered: list = ()
    deadline: float | None = None

    @classmethod
    def of_fit(cls, settings, stops_early):
        """Return the plan of a fit that begins now."""
        return cls(settings.max_iter, stops_early=stops_early, deadline=_deadline(settings))

    @classmethod
    def of_stream(cls, settings):
        """Return the plan of a call of ``partial_fit`` that begins now."""
        return cls(1, is_stream=True, deadline=_deadline(settings))

    def repeated(self, result):
        """Return the plan that repeats a run: as many epochs, and the same rates."""
        lengths = result.kept_epoch
        return Plan(
            int(lengths.max()),
            members=result.members,
            lengths=lengths,
            lowered=result.lowered,
            deadline=self.deadline,
        )

    def shortened(self, seconds):
        """Return the plan of a run that took so many seconds before it was cut."""
        deadline = None if self.deadline is None else self.deadline - seconds
        return replace(self, deadline=deadline)

    def of_members(self, values):
        """Of a list for all networks that are started, return those of this run."""
        return values if self.members is None else [values[member] for member in self.members]


def _deadline(settings):
    return None if settings.max_time is None else time.monotonic() + settings.max_time


@dataclass(frozen=True)
class RunResult:
    """What a run of training leaves, for each member.

    Parameters
    ----------
    network : Network
        With the parameters that were kept.
    state : TrainingState or None
        From which training can continue.
    history : History
        Curves.
    stop_reason : ndarray of object of shape (members,)
        See `skregnet.training.Monitor`.
    kept_epoch : ndarray of int of shape (members,)
        The epoch whose parameters were kept.
    kept_loss : ndarray of shape (members,)
        Its training loss.
    members : ndarray of int of shape (members,)
        Numbers of the members among all that were started.
    lowered : list of (int, ndarray of bool of shape (members,))
        See `skregnet.training.Monitor`.
    """

    network: Network
    state: TrainingState | None
    history: History
    stop_reason: np.ndarray
    kept_epoch: np.ndarray
    kept_loss: np.ndarray
    members: np.ndarray
    lowered: list

    @classmethod
    def of_monitors(cls, network, state, monitors):
        """Join the monitors of a run that is over: one, or one for each member."""
        history = monitors[0].history
        if len(monitors) > 1:
            history = History.merge([monitor.history for monitor in monitors])
        return cls(
            network,
            state,
            history,
            np.concatenate([monitor.stop_reason for monitor in monitors]),
            np.concatenate([monitor.kept_epoch for monitor in monitors]),
            np.concatenate([monitor.kept_loss() for monitor in monitors]),
            np.arange(network.n_members),
            monitors[0].lowered,
        )

    @classmethod
    def so_far(cls, monitor):
        """Return the result as if a callback had ended the run with the newest epoch.

        Early stopping would go back to the best epoch; here it is the newest one.
        """
        network, epoch = monitor.snapshot()
        state = monitor.state.copy()
        state.end_run()
        reason = np.where(np.equal(monitor.stop_reason, None), "callback", monitor.stop_reason)
        return cls(
            network,
            state,
            monitor.history,
            reason,
            epoch,
            monitor.kept_loss(epoch),
            np.arange(network.n_members),
            monitor.lowered,
        )

    @property
    def mean_kept_loss(self):
        """Mean over the members; NaN where initial weights were kept."""
        return float(np.mean(np.where(self.kept_epoch > 0, self.kept_loss, np.nan)))

    def best_restarts(self, n_kept):
        """Keep so many members: of the restarts of each, the one with the least training loss."""
        if self.network.n_members <= n_kept:
            return self
        losses = np.where(np.isfinite(self.kept_loss), self.kept_loss, np.inf).reshape(n_kept, -1)
        members = losses.argmin(axis=1) + np.arange(n_kept) * losses.shape[1]
        return RunResult(
            self.network.select(members),
            None if self.state is None else self.state.select(members),
            self.history.select(members),
            self.stop_reason[members],
            self.kept_epoch[members],
            self.kept_loss[members],
            self.members[members],
            [(epoch, lowered[members]) for epoch, lowered in self.lowered],
        )


class Run:
    """A run of training.

    Parameters
    ----------
    settings : Settings
    plan : Plan
    inputs, targets : Inputs, RealTargets or ClassTargets
        Fitted.
    training : Rows
        Rows to learn from.
    validation : Rows or None
        Rows that the validation curves are computed on.
    seeds : Seeds
        Seeds of a network that is started.
    start : Start, default=None
        What the run continues from; None starts a new network.

    Attributes
    ----------
    loss : Loss
        What is minimised, with the `penalty`.
    penalty : Penalty
        Penalty of the weights for all training rows together.
    """

    def __init__(self, settings, plan, inputs, targets, training, validation, seeds, start=None):
        self.settings = settings
        self.plan = plan
        self.inputs = inputs
        self.targets = targets
        self.training = training
        self.validation = validation
        self.seeds = seeds
        self.start = start
        self.watchers = ()
        self.loss = targets.loss
        self.dtype = np.dtype(settings.dtype or training.X.dtype)
        if start is not None:
            self.dtype = start.model.dtype
        strength = float(settings.alpha) / training.total_weight
        if not np.isfinite(strength):
            raise ValueError(
                f"sample_weight must have a sum that alpha={settings.alpha!r} can be divided by, "
                f"got {training.total_weight}. Divide the weights by their mean."
            )
        self.penalty = settings.unit_penalty.scaled(strength)

    @property
    def penalty_of_loss(self):
        """The part of the penalty that belongs to the loss: an optimiser may decay the weights."""
        return self.pipeline().penalty if self.settings.is_stochastic else self.penalty

    # ---- data

    def arrays(self, rows):
        """Return rows as the network and the loss take them.

        Returns
        -------
        x, y, weight : {ndarray, Source, CSR matrix}, ndarray, ndarray or None
            Scaled inputs, targets, (rows, targets), and weights of mean one, (rows, 1).
        """
        x = in_memory(self.inputs.scaled(rows.X, self.dtype))
        self.inputs.check_finite(x)
        y = self.targets.for_loss(rows.y, self.dtype)
        weight = rows.relative_weight
        return x, y, None if weight is None else weight.astype(self.dtype)[:, np.newaxis]

    def sample(self, rows, n_rows):
        """Return the arrays of at most so many of the rows, the same ones each time."""
        return self.arrays(rows.take(some_rows(len(rows), n_rows)) if len(rows) > n_rows else rows)

    # ---- where a run begins

    def initial_network(self):
        """Return the network that a run starts from, with all restarts."""
        x, y, weight = self.arrays(self.training)
        return self._new_network(x.shape[1], y, self.loss.constant(y, weight))

    def _new_network(self, n_inputs, y, constant):
        settings, of_members = self.settings, self.plan.of_members
        n_started = settings.n_started
        initializers = of_members(
            member_initializers(settings.architecture, settings.init, n_started)
        )
        generators = of_members(self.seeds.init(n_started))
        network = settings.architecture.build(
            n_inputs,
            self.loss.n_heads * y.shape[1],
            n_members=len(generators),
            dtype=self.dtype,
        )
        network.initialize(initializers, generators)
        output, start = network.dense_layers[-1], self.loss.start(constant, y)
        if start is not None:
            output.bias[...] = start
        exact = self.targets.exact(self.training)
        if exact is not None and not isinstance(settings.init, list | tuple):
            output.weight[..., np.tile(exact, self.loss.n_heads)] = 0.0
        return network

    def _new_state(self, n_members):
        n_streams = n_members if self.plan.members is None else self.settings.n_started
        rows_seen = 0 if self.start is None else self.start.continuation.rows_seen
        of_members = self.plan.of_members
        return TrainingState(
            shuffling=of_members(self.seeds.shuffling(n_streams, rows_seen)),
            dropout=of_members(self.seeds.dropout(n_streams, rows_seen))
            if self.settings.architecture.has_dropout
            else [],
            rate_factors=np.ones(n_members),
        )

    # ---- the run

    def train(self, scorer=None, watchers=(), checkpoint=None):
        """Train.

        Parameters
        ----------
        scorer : callable(network, rows, finite) -> scores, default=None
            What early stopping goes by; None stands for the loss.
        watchers : sequence
            They are told of each monitor, ``begin_run(monitor)`` and ``end_run(monitor)``, and
            called with it after each epoch; training stops where one returns something true.
        checkpoint : skregnet.training.Checkpoint, default=None
            Taken by a watcher in a run of the same settings, data and start that was cut: this run
            continues with the next epoch and ends with the bits of one that was not cut.

        Returns
        -------
        result : RunResult
        """
        self.watchers = watchers
        x, y, weight = data = self.arrays(self.training)
        constant = self.loss.constant(y, weight)
        self._initial = partial(self._new_network, x.shape[1], y, constant)
        state = None
        if self.start is not None:
            self._initial = lambda: self.start.model.network
            state = self.start.continuation.state
        # Copies: a run that fails leaves the fitted model as it was.
        network = self._initial().select(slice(None))
        if checkpoint is not None:
            state = checkpoint.restore(network)
            self.plan = self.plan.shortened(state.elapsed)
        else:
            state = self._new_state(network.n_members) if state is None else state.copy()
        validate = None if self.validation is None else self._validator(scorer)
        self._measure_constant(constant, y, weight)
        if self.settings.is_stochastic:
            monitors = self._stochastic(network, state, data, validate)
        else:
            monitors = self._full_batch(network, state, data, validate)
        if network.batch_norm_layers and not self.plan.is_stream and not self.plan.stops_early:
            network.set_population_statistics(x, weight)
        state.end_run(keep_patience=self.plan.is_stream)
        result = RunResult.of_monitors(network, state, monitors)
        return result.best_restarts(self.settings.n_estimators)

    def _measure_constant(self, constant, y, weight):
        """Set the loss of the best constant, and the unit of `tol`.

        The unit is that loss; one if the constant is exact; and a nat for each target for a
        likelihood, whose zero has no meaning.
        """
        constant = constant.astype(y.dtype, copy=False)
        value = self._loss_in_chunks(
            lambda rows: np.broadcast_to(constant, (1, len(y[rows]), len(constant))),
            y,
            weight,
            1.0 / len(y),
        )
        self._constant_loss = float(value[0])
        if self.loss.in_nats:
            self._unit = float(y.shape[1])
        else:
            self._unit = self._constant_loss if self._constant_loss > _EXACT else 1.0
        self._tol = float(self.settings.tol) * self._unit

    def _stochastic(self, network, state, data, validate):
        settings, plan = self.settings, self.plan
        batches = self._batches(data, state)
        self._begin(network, state)
        lower_rates = None
        if settings.is_adaptive:
            lower_rates = RateLowering(state.rate_factors, float(settings.learning_rate_init))
        monitor = self._monitor(
            network, state, validate, lower_rates=lower_rates, **self._judges(data)
        )
        backprop = Backprop(network, self.loss, batches.max_rows, state.dropout)
        rate, pipeline = self._rate(state, batches), self.pipeline()
        self._watch(
            partial(train, backprop, batches, pipeline, state, monitor, rate, plan.max_epochs),
            monitor,
        )
        return [monitor]

    def _batches(self, data, state):
        settings = self.settings
        batch_size = settings.rows_of_batch(len(data[1]))
        # Measured on digits, three layers: a last batch of 2 to 10 rows of 60, normalised by its
        # own moments, makes steps that cost the validation accuracy 5 to 25 points.
        smallest = max(2, batch_size // 2) if settings.batch_norm else 2
        return Batches(*data, batch_size, state.shuffling, settings.shuffle, smallest)

    def make_steps(self, network, state, data, n_steps, learning_rate, transform):
        """Make steps on a network, which changes, with one more transform at the end of each.

        Parameters
        ----------
        network, state : Network, TrainingState
            Both are changed.
        data : tuple of (x, y, weight)
            What `arrays` returns. No more rows are used than the steps need.
        n_steps : int
            At least so many steps are made: the run stops at the end of an epoch.
        learning_rate : float
        transform : skregnet.optim.pipeline.Transform
        """
        batch_size = self.settings.rows_of_batch(len(data[1]))
        batches = self._batches(sample_of(data, (n_steps + 1) * batch_size), state)
        state.begin_run(EarlyStopping(network.n_members, np.inf, 0.0))
        train(
            Backprop(network, self.loss, batches.max_rows, state.dropout),
            batches,
            self.pipeline(transform),
            state,
            Monitor(network, state),
            Rate(learning_rate),
            math.ceil(n_steps / batches.n_steps),
        )

    def pipeline(self, *extra):
        """Return the steps behind the gradient; further ones come last."""
        settings = self.settings
        return make_pipeline(
            settings.optimizer,
            penalty=self.penalty,
            max_grad_norm=settings.max_grad_norm,
            max_norm=settings.max_norm,
            extra=extra,
        )

    def _begin(self, network, state):
        """Set what counts the epochs without improvement, unless a run that was cut goes on."""
        if state.run is not None:
            return
        if not self.plan.is_stream:
            # Each fit runs through the schedule once and has its own patience.
            state.step, state.stopping = 0, None
            state.rate_factors[:] = 1.0
        make = NoisyPlateau if self.settings.architecture.has_dropout else EarlyStopping
        stopping = state.stopping or make(network.n_members, np.inf, 0.0)
        stopping.patience, stopping.tol = self.settings.n_iter_no_change, self._stopping_tol
        if self.plan.lengths is not None:
            stopping.patience = np.inf
        state.begin_run(stopping)

    def _rate(self, state, batches):
        settings, n_rows = self.settings, len(self.training)
        rows_seen = 0 if self.start is None else self.start.continuation.rows_seen
        schedule = get_schedule(
            settings.learning_rate,
            power_t=float(settings.power_t),
            t_start=rows_seen - (state.step // batches.n_steps - state.epoch) * n_rows,
            n_samples=n_rows,
            steps_per_epoch=batches.n_steps,
        )
        n_steps = settings.max_iter * batches.n_steps
        return Rate(float(settings.learning_rate_init), schedule, n_steps)

    def _full_batch(self, network, state, data, validate):
        settings = self.settings
        state.optimizer = None  # moments of earlier steps have nothing to do with what follows
        x, y, weight = data
        if isinstance(x, Source):
            x = x.to_array()  # every evaluation takes all rows
        batches = Batches(x, y, weight, len(y), state.shuffling, shuffle=False)
        monitors, is_interrupted = [], False
        for member in range(network.n_members):
            one = network.member(member)
            # Without early stopping the minimiser alone decides when it has converged.
            patience = settings.n_iter_no_change if self.plan.stops_early else np.inf
            own_state = state.select([member])
            own_state.begin_run(EarlyStopping(1, patience, self._stopping_tol))
            monitor = self._monitor(one, own_state, validate, slice(member, member + 1))
            if is_interrupted:
                monitor.interrupted()  # one KeyboardInterrupt ends the training of all members
            if not monitor.active.any():
                monitor.restore()
            else:
                lengths = self.plan.lengths
                run = partial(
                    train_full_batch,
                    Objective(one, self.loss, self.penalty, next(iter(batches))),
                    FULL_BATCH_SOLVERS[settings.solver],
                    monitor,
                    max_epochs=self.plan.max_epochs if lengths is None else int(lengths[member]),
                    max_fun=settings.max_fun,
                    gtol=self._tol,
                )
                is_interrupted = self._watch(run, monitor)
            monitors.append(monitor)
        if is_interrupted and not any("interrupted" in each.stop_reason for each in monitors):
            warn_interrupted_callback()
        return monitors

    def noise(self, network):
        """Return the estimate of the targets' noise; None for classes."""
        if self.targets.is_classifier:
            return None
        precision, start = self.settings.noise_precision, self.start
        n_rows = n_residual_rows(network, self.loss, precision)
        rows = self.training if self.validation is None else self.validation
        return estimate_noise(
            network,
            self.loss,
            self.sample(rows, n_rows) if n_rows else None,
            is_held_out=self.validation is not None,
            n_training_rows=count_rows(self.training),
            y_scale=self.targets.y_scale,
            noise_precision=precision,
            stream=None if start is None else start.model.noise.stream,
            is_stream=self.plan.is_stream,
        )

    def unknown_noise(self):
        """Return what is known of the noise while the network is being trained."""
        if self.targets.is_classifier:
            return None
        return noise_before_fit(self.loss, self.settings.noise_precision)

    # ---- what judges a run

    def _judges(self, data):
        """Return what the monitor judges plateaus and divergence by: the loss on a sample of rows.

        The validation part judges a run that stops early; an epoch of a stream is not judged.
        """
        plan = self.plan
        if plan.stops_early or (plan.is_stream and not self.settings.is_adaptive):
            return {}
        evaluate = self._evaluation(*sample_of(data))
        judges = {}
        if self.settings.architecture.has_dropout:
            # With new masks in each step the training loss is too noisy to show a plateau: its
            # lowest value so far is soon a lucky one.
            judges["plateau_loss"] = evaluate
        if not plan.is_stream:
            judges["suspicious_loss"] = self._diverged_loss(self._constant_loss)
            judges["tolerable_loss"] = partial(self._tolerable_loss, evaluate)
        return judges

    def _tolerable_loss(self, evaluate):
        initial = self._initial()
        penalty = self.penalty_of_loss.value(initial.params[:, : initial.n_weights])
        return self._diverged_loss(np.maximum(evaluate(initial) + penalty, self._constant_loss))

    def _diverged_loss(self, loss):
        if self.loss.in_nats:
            return loss + _DIVERGENCE_FACTOR * self._unit
        return _DIVERGENCE_FACTOR * np.maximum(loss, self._unit)

    def _evaluation(self, x, y, weight):
        """Return a function network -> loss of each member on the given rows, in prediction."""
        scale = 1.0 / (len(y) if weight is None else float(weight.sum(dtype=np.float64)))
        return lambda network: self._loss_in_chunks(
            lambda rows: network.infer(x[rows]), y, weight, scale, x.shape[1]
        )

    def _loss_in_chunks(self, raw_predictions, y, weight, scale, n_columns=1):
        """Loss of what a function returns for slices of the rows; little memory is taken."""
        return sum(
            self.loss.value(
                raw_predictions(rows),
                y[np.newaxis, rows],
                None if weight is None else weight[np.newaxis, rows],
                scale,
            )
            for rows in row_chunks(len(y), max(n_columns, self.loss.n_heads * y.shape[1]))
        )

    def _validator(self, scorer):
        """Return a function of a network that gives loss and score on the validation part."""
        evaluate = self._evaluation(*self.arrays(self.validation))
        rows = self.validation if scorer is None else self.validation.in_memory()

        def validate(network):
            loss = evaluate(network)
            if scorer is None:
                return loss, None
            return loss, scorer(network, rows, np.isfinite(loss))

        return validate

    @property
    def _stopping_tol(self):
        """The least improvement that counts; scores have no unit."""
        by_score = self.plan.stops_early and self.settings.scoring != "loss"
        return float(self.settings.tol) if by_score else self._tol

    # ---- monitors and watchers

    def _monitor(self, network, state, validate, members=slice(None), **judges):
        plan = self.plan
        return Monitor(
            network,
            state,
            validate=validate,
            stop_early=plan.stops_early,
            lengths=None if plan.lengths is None else plan.lengths[members],
            lowered=plan.lowered,
            deadline=plan.deadline,
            report=self._report if self.watchers else None,
            **judges,
        )

    def _report(self, monitor):
        return any([watcher(monitor) for watcher in self.watchers])

    def _watch(self, run, monitor):
        """Run the training that a monitor looks after; return whether it was interrupted."""
        try:
            for watcher in self.watchers:
                watcher.begin_run(monitor)
        except KeyboardInterrupt:
            monitor.interrupted()
            monitor.restore()
            return True
        run()  # it handles KeyboardInterrupt itself
        try:
            for watcher in self.watchers:
                watcher.end_run(monitor)
        except KeyboardInterrupt:
            return True
        return "interrupted" in monitor.stop_reason


def sample_of(data, n_rows=_SAMPLE_ROWS):
    """Return at most so many rows of inputs, targets and weights, the same ones each time."""
    if len(data[1]) <= n_rows:
        return data
    rows = some_rows(len(data[1]), n_rows)
    return tuple(None if values is None else values[rows] for values in data)


def some_rows(n_rows, n_drawn):
    """Return the sorted numbers of some rows, the same at each call."""
    # Drawn, for rows may come in a periodic order; with a seed of its own, for it is no part of the
    # training whose random numbers the user chooses.
    return np.sort(np.random.default_rng(n_rows).choice(n_rows, n_drawn, replace=False))
