"""The callbacks of scikit-learn: the tree of tasks of a fit, and the arguments of their hooks.

fit                   training rows; at its end the estimator as fit returns it
    epoch             one for each epoch; training rows and the network after it
    validation        rows of the validation part, if there is one
        validation-epoch

Epoch and validation-epoch have the same ``task_id``. Full-batch solvers train the members of an
ensemble one after the other: there is a task ``member`` for each, with its own epochs.
"""

from dataclasses import replace
from functools import cache

from .._sklearn_compat import (
    WITHOUT_CALLBACKS,
    begin_callbacks,
    safe_indexing,
    without_callback_context,
)
from .._warnings import warn_interrupted_callback
from ..data.source import Source
from ..preprocessing.columns import as_table
from .calibration import noise_before
from .result import FitResult
from .run_result import RunResult


class FitTasks:
    """Call the hooks of an estimator's callbacks during a fit to `Data`."""

    def __init__(self, estimator, data):
        self._estimator = estimator
        self._data = data
        self._run = self._validation_run = self._epoch = None

    def begin_fit(self, run):
        X, X_val, settings = self._data.X, self._data.X_val, run.settings
        self._fit = run
        self._training = _hook_arguments(run.training, X)
        self._validation = None
        if run.validation is not None:
            self._validation = _hook_arguments(run.validation, X if X_val is None else X_val)
        self._max_epochs = run.plan.max_epochs
        n_members = run.n_networks
        self._by_member = n_members > 1 and not settings.is_stochastic
        subtasks = {"max_subtasks": n_members} if self._by_member else self._subtasks_of_run
        name = "partial_fit" if run.plan.is_stream else "fit"
        self._root = begin_callbacks(self._estimator, task_name=name, **subtasks)
        self._begin(self._root, self._training)

    @property
    def _subtasks_of_run(self):
        if self._validation is None:
            return {"max_subtasks": self._max_epochs}
        return {"max_subtasks": self._max_epochs + 1, "sequential_subtasks": False}

    def begin_run(self, monitor):
        """Begin a run of epochs, and its first epoch."""
        self._run, n_epochs = self._root, self._max_epochs
        if self._by_member:
            self._run = self._root.subcontext("member", **self._subtasks_of_run)
            self._begin(self._run, self._training)
        if self._validation is not None:
            self._validation_run = self._run.subcontext(
                "validation", task_id=n_epochs, max_subtasks=n_epochs
            )
            self._begin(self._validation_run, self._validation)
        self._begin_epoch(monitor)

    def _begin_epoch(self, monitor):
        task_id = monitor.history.n_epochs if self._validation is not None else None
        self._epoch = self._run.subcontext("epoch", task_id=task_id)
        self._begin(self._epoch, self._training, self._attributes_after(monitor))

    def __call__(self, monitor):
        """End an epoch and begin the next one; return whether a callback stops training."""
        attributes = cache(self._attributes_after(monitor))
        epoch, self._epoch = self._epoch, None
        stop = self._end(epoch, self._training, attributes)
        if self._validation is not None:
            task = self._validation_run.subcontext("validation-epoch")
            self._begin(task, self._validation, attributes)
            stop |= self._end(task, self._validation, attributes)
        if (
            not stop
            and monitor.active.any()
            and monitor.history.n_epochs < self._fit.plan.max_epochs
        ):
            self._begin_epoch(monitor)
        return stop

    def end_run(self, monitor):
        if self._by_member:
            attributes = self._attributes_of_member(monitor)
            self._end_tasks_of_run(attributes)
            run, self._run = self._run, None
            self._end(run, self._training, attributes)

    def end_training(self, outcome, result):
        try:
            self._end_tasks_of_run(lambda: self._published(result))
            if self._by_member and self._run is not None:  # interrupted at its begin
                self._end(self._run)
        except KeyboardInterrupt:
            warn_interrupted_callback()

    def end_fit(self, result):
        try:
            self._end(self._root, self._training, lambda: self._published(result))
        except KeyboardInterrupt:
            warn_interrupted_callback()

    def _end_tasks_of_run(self, attributes):
        if self._epoch is not None:
            # The minimiser made no further step, or the epoch was interrupted.
            epoch, self._epoch = self._epoch, None
            self._end(epoch)
        if self._validation_run is not None:
            task, self._validation_run = self._validation_run, None
            self._end(task, self._validation, attributes)

    def _begin(self, task, arguments, attributes=None):
        if attributes is not None:
            arguments = {**arguments, "reconstruction_attributes": attributes}
        task.call_on_fit_task_begin(estimator=self._estimator, **arguments)

    def _end(self, task, arguments=None, attributes=None):
        """Call the hooks at the end of a task; return whether one stops training."""
        if arguments is None:  # a task that was not completed
            return task.call_on_fit_task_end(estimator=self._estimator)
        return task.call_on_fit_task_end(
            estimator=self._estimator, **arguments, reconstruction_attributes=attributes
        )

    def _attributes_after(self, monitor):
        """Return a function that gives the attributes as if fit had stopped with the epoch."""

        def attributes():
            outcome = RunResult.so_far(monitor, self._fit.plan.is_stream)
            network = self._fit.in_common_units(outcome.network)
            return self._attributes(replace(outcome, network=network))

        return attributes

    def _attributes_of_member(self, monitor):
        network = monitor.network
        return lambda: self._attributes(
            RunResult.of_monitors(network.select(slice(None)), None, [monitor])
        )

    def _attributes(self, outcome):
        outcome = outcome.best_restarts(self._fit.settings.n_estimators)
        result = FitResult.of(self._fit, outcome, noise_before(self._fit))
        attributes = self._published(result)
        if self._by_member:
            # The parameter must fit the network: a kept copy may be trained further.
            attributes["n_estimators"] = outcome.network.n_members
        return attributes

    def _published(self, result):
        before = without_callback_context(vars(self._estimator))
        return {**before, **result.published(before), **WITHOUT_CALLBACKS}


def _hook_arguments(rows, X):
    """Return the rows in the user's units; inputs are made when a hook asks for them."""
    weight = rows.weight
    return {
        "X": cache(lambda: _inputs_of(rows, X)),
        "y": rows.labels,
        "metadata": None if weight is None else {"sample_weight": weight},
    }


def _inputs_of(rows, X):
    """Return the inputs of some rows, as an array or table with the names of the user's columns."""
    if not hasattr(X, "shape"):
        X = as_table(X)
    if isinstance(rows.X, Source):
        return X if rows.X.index is None else safe_indexing(X, rows.X.index)
    return X if rows.X.shape[0] == X.shape[0] else rows.X
