"""One run of training: from rows in the user's units to a trained network."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.sparse import issparse

from .._warnings import ends_search, warn_interrupted_callback
from ..data.rows import some_known, some_rows
from ..data.source import Source, in_memory
from ..functions.schedules import get_schedule
from ..kernels.blas import MOST_ELEMENTS
from ..network import Backprop
from ..optim import FULL_BATCH_SOLVERS
from ..optim.pipeline import PIPELINE_OPTIONS, Rate, make_pipeline
from ..optim.stochastic import STOCHASTIC_OPTIMIZERS
from ..training import (
    Batches,
    CycleStopping,
    EarlyStopping,
    Monitor,
    NoisyPlateau,
    TrainingState,
    train,
    train_full_batch,
)
from ..training.full_batch import Objective
from ..training.monitor import RateLowering
from .checks import checked_epochs, now_and_then
from .divergence import (
    FitDivergence,
    StreamDivergence,
    checked,
    no_worse_than_constant,
    no_worse_than_start,
    undone,
)
from .judge import Judge, sample_of
from .parallel import n_processes, train_in_processes
from .run_result import RunResult
from .settings import is_auto, member_initializers, n_zero_inputs


class Run:
    """A run of training.

    Parameters
    ----------
    settings, plan : Settings, Plan
    inputs, targets : Inputs, RealTargets or ClassTargets
        Fitted.
    training, validation : Rows, Rows or None
        Rows to learn from, and rows that the validation curves are computed on.
    seeds : Seeds
        Seeds of a network that is started.
    start : Start, default=None
        What the run continues from; None starts a new network.
    members : OutOfFold, default=None
        The rows of each member, if they are on folds or bootstrap samples; `validation` is None
        then.
    is_given : bool, default=False
        Whether the user gave the validation rows.
    """

    def __init__(
        self,
        settings,
        plan,
        inputs,
        targets,
        training,
        validation,
        seeds,
        start=None,
        members=None,
        is_given=False,
    ):
        self.settings = settings
        self.plan = plan
        self.inputs, self.targets = inputs, targets
        self.training = training
        self.validation = validation
        self.seeds = seeds
        self.start = start
        self.members = members
        self.is_given = is_given
        self.watchers = ()
        self.first_epochs = None  # length of the first cycle of the learning rate
        self.divergence = None  # what judges the end of the run
        self._arrays = None  # of the training rows
        self.loss = targets.loss
        self.dtype = np.dtype(settings.dtype or training.X.dtype)
        if start is not None:
            self.dtype = start.model.dtype
        total_weight = training.total_weight if members is None else members.total_weight
        strength = float(settings.alpha) / total_weight
        if not np.isfinite(strength):
            raise ValueError(
                f"sample_weight must have a sum that alpha={settings.alpha!r} can be divided by, "
                f"got {total_weight}. Divide the weights by their mean."
            )
        self.penalty = settings.penalty_of(strength)

    def train(self, scorer=None, watchers=(), checkpoint=None):
        """Train.

        Parameters
        ----------
        scorer : callable(network, rows, finite) -> scores, default=None
            Validation score for early stopping; None means the loss.
        watchers : sequence
            Their ``begin_run(monitor)`` and ``end_run(monitor)`` are called, and they themselves
            after each epoch. Training stops if one of them returns True.
        checkpoint : skregnet.training.Checkpoint, default=None
            Taken by a watcher in a run of the same settings, data and start that was cut: this run
            continues with the next epoch and ends with the bits of one that was not cut.

        Returns
        -------
        result : RunResult
        """
        if checkpoint is not None and not self.settings.is_stochastic:
            raise ValueError(
                f"solver={self.settings.solver!r} cannot continue from a checkpoint: it keeps no "
                "state between iterations. Use a stochastic solver, or fit without checkpoint."
            )
        self.watchers = watchers
        data = self.arrays(self.training)
        spread = self.targets.spread_for_loss(*data[1:])
        judge = Judge(self.loss, data, self.settings.tol, spread)
        network, state = self.initial_network(data, judge.constant), None
        if self.start is not None:
            # Copies: a run that fails leaves the fitted model as it was.
            network, state = network.select(slice(None)), self.start.continuation.state
            state = None if state is None else state.copy()
        if checkpoint is not None:
            state = checkpoint.restore(network)
            self.plan = self.plan.resumed(state.elapsed)
        state = state or self.new_state(network.n_members)
        validate = self._validator(judge, scorer)
        run = self._stochastic if self.settings.is_stochastic else self._full_batch
        with self._threads(network, data):
            monitors = run(network, state, data, judge, validate)
            if self.has_population_statistics(network):
                self.set_population_statistics(network, data)
        state.end_run(keep_patience=self.plan.is_stream)
        result = RunResult.of_monitors(network, state, monitors)
        if self.start is None and self.plan.stops_early and not result.kept_epoch.all():
            result = no_worse_than_constant(self, result, validate)
        if "diverged" in result.stop_reason:
            undo = undone if self.plan.is_stream else no_worse_than_start
            result = undo(self, result, judge, data)
        result = result.best_restarts(self.settings.n_estimators)
        result = replace(result, network=self.in_common_units(result.network))
        return result if self.plan.is_stream else checked(self, result, judge, data)

    def has_population_statistics(self, network):
        """Whether batch normalisation gets statistics of all rows after training."""
        is_fit = not self.plan.is_stream and not self.plan.stops_early
        return is_fit and bool(network.batch_norm_layers)

    def set_population_statistics(self, network, data, members=None):
        """Set the statistics of a network that has all members, or those of the given numbers."""
        if self.members is None:
            network.set_population_statistics(data[0], data[2])
        else:
            self.members.set_population_statistics(network, data[0], members)

    def in_common_units(self, network):
        """Return a network that predicts the targets in the scaling that is published."""
        return network if self.members is None else self.members.in_common_units(network)

    @property
    def chooses_embedding(self):
        """Whether held-out rows decide if the numbers have bins."""
        leaves_it = is_auto(self.settings.given["numeric_embedding"])
        return leaves_it and self.plan.stops_early and self.start is None and self.inputs.n_bins > 0

    def without_bins(self):
        """Return the run of the same fit without numeric embedding."""
        return Run(
            self.settings.changed(numeric_embedding=None),
            self.plan,
            self.inputs.without_bins(),
            self.targets,
            self.training,
            self.validation,
            self.seeds,
            members=self.members,
            is_given=self.is_given,
        )

    @property
    def n_training(self):
        """Number of rows that a network reads in an epoch."""
        return len(self.training) if self.members is None else self.members.folds.n_training

    @property
    def is_held_out(self):
        """Whether there are rows that show the error on new ones."""
        return self.validation is not None or self.members is not None

    def _threads(self, network, data):
        """Return the context in which batches of the rows are computed."""
        # The BLAS may also divide long vectors between threads.
        only_products = network.params.shape[1] <= MOST_ELEMENTS
        return network.threads(self._rows_of_batch(data), issparse(data[0]), only_products)

    def _rows_of_batch(self, data):
        n_rows = len(data[1])
        return self.settings.rows_of_batch(n_rows) if self.settings.is_stochastic else n_rows

    @property
    def n_networks(self):
        """Number of networks that are trained: with all restarts, unless training continues."""
        if self.start is not None:
            return self.start.model.network.n_members
        return len(self.plan.of_members(range(self.settings.n_started)))

    # ---- rows and networks

    def arrays(self, rows):
        """Return rows as network and loss take them: inputs, targets, weights of mean one or None.

        Inputs are an array, a `Source` or a CSR matrix, (rows, inputs), targets (rows, targets),
        weights (rows, 1), or (rows, targets) if targets are missing.
        """
        if rows is self.training and self._arrays is not None:
            return self._arrays
        x = in_memory(self.inputs.scaled(rows.X, self.dtype, self._n_inputs))
        self.inputs.check_finite(x)
        y, weight = self.for_loss(rows, self.targets)
        if rows is self.training:
            self._arrays = x, y, weight
        return x, y, weight

    def for_loss(self, rows, targets):
        """Return scaled targets and weights of rows, as `arrays` does."""
        weight = rows.loss_weight
        weight = None if weight is None else weight.astype(self.dtype)
        return targets.for_loss(rows.y, self.dtype), weight

    @property
    def _n_inputs(self):
        """Number of inputs of the network; None before the first training rows are scaled."""
        if self.start is not None:
            return self.start.model.n_inputs
        return None if self._arrays is None else self._arrays[0].shape[1]

    def sample(self, rows, n_rows):
        """Return the arrays of at most so many of the rows, the same ones each time.

        If targets are missing, it is at most so many rows for each target.
        """
        if len(rows) > n_rows:
            if rows.known is None:
                rows = rows.take(some_rows(len(rows), n_rows))
            else:
                numbers, known = some_known(rows.known, n_rows)
                rows = replace(rows.take(numbers), known=known)
        return self.arrays(rows)

    @property
    def _rows_seen(self):
        return 0 if self.start is None else self.start.continuation.rows_seen

    def initial_network(self, data, constant):
        """Return the network before the run; not a copy."""
        return self.new_network(data, constant) if self.start is None else self.start.model.network

    def new_network(self, data=None, constant=None):
        """Return the network that a fit starts from, with all restarts."""
        x, y, weight = self.arrays(self.training) if data is None else data
        constant = self.loss.constant_of_known(y, weight) if constant is None else constant
        settings, of_members = self.settings, self.plan.of_members
        n_started = settings.n_started
        generators = of_members(self.seeds.init(n_started))
        network = settings.architecture.build(
            x.shape[1],
            self.loss.n_heads * y.shape[1],
            n_members=len(generators),
            dtype=self.dtype,
            n_numbers=x.shape[1] - self.inputs.n_bins - self.inputs.n_indicators,
            n_zero_inputs=n_zero_inputs(settings.init, x.shape[1], self.inputs.n_bins),
        )
        initializers = member_initializers(settings.architecture, settings.init, n_started)
        network.initialize(of_members(initializers), generators)
        output, start = network.dense_layers[-1], self.loss.start(constant, y)
        if self.members is not None:
            start = self.members.start_of_members(self.loss, self.dtype)
        if start is not None:
            output.bias[...] = start
        exact = self.targets.exact(self.training)
        if exact is not None and not isinstance(settings.init, list | tuple):
            output.weight[..., np.tile(exact, self.loss.n_heads)] = 0.0
        return network

    def new_state(self, n_members):
        """Return the state before a first run."""
        n_streams = n_members if self.plan.members is None else self.settings.n_started
        shuffling = self.seeds.shuffling(n_streams, self._rows_seen)
        dropout = []
        if self.settings.architecture.has_dropout:
            dropout = self.plan.of_members(self.seeds.dropout(n_streams, self._rows_seen))
        return TrainingState(self.plan.of_members(shuffling), dropout, np.ones(n_members))

    # ---- stochastic solvers

    def _stochastic(self, network, state, data, judge, validate):
        settings = self.settings
        if self.members is None:
            batches = self._batches(data, state)
        else:
            of_members = self.members.member_targets(*data[1:])
            batches = self._batches((data[0], *of_members), state, self.members.rows_of_members)
        is_new_run = state.run is None
        if is_new_run and not self.plan.is_stream:
            # Each fit runs through the schedule once and has its own patience.
            state.step, state.stopping = 0, None
            state.rate_factors[:] = 1.0
        rate, ends = self._rate(state, batches), ()
        if hasattr(rate.schedule, "ends") and self.plan.lengths is None:
            ends = rate.schedule.ends(self.plan.max_epochs)
            self.plan = replace(self.plan, max_epochs=ends[-1])  # watchers read it
        if is_new_run:
            self._begin(network, state, judge, ends)
        if validate is not None and ends and settings.n_iter_no_change == "auto":
            # A patience in epochs would count repeated values as epochs without improvement.
            validate = partial(now_and_then, validate, state, checked_epochs(ends))
        lower_rates = None
        if settings.is_adaptive:
            lower_rates = RateLowering(state.rate_factors, float(settings.learning_rate_init))
        n_jobs, backprop = self._n_processes(network, data), None
        if n_jobs == 1:
            backprop = Backprop(network, self.loss, batches.max_rows, state.dropout)
        judged_by = self._judged_by(judge, data, state, backprop)
        monitor = self._monitor(network, state, validate, lower_rates=lower_rates, **judged_by)
        what = batches, self.pipeline(), state, monitor, rate, self.plan.max_epochs
        run = partial(train, backprop, *what)
        if n_jobs > 1:
            run = partial(
                train_in_processes,
                self.loss,
                network,
                *what,
                n_jobs=n_jobs,
                needs_state=any(getattr(each, "needs_state", True) for each in self.watchers),
            )
        self._watch(run, monitor)
        return [monitor]

    def _n_processes(self, network, data):
        """Return the number of processes that train the members; one means this one alone."""
        settings = self.settings
        # Steps of members with rates of their own have other bits than steps of members that share
        # one, and so have products that several threads compute. States of a user's optimiser may
        # have arrays without members.
        if (
            self.plan.is_stream
            or settings.is_adaptive
            or type(settings.optimizer) not in STOCHASTIC_OPTIMIZERS.values()
            or network.uses_threads(self._rows_of_batch(data), issparse(data[0]))
        ):
            return 1
        return n_processes(settings.parameters.get("n_jobs", 1), network.n_members)

    def _batches(self, data, state, rows=None):
        settings = self.settings
        n_rows = len(data[1]) if rows is None else rows.shape[1]
        batch_size = settings.rows_of_batch(n_rows)
        # Measured on digits, three layers: a last batch of 2 to 10 rows of 60, normalised by its
        # own moments, makes steps that cost the validation accuracy 5 to 25 points.
        smallest = max(2, batch_size // 2) if settings.batch_norm else 2
        return Batches(*data, batch_size, state.shuffling, settings.shuffle, smallest, rows)

    def _begin(self, network, state, judge, ends):
        """Set up the early stopping of a run; `ends` are those of cycles of the learning rate."""
        make = NoisyPlateau if self.settings.architecture.has_dropout else EarlyStopping
        patience = self.settings.n_iter_no_change
        if ends and patience == "auto":
            n_before, patience = int(self.plan.stops_early), 1
            make = partial(CycleStopping, ends=ends, n_before=n_before)
        stopping = state.stopping or make(network.n_members, np.inf, 0.0)
        stopping.patience = patience if self.plan.lengths is None else np.inf
        stopping.tol = self._tol(judge)
        state.begin_run(stopping)

    def pipeline(self, *extra):
        """Return the transforms of a step; `extra` ones come last."""
        given = self.settings.parameters
        options = {name: given[name] for name in PIPELINE_OPTIONS if name in given}
        return make_pipeline(self.settings.optimizer, penalty=self.penalty, extra=extra, **options)

    @property
    def penalty_of_loss(self):
        """The part of the penalty that belongs to the loss: an optimiser may decay the weights."""
        if self.settings.is_stochastic and self.settings.optimizer.decouples_penalty:
            return self.penalty.decoupled()[1]
        return self.penalty

    def _rate(self, state, batches):
        settings, n_rows = self.settings, self.n_training
        schedule = get_schedule(
            settings.learning_rate,
            power_t=float(settings.power_t),
            t_start=self._rows_seen - (state.step // batches.n_steps - state.epoch) * n_rows,
            n_samples=n_rows,
            steps_per_epoch=batches.n_steps,
        )
        if hasattr(schedule, "first_epochs"):
            if self.plan.first_epochs is not None:
                schedule = replace(schedule, first_epochs=self.plan.first_epochs)
            self.first_epochs = schedule.first_epochs
        n_steps = settings.max_iter * batches.n_steps
        return Rate(float(settings.learning_rate_init), schedule, n_steps)

    def make_steps(self, network, state, data, n_steps, learning_rate, transform):
        """Make at least so many steps on a network and a state, which change.

        `transform` is called at the end of each step. Of the rows, `data`, no more are used than
        the steps need.
        """
        batch_size = self.settings.rows_of_batch(len(data[1]))
        batches = self._batches(sample_of(data, (n_steps + 1) * batch_size), state)
        state.begin_run(EarlyStopping(network.n_members, np.inf, 0.0))
        with self._threads(network, data):
            train(
                Backprop(network, self.loss, batches.max_rows, state.dropout),
                batches,
                self.pipeline(transform),
                state,
                Monitor(network, state),
                Rate(learning_rate),
                math.ceil(n_steps / batches.n_steps),
            )

    # ---- full-batch solvers

    def _full_batch(self, network, state, data, judge, validate):
        settings = self.settings
        # Averages of earlier steps have nothing to do with what follows.
        state.optimizer = None
        state.keep_arrays(())
        x, y, weight = data
        if isinstance(x, Source):
            x = x.to_array()  # every evaluation takes all rows
        batches = self._full_batches(x, y, weight, state)
        if self.members is not None:
            validate = None  # the members follow one another, and no loss is joint
        # Without early stopping the minimiser alone decides when it has converged.
        patience = settings.n_iter_no_change if self.plan.stops_early else np.inf
        gtol = judge.gradient_tolerance(network, data)
        minimize = FULL_BATCH_SOLVERS[settings.solver]
        if settings.solver == "lbfgs":
            minimize = partial(minimize, ftol=judge.lbfgs_ftol)
        monitors, is_interrupted = [], False
        for member in range(network.n_members):
            one, own_state = network.member(member), state.select([member])
            own_state.begin_run(EarlyStopping(1, patience, self._tol(judge)))
            monitor = self._monitor(one, own_state, validate, slice(member, member + 1))
            monitors.append(monitor)
            if is_interrupted:
                monitor.interrupted()  # one KeyboardInterrupt ends the training of all members
            if not monitor.active.any():
                monitor.restore()
                continue
            run = partial(
                train_full_batch,
                Objective(one, self.loss, self.penalty, batches[member], judge.far_loss),
                minimize,
                monitor,
                max_epochs=self.plan.max_epochs_of(member),
                max_fun=settings.max_fun,
                gtol=gtol,
            )
            is_interrupted = self._watch(run, monitor)
        if is_interrupted and not any("interrupted" in each.stop_reason for each in monitors):
            warn_interrupted_callback()
        return monitors

    def _full_batches(self, x, y, weight, state):
        """Return the batch of all rows of each member."""
        if self.members is None:
            (batch,) = Batches(x, y, weight, len(y), state.shuffling, shuffle=False)
            return [batch] * len(state.shuffling)
        y, weight = self.members.member_targets(y, weight)
        batches = []
        for m, rows in enumerate(self.members.rows_of_members):
            own = [part[m] if part is not None and part.ndim == 3 else part for part in (y, weight)]
            generators = state.shuffling[m : m + 1]
            batches += Batches(x, *own, len(rows), generators, shuffle=False, rows=rows[np.newaxis])
        return batches

    # ---- what decides when to stop, and what to keep

    def _tol(self, judge):
        """Return the least improvement that counts; scores have no unit."""
        by_score = self.plan.stops_early and self.settings.scoring != "loss"
        return float(self.settings.tol) if by_score else judge.tol

    def _judged_by(self, judge, data, state, backprop):
        """Return what the monitor sees plateaus and divergence by: losses on samples of rows.

        The validation part judges a run that stops early.
        """
        plan, judged_by = self.plan, {}
        if plan.stops_early:
            return {}
        if self.settings.architecture.has_dropout and (
            not plan.is_stream or self.settings.is_adaptive
        ):
            # New masks in each step make the training loss too noisy to show a plateau: its running
            # minimum soon is an outlier.
            judged_by["plateau_loss"] = judge.evaluation(*sample_of(data))

        def initial():
            return self.initial_network(data, judge.constant)

        def normalize(network, members):
            self.set_population_statistics(network, data, members)

        if plan.is_stream:
            judged_by["is_ruined"] = StreamDivergence(judge, data, initial, state, backprop)
        else:
            normalized = normalize if self.settings.batch_norm else None
            evaluation = partial(self._evaluation_of_members, judge, data)
            self.divergence = FitDivergence(judge, evaluation, initial, normalized)
            judged_by["is_ruined"] = self.divergence
        return judged_by

    def _evaluation_of_members(self, judge, data):
        """Return a function of members and their numbers for the losses of their training rows."""
        if self.members is not None:
            return self.members.losses_of_training(self, judge)
        evaluate = judge.evaluation(*sample_of(data))
        return lambda network, members: evaluate(network)

    def _validator(self, judge, scorer):
        """Return a function of a network that gives loss and score on the validation part."""
        if self.members is not None:
            return self.members.validator(self, judge, scorer)
        if self.validation is None:
            return None
        evaluate = judge.evaluation(*self.arrays(self._of_known_categories(self.validation)))
        rows = self.validation if scorer is None else self.validation.in_memory()

        def validate(network):
            loss = evaluate(network)
            if scorer is None:
                return loss, None
            return loss, scorer(network, rows, np.isfinite(loss))

        return validate

    def _of_known_categories(self, rows):
        """Return rows in which weighted copies with known categories stand for unknown ones."""
        if self.inputs.encoder is None:
            return rows
        in_memory = rows.in_memory()
        X, numbers = in_memory.X, np.arange(len(rows))
        found = list(self.inputs.substituted(X))
        if not found:
            return rows
        known = np.setdiff1d(numbers, np.concatenate([each for each, _, _ in found]))
        weight = np.ones(len(rows)) if rows.weight is None else rows.weight
        shares = [np.outer(weight[each], share).ravel() for each, _, share in found]
        numbers = [known, *(each.repeat(len(share)) for each, _, share in found)]
        return replace(
            in_memory.take(np.concatenate(numbers)),
            X=np.concatenate([X[known], *(copies for _, copies, _ in found)]),
            weight=np.concatenate([weight[known], *shares]),
        )

    def _monitor(self, network, state, validate, members=slice(None), **judged_by):
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
            **judged_by,
        )

    def _report(self, monitor):
        return any([watcher(monitor) for watcher in self.watchers])

    def _watch(self, run, monitor):
        """Run the training that a monitor looks after; return whether it was interrupted."""
        try:
            for watcher in self.watchers:
                watcher.begin_run(monitor)
        except KeyboardInterrupt:
            if ends_search():
                raise
            monitor.interrupted()
            monitor.restore()
            return True
        run()  # it handles KeyboardInterrupt itself
        try:
            for watcher in self.watchers:
                watcher.end_run(monitor)
        except KeyboardInterrupt:
            if ends_search():
                raise
            return True
        return "interrupted" in monitor.stop_reason
