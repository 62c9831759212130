"""One run of training for an estimator: from rows in the user's units to a trained network."""

import time
from functools import partial

import numpy as np

from .._warnings import warn_interrupted_callback
from ..data.source import Source, in_memory, row_chunks
from ..functions.penalties import ElasticNet
from ..functions.schedules import get_schedule
from ..network import Backprop
from ..optim import FULL_BATCH_SOLVERS
from ..optim.pipeline import Rate, make_pipeline
from ..optim.stochastic import make_optimizer
from ..preprocessing.scalers import check_finite_inputs, scaled_inputs
from ..training import Batches, EarlyStopping, Monitor, TrainingState, train, train_full_batch
from ..training.full_batch import Objective
from ..training.monitor import RateLowering
from ..training.repetition import RepeatMonitor
from .result import Outcome
from .settings import is_stochastic, member_initializers

_AUTO_BATCH_SIZE = 200
# A loss below this is the rounding error of a constant target.
_EXACT = 1e-30
# About as many rows tell the training loss well enough to see a plateau or a ruin.
_SAMPLE_ROWS = 2000
# A run that ends with so many times the loss of its start and of the constant has diverged.
_RUIN = 10.0


class Session:
    """A run of training.

    Parameters
    ----------
    estimator : BaseRegularizedMLP
        Its parameters are read, and its fitted scalers used; nothing of it is changed.
    architecture : Architecture
        The layers.
    training : Rows
        What is learned from.
    validation : Rows or None
        What the validation curves are computed on, and early stopping goes by.
    seeds : Seeds
        Of a network that is started; one that is continued has generators of its own.
    network : Network, default=None
        What to continue from; it is changed in place. None starts a new one.
    repetition : Repetition, default=None
        What tells the length of the run, where it repeats another one.

    Attributes
    ----------
    watchers : list
        They are told of each monitor, ``begin_run(monitor)`` and ``end_run(monitor)``, and called
        with it after each epoch; where one returns something true, training stops.
    deadline : float or None
        End of the time for training, on the clock of ``time.monotonic``.
    loss : Loss
        What is minimised, with the `penalty`.
    penalty : Penalty
        Of the weights; without what an optimiser decays by itself.
    """

    def __init__(
        self, estimator, architecture, training, validation, seeds, network=None, repetition=None
    ):
        self.watchers = []
        self.estimator = estimator
        self.architecture = architecture
        self.training = training
        self.validation = validation
        self.seeds = seeds
        self.loss = estimator._loss()
        self.network = network
        self.repetition = repetition
        self.deadline = None if repetition is None else repetition.deadline
        self._stops_early = estimator.do_early_stopping_ and repetition is None
        self._reference = self._constant_loss = np.inf
        self._tol = 0.0
        self.dtype = np.dtype(estimator.dtype or training.X.dtype)
        if network is not None:
            self.dtype = network.params.dtype
        strength = float(estimator.alpha) / training.total_weight
        if not np.isfinite(strength):
            raise ValueError(
                f"sample_weight must have a sum that alpha={estimator.alpha!r} can be divided by, "
                f"got {training.total_weight}. Divide the weights by their mean."
            )
        self._penalty = self.penalty = ElasticNet(strength, float(estimator.l1_ratio))
        self._pipeline = None
        if is_stochastic(estimator.solver):
            self._pipeline = self.make_pipeline()
            self.penalty = self._pipeline.penalty

    def run(self, state, scorer, incremental):
        """Train.

        Parameters
        ----------
        state : TrainingState or None
            Where to continue.
        scorer : callable(network, rows) -> scores, or None
            What early stopping goes by; None stands for the loss.
        incremental : bool
            Whether to make a single epoch of a stream.

        Returns
        -------
        outcome : Outcome
        """
        x, y, weight = self._inputs(self.training)
        constant = self.loss.constant(y, weight)
        network = self.network or self._new_network(x.shape[1], y, constant)
        state = state or self._new_state(network.n_members)
        validate = None if self.validation is None else self._validator(scorer)
        self._measure_constant(constant, y, weight)
        self._tol = float(self.estimator.tol) * self._reference
        if self.estimator.max_time is not None and self.deadline is None:
            self.deadline = time.monotonic() + self.estimator.max_time
        state.is_running = True
        if is_stochastic(self.estimator.solver):
            monitors = self._stochastic(network, state, (x, y, weight), incremental, validate)
        else:
            monitors = self._full_batch(network, state, (x, y, weight), validate)
        if network.batch_norm_layers and not incremental and not self._stops_early:
            network.set_population_statistics(x, weight)
        outcome = Outcome.of_run(network, state, monitors)
        return outcome.best_restarts(self.estimator.n_estimators)

    def make_pipeline(self, extra=()):
        """Return what a stochastic solver does at each step, and some transforms after that."""
        estimator = self.estimator
        return make_pipeline(
            make_optimizer(estimator.solver, vars(estimator)),
            penalty=self._penalty,
            max_grad_norm=estimator.max_grad_norm,
            max_norm=estimator.max_norm,
            extra=extra,
        )

    def residual_rows(self, n_rows):
        """Return rows whose residuals tell the noise: held back, or else of the training part.

        Parameters
        ----------
        n_rows : int
            No more than these.

        Returns
        -------
        x, y, weight : {ndarray, CSR matrix}, ndarray, ndarray or None
            Scaled inputs, targets, (rows, targets), and weights, (rows, 1).
        """
        return self._some_inputs(
            self.training if self.validation is None else self.validation, n_rows
        )

    def training_rows(self, n_rows):
        """Return no more than so many rows of the training part; see `residual_rows`."""
        return self._some_inputs(self.training, n_rows)

    def initial_network(self):
        """Return the network that a run starts from where it continues none, of all restarts."""
        x, y, weight = self._inputs(self.training)
        return self._new_network(x.shape[1], y, self.loss.constant(y, weight))

    def batch_size(self, n_rows):
        """Return the rows of a batch of a stochastic solver, out of so many."""
        given = self.estimator.batch_size
        return min(_AUTO_BATCH_SIZE if given == "auto" else given, n_rows)

    def _some_inputs(self, rows, n_rows):
        return self._inputs(rows.take(some_rows(len(rows), n_rows)) if len(rows) > n_rows else rows)

    def _inputs(self, rows):
        estimator = self.estimator
        x = in_memory(scaled_inputs(estimator.scaler_, estimator._encoded(rows.X), self.dtype))
        check_finite_inputs(x, estimator.scaler)
        y = estimator._scaled_targets(rows.y, self.dtype)
        weight = rows.relative_weight
        return x, y, None if weight is None else weight.astype(self.dtype)[:, np.newaxis]

    def _new_network(self, n_inputs, y, constant):
        n_started = self.estimator.n_estimators * self.estimator.n_init
        initializers = member_initializers(self.architecture, self.estimator.init, n_started)
        generators = self.seeds.init(n_started)
        network = self.architecture.build(
            n_inputs,
            self.loss.n_heads * y.shape[1],
            n_members=len(self._of_members(generators)),
            dtype=self.dtype,
        )
        network.initialize(self._of_members(initializers), self._of_members(generators))
        output, start = network.dense_layers[-1], self.loss.start(constant, y)
        if start is not None:
            output.bias[...] = start
        exact = self.estimator._exact_targets(self.training)
        if exact is not None and not isinstance(self.estimator.init, list | tuple):
            output.weight[..., np.tile(exact, self.loss.n_heads)] = 0.0
        return network

    def _new_state(self, n_members):
        n_streams, t = n_members, self.estimator.t_
        if self.repetition is not None:
            n_streams = self.estimator.n_estimators * self.estimator.n_init
        return TrainingState(
            shuffling=self._of_members(self.seeds.shuffling(n_streams, t)),
            dropout=self._of_members(self.seeds.dropout(n_streams, t)),
            rate_factors=np.ones(n_members),
        )

    def _of_members(self, values):
        """Of a list for all members that are started, return what belongs to those of this run."""
        if self.repetition is None:
            return values
        return [values[member] for member in self.repetition.members]

    def _measure_constant(self, constant, y, weight):
        """Set the loss of the best constant prediction, and what `tol` is measured in.

        That is the same; one if it is exact; and a nat for each target where the loss is a
        likelihood, whose zero means nothing.
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
            self._reference = float(y.shape[1])
        else:
            self._reference = self._constant_loss if self._constant_loss > _EXACT else 1.0

    def _stochastic(self, network, state, data, incremental, validate):
        estimator = self.estimator
        n_rows = len(data[1])
        batch_size = self.batch_size(n_rows)
        # Measured on digits, three layers: a last batch of 2 to 10 rows of 60, normalised by its
        # own moments, makes steps that cost the validation accuracy 5 to 25 points.
        smallest = max(2, batch_size // 2) if estimator.batch_norm else 2
        batches = Batches(*data, batch_size, state.shuffling, estimator.shuffle, smallest)
        stopping = self._stopping(network, state, incremental)
        learning_rate = float(estimator.learning_rate_init)
        adaptive = (
            isinstance(estimator.learning_rate, str) and estimator.learning_rate == "adaptive"
        )
        monitor = self._monitor(
            network,
            validate,
            stopping,
            lower_rates=RateLowering(state.rate_factors, learning_rate) if adaptive else None,
            **self._judged_by_sample(data, incremental, adaptive),
        )
        run = partial(
            train,
            Backprop(network, self.loss, batches.max_rows, state.dropout),
            batches,
            self._pipeline,
            state,
            monitor,
            Rate(
                learning_rate,
                self._schedule(state, batches, n_rows),
                estimator.max_iter * batches.n_steps,
            ),
            1 if incremental else self._max_epochs(),
        )
        self._watch(run, monitor)
        return [monitor]

    def _stopping(self, network, state, incremental):
        """Return what stops the run; only where it is one epoch of a stream, it goes on."""
        if not incremental:
            # Each fit runs through the schedule once and has its own patience.
            state.step, state.stopping = 0, None
            state.rate_factors[:] = 1.0
        stopping = state.stopping or EarlyStopping(network.n_members, np.inf, 0.0)
        stopping.patience, stopping.tol = self.estimator.n_iter_no_change, self._stopping_tol
        if self.repetition is not None:
            stopping.patience = np.inf
        state.stopping = stopping if incremental else None
        return stopping

    def _schedule(self, state, batches, n_rows):
        return get_schedule(
            self.estimator.learning_rate,
            power_t=float(self.estimator.power_t),
            t_start=self.estimator.t_ - state.step // batches.n_steps * n_rows,
            n_samples=n_rows,
            steps_per_epoch=batches.n_steps,
        )

    def _full_batch(self, network, state, data, validate):
        estimator = self.estimator
        state.optimizer = None  # moments of earlier steps have nothing to do with what follows
        x, y, weight = data
        if isinstance(x, Source):
            x = x.to_array()  # every evaluation takes all rows
        batches = Batches(x, y, weight, len(y), state.shuffling, shuffle=False)
        monitors, is_interrupted = [], False
        for member in range(network.n_members):
            sub_network = network.member(member)
            # Without early stopping the minimiser alone decides when it has converged.
            patience = estimator.n_iter_no_change if self._stops_early else np.inf
            stopping = EarlyStopping(1, patience, self._stopping_tol)
            monitor = self._monitor(sub_network, validate, stopping, slice(member, member + 1))
            if is_interrupted:
                monitor.interrupted()  # the keys are pressed once, for all members
            if not monitor.active.any():
                monitor.restore()
            else:
                run = partial(
                    train_full_batch,
                    Objective(sub_network, self.loss, self.penalty, next(iter(batches))),
                    FULL_BATCH_SOLVERS[estimator.solver],
                    monitor,
                    max_epochs=self._max_epochs(member),
                    max_fun=estimator.max_fun,
                    gtol=self._tol,
                )
                is_interrupted = self._watch(run, monitor)
            monitors.append(monitor)
        if is_interrupted and not any("interrupted" in each.stop_reason for each in monitors):
            warn_interrupted_callback()
        return monitors

    def _judged_by_sample(self, data, incremental, adaptive):
        """Return what the monitor judges plateaus and ruin by: the loss on a sample of rows."""
        if self._stops_early or (incremental and not adaptive):
            return {}  # the validation part is the judge, or there is nothing to be judged
        evaluate = self._evaluation(*sample_of(data))
        judged = {}
        if self.architecture.has_dropout:
            # With new masks in each step the loss is too noisy to see a plateau in: the lowest
            # value so far is soon a lucky one.
            judged["plateau_loss"] = evaluate
        if not incremental:
            judged["suspicious_loss"] = self._ruinous_loss(self._constant_loss)
            judged["tolerable_loss"] = partial(self._tolerable_loss, evaluate)
        return judged

    def _tolerable_loss(self, evaluate, initial):
        penalty = self.penalty.value(initial.params[:, : initial.n_weights])
        return self._ruinous_loss(np.maximum(evaluate(initial) + penalty, self._constant_loss))

    def _ruinous_loss(self, loss):
        if self.loss.in_nats:
            return loss + _RUIN * self._reference
        return _RUIN * np.maximum(loss, self._reference)

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

    def _monitor(self, network, validate, stopping, members=slice(None), **judges):
        make = Monitor
        if self.repetition is not None:
            make = partial(
                RepeatMonitor,
                n_epochs=self.repetition.n_epochs[members],
                lowered=self.repetition.lowered,
            )
        return make(
            network,
            stopping,
            validate=validate,
            stop_early=self._stops_early,
            deadline=self.deadline,
            report=self._report if self.watchers else None,
            **judges,
        )

    def _max_epochs(self, members=slice(None)):
        if self.repetition is None:
            return self.estimator.max_iter
        return int(np.max(self.repetition.n_epochs[members]))

    def _report(self, monitor):
        return any([watcher(monitor) for watcher in self.watchers])

    def _watch(self, run, monitor):
        """Run the training that a monitor looks after; return whether the user pressed the keys."""
        try:
            for watcher in self.watchers:
                watcher.begin_run(monitor)
        except KeyboardInterrupt:
            monitor.interrupted()
            monitor.restore()
            return True
        run()  # it deals with the keys itself
        try:
            for watcher in self.watchers:
                watcher.end_run(monitor)
        except KeyboardInterrupt:
            return True
        return "interrupted" in monitor.stop_reason

    @property
    def _stopping_tol(self):
        """The least improvement that counts; scores have no reference."""
        by_score = self._stops_early and self.estimator.scoring != "loss"
        return float(self.estimator.tol) if by_score else self._tol

    def _validator(self, scorer):
        """Return a function of a network that gives loss and score on the validation part."""
        evaluate = self._evaluation(*self._inputs(self.validation))
        rows = self.validation if scorer is None else self.validation.in_memory()

        def validate(network):
            loss = evaluate(network)
            if scorer is None:
                return loss, None
            return loss, scorer(network, rows, np.isfinite(loss))

        return validate


def sample_of(data, n_rows=_SAMPLE_ROWS):
    """Return no more than so many rows of inputs, targets and weights, the same ones each time."""
    if len(data[1]) <= n_rows:
        return data
    rows = some_rows(len(data[1]), n_rows)
    return tuple(None if values is None else values[rows] for values in data)


def some_rows(n_rows, n_drawn):
    """Return sorted numbers of some rows, the same at each call."""
    # Drawn, for rows may come in a periodic order; with a seed of its own, for it is no part of the
    # training whose random numbers the user chooses.
    return np.sort(np.random.default_rng(n_rows).choice(n_rows, n_drawn, replace=False))
