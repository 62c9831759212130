"""The callbacks of scikit-learn: the tree of tasks of a fit, and what their hooks are given.

fit                   training rows; at its end the estimator as fit returns it
    epoch             one for each epoch; training rows and the network after it
    validation        where there is a validation part: its rows
        validation-epoch

Epoch and validation-epoch have the same ``task_id``. The minimisers of all rows train the members
of an ensemble one after the other: then there is a task ``member`` for each, with its own epochs.
"""

import copy
from functools import cache

from .._sklearn_compat import has_callbacks, safe_indexing
from .._warnings import warn_interrupted_callback
from ..data.source import Source
from ..preprocessing.columns import as_table
from .reporting import record
from .result import Outcome
from .settings import is_stochastic

# A fitted estimator that a callback keeps, saves or trains does not bring the callbacks along.
_WITHOUT_CALLBACKS = {"_skl_callbacks": []}


class FitTasks:
    """Call the hooks of an estimator's callbacks during a fit.

    Parameters
    ----------
    estimator : BaseRegularizedMLP
        About to be trained; its callbacks are set up.
    session : Session
        The run of training.
    X, X_val : array-like or None
        Inputs as the user gave them.
    incremental : bool
        Whether this is a `partial_fit`.
    """

    def __init__(self, estimator, session, X, X_val, incremental):
        self._estimator = estimator
        self._session = session
        self._training = _hook_arguments(session.training, X)
        self._validation = None
        if session.validation is not None:
            X_val = X if X_val is None else X_val
            self._validation = _hook_arguments(session.validation, X_val)
        self._max_epochs = 1 if incremental else estimator.max_iter
        n_members = estimator.n_estimators * estimator.n_init
        self._by_member = n_members > 1 and not is_stochastic(estimator.solver)
        subtasks = {"max_subtasks": n_members} if self._by_member else self._subtasks_of_run
        name = "partial_fit" if incremental else "fit"
        self._root = estimator._init_callback_context(task_name=name, **subtasks)
        self._run = self._validation_run = self._epoch = None
        self._root.call_on_fit_task_begin(estimator=estimator, **self._training)

    @classmethod
    def of(cls, estimator, *args):
        """Return the tasks of a fit, or None where no callbacks are set."""
        return cls(estimator, *args) if has_callbacks(estimator) else None

    @property
    def _subtasks_of_run(self):
        if self._validation is None:
            return {"max_subtasks": self._max_epochs}
        return {"max_subtasks": self._max_epochs + 1, "sequential_subtasks": False}

    def begin_run(self, monitor):
        """Begin a run of epochs, and its first epoch."""
        self._run = self._root
        if self._by_member:
            self._run = self._root.subcontext("member", **self._subtasks_of_run)
            self._run.call_on_fit_task_begin(estimator=self._estimator, **self._training)
        if self._validation is not None:
            self._validation_run = self._run.subcontext(
                "validation", task_id=self._max_epochs, max_subtasks=self._max_epochs
            )
            self._validation_run.call_on_fit_task_begin(
                estimator=self._estimator, **self._validation
            )
        self._begin_epoch(monitor)

    def _begin_epoch(self, monitor):
        task_id = monitor.history.n_epochs if self._validation is not None else None
        self._epoch = self._run.subcontext("epoch", task_id=task_id)
        self._epoch.call_on_fit_task_begin(
            estimator=self._estimator,
            **self._training,
            reconstruction_attributes=self._attributes_after(monitor),
        )

    def __call__(self, monitor):
        """End an epoch, and begin the next one if there is to be one.

        Returns
        -------
        stop : bool
            Whether a callback wants training to stop.
        """
        attributes = cache(self._attributes_after(monitor))
        epoch, self._epoch = self._epoch, None
        end = {"estimator": self._estimator, "reconstruction_attributes": attributes}
        stop = epoch.call_on_fit_task_end(**self._training, **end)
        if self._validation is not None:
            task = self._validation_run.subcontext("validation-epoch")
            task.call_on_fit_task_begin(
                estimator=self._estimator, **self._validation, reconstruction_attributes=attributes
            )
            stop |= task.call_on_fit_task_end(**self._validation, **end)
        if not stop and monitor.active.any() and monitor.history.n_epochs < self._max_epochs:
            self._begin_epoch(monitor)
        return stop

    def end_run(self, monitor):
        """End what a run of epochs has begun."""
        if self._by_member:
            attributes = self._attributes_of_member(monitor)
            self._end_tasks_of_run(attributes)
            run, self._run = self._run, None
            run.call_on_fit_task_end(
                estimator=self._estimator, **self._training, reconstruction_attributes=attributes
            )

    def end_training(self, outcome):
        """End the epochs, given that the estimator has the attributes they have led to."""
        try:
            self._end_tasks_of_run(_WITHOUT_CALLBACKS)
            if self._by_member and self._run is not None:  # interrupted at its begin
                self._run.call_on_fit_task_end(estimator=self._estimator)
        except KeyboardInterrupt:
            warn_interrupted_callback()

    def end(self):
        """End the fit, given that the estimator is fitted."""
        try:
            self._root.call_on_fit_task_end(
                estimator=self._estimator,
                **self._training,
                reconstruction_attributes=_WITHOUT_CALLBACKS,
            )
        except KeyboardInterrupt:
            warn_interrupted_callback()

    def _end_tasks_of_run(self, attributes):
        if self._epoch is not None:
            # Begun, but the minimiser made no further step, or the user pressed the keys.
            epoch, self._epoch = self._epoch, None
            epoch.call_on_fit_task_end(estimator=self._estimator)
        if self._validation_run is not None:
            task, self._validation_run = self._validation_run, None
            task.call_on_fit_task_end(
                estimator=self._estimator, **self._validation, reconstruction_attributes=attributes
            )

    def _attributes_after(self, monitor):
        """Return a function that returns the attributes as if fit had stopped with the epoch."""
        return lambda: self._attributes(Outcome.so_far(monitor))

    def _attributes_of_member(self, monitor):
        network = monitor.network
        return lambda: self._attributes(
            Outcome.of_run(network.select(slice(None)), None, [monitor])
        )

    def _attributes(self, outcome):
        outcome = outcome.best_restarts(self._estimator.n_estimators)
        fitted = copy.copy(self._estimator)
        record(fitted, outcome, self._session)
        return {**vars(fitted), **_WITHOUT_CALLBACKS}


def _hook_arguments(rows, X):
    """Return what hooks are told of some rows: in the user's units, made when a hook asks."""
    weight = rows.weight
    return {
        "X": cache(lambda: _inputs_of(rows, X)),
        "y": rows.labels,
        "metadata": None if weight is None else {"sample_weight": weight},
    }


def _inputs_of(rows, X):
    """Return the inputs of some rows: those of what the user gave, if that is an array or table.

    A fitted estimator knows the names and categories of that.
    """
    if not hasattr(X, "shape"):
        X = as_table(X)
    if isinstance(rows.X, Source):
        return X if rows.X.index is None else safe_indexing(X, rows.X.index)
    return X if rows.X.shape[0] == X.shape[0] else rows.X
