"""What both estimators share: the way from X and y to a trained network, and back."""

from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np
from sklearn.base import BaseEstimator, clone

from .._sklearn_compat import (
    CallbackSupportMixin,
    DocumentationLinkMixin,
    callbacks_in_progress,
    fit_context,
    validate_parameter_constraints,
    without_callback_context,
)
from .._warnings import warn_user
from ..data.rows import Rows
from ..data.seeding import Seeds
from ..fitting.callbacks import FitTasks
from ..fitting.continuation import check_continuation
from ..fitting.progress import ProgressLines
from ..fitting.refit import check_refit_weights, refit_on_all_rows
from ..fitting.reporting import record, warn_of_outcome, warn_of_refit
from ..fitting.scorer import make_scorer
from ..fitting.session import Session
from ..fitting.settings import (
    PARAMETER_CONSTRAINTS,
    Architecture,
    changed_parameters,
    check_batches,
    check_combinations,
)
from ..preprocessing.checks import check_groups, check_validation_arguments, check_weights
from ..preprocessing.scalers import takes_sparse
from ..preprocessing.splitting import split_validation, warn_small_validation
from .predicting import TrainedMLP

# early_stopping='auto' holds rows back only where there are enough of them.
_AUTO_EARLY_STOPPING_ROWS = 10_000


class BaseRegularizedMLP(
    DocumentationLinkMixin, TrainedMLP, CallbackSupportMixin, BaseEstimator, ABC
):
    """Base class of the regressor and the classifier; not to be used directly."""

    _parameter_constraints: dict = PARAMETER_CONSTRAINTS
    # As scikit-learn's splitters by groups: whoever routes groups to a cross-validation means those
    # that early stopping must not tear apart either.
    __metadata_request__fit = {"groups": True}
    # Changing these makes no sense of a network that is trained on.
    _fixed_parameters = ("categorical_features", "handle_missing", "scaler")

    @abstractmethod
    def __init__(
        self,
        *,
        hidden_layer_sizes,
        activation,
        init,
        batch_norm,
        batch_norm_momentum,
        batch_norm_epsilon,
        alpha,
        l1_ratio,
        dropout,
        input_dropout,
        max_norm,
        max_grad_norm,
        early_stopping,
        validation_fraction,
        scoring,
        n_iter_no_change,
        tol,
        refit,
        categorical_features,
        handle_missing,
        scaler,
        solver,
        batch_size,
        learning_rate,
        learning_rate_init,
        power_t,
        max_iter,
        max_fun,
        shuffle,
        momentum,
        nesterovs_momentum,
        beta_1,
        beta_2,
        epsilon,
        n_estimators,
        n_init,
        max_time,
        warm_start,
        random_state,
        verbose,
        dtype,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.init = init
        self.batch_norm = batch_norm
        self.batch_norm_momentum = batch_norm_momentum
        self.batch_norm_epsilon = batch_norm_epsilon
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.max_norm = max_norm
        self.max_grad_norm = max_grad_norm
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.refit = refit
        self.categorical_features = categorical_features
        self.handle_missing = handle_missing
        self.scaler = scaler
        self.solver = solver
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.max_fun = max_fun
        self.shuffle = shuffle
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_estimators = n_estimators
        self.n_init = n_init
        self.max_time = max_time
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.dtype = dtype

    @abstractmethod
    def _encode_targets(self, y, *, reset, classes=None):
        """Check `y`; return (targets with a row for each sample, labels for scorers)."""

    @abstractmethod
    def _fit_target_scaling(self, rows):
        """Set what `_scaled_targets` needs, from the training part."""

    @abstractmethod
    def _scaled_targets(self, y, dtype):
        """Targets as the loss takes them, (n_samples, n_outputs), C-contiguous."""

    @abstractmethod
    def _loss(self):
        """Return the loss; the targets have been encoded before."""

    def _exact_targets(self, rows):
        """Mask of the targets whose best constant is exact, shape (n_targets,), or None."""
        return None

    def _record_noise(self, session, incremental):
        """Set what the targets' noise is, where they have any."""
        return None

    def _class_weights(self, rows):
        """Weights of the rows that stem from their classes, or None."""
        return None

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        groups=None,
    ):
        """Fit the network to data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training inputs, in any units: they are normalised by `scaler`. An array of float64 or
            float32 is never copied: it may be a read-only `numpy.memmap` larger than the memory.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets: real numbers in any units, or class labels, or a multilabel indicator matrix.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row; an integer weight is equal to repeating the row.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation inputs; they pass through the same scaler. Giving them switches early
            stopping on under ``early_stopping='auto'``, and no training row is then held back.
            Under ``early_stopping=False`` the validation curves are recorded, and nothing else.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Validation targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation rows.
        groups : array-like of shape (n_samples,), default=None
            The group of each row, used where early stopping holds rows back: it goes to the
            splitter given as `validation_fraction`; a share or number holds back whole groups.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If data, weights or a combination of parameters cannot be used; the message names it.
        """
        check_validation_arguments(X_val, y_val, sample_weight_val)
        if self.refit and X_val is not None and self.early_stopping is not False:
            check_refit_weights(sample_weight, sample_weight_val)
        given = (X_val, y_val, sample_weight_val)
        return self._fit((X, y, sample_weight, groups), given, incremental=False)

    def _partial_fit(self, X, y, sample_weight, classes=None):
        given = (X, y, sample_weight, None)
        return self._fit(given, (None,) * 3, incremental=True, classes=classes)

    def _validate_params(self):
        # As scikit-learn's own, which makes the constraints anew each time, without the defaults.
        changed = changed_parameters(self)
        validate_parameter_constraints(self._parameter_constraints, changed, type(self).__name__)

    def _fit(self, given, given_validation, *, incremental, classes=None):
        architecture = Architecture(self)
        check_combinations(self, architecture)
        before = dict(self.__dict__)
        try:
            is_first, outcome, refit = self._fit_network(
                architecture, given, given_validation, incremental, classes
            )
        except BaseException:
            # An estimator that cannot be fitted stays what it was, but for the state of training
            # where that has moved on: the next call begins with a new one.
            if getattr(before.get("_training_state"), "is_running", False):
                del before["_training_state"]
            before.update(callbacks_in_progress(self))
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        warn_of_outcome(self, outcome, is_first, incremental)
        if refit is not None:
            warn_of_refit(self, refit)
        return self

    def _fit_network(self, architecture, given, given_validation, incremental, classes):
        is_first = not hasattr(self, "network_") or not (incremental or self.warm_start)
        if not is_first:
            check_continuation(self, architecture)
        rows, validation = self._checked_data(given, given_validation, is_first, classes)
        scorer = make_scorer(self)
        session = self._prepare(architecture, rows, validation, is_first, incremental)
        watchers = (
            ProgressLines.of(self, incremental),
            FitTasks.of(self, session, given[0], given_validation[0], incremental),
        )
        session.watchers = [watcher for watcher in watchers if watcher is not None]
        state = self.__dict__.pop("_training_state", None)  # dropped where it cannot go on
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            outcome = session.run(state, scorer, incremental)
        refit = self._conclude(session, outcome, rows, validation, incremental)
        return is_first, outcome, refit

    def _checked_data(self, given, given_validation, is_first, classes):
        """Return all rows that were given, and those to validate with or None."""
        X, y, sample_weight, groups = given
        X = self._describe_inputs(X) if is_first else self._inputs.read(X)
        rows = self._checked_rows(X, y, sample_weight, "sample_weight", is_first, classes)
        rows = replace(rows, groups=check_groups(groups, len(rows)))
        return rows, self._checked_validation(is_first, *given_validation)

    def _prepare(self, architecture, rows, validation, is_first, incremental):
        """Split the rows, start anew where this is a first fit, and return the run to come."""
        seeds = Seeds(self.random_state) if is_first else self._seeds
        training, held_back = self._split(
            self._weighted(rows),
            self._weighted(validation, "sample_weight_val"),
            seeds,
            is_first,
            incremental,
        )
        check_batches(self, len(training))
        if is_first:
            with np.errstate(over="ignore", invalid="ignore"):  # the session says what overflows
                self._start(training, seeds)
        # What is trained is a copy: the network that predicts changes when all has gone well.
        network = None if is_first else self.network_.select(slice(None))
        session = Session(self, architecture, training, held_back, seeds, network)
        self._fitted_loss = session.loss
        self._remember(architecture)
        return session

    def _conclude(self, session, outcome, rows, validation, incremental):
        """Set what was learned, tell the watchers, and train anew on all rows where that is due."""
        if incremental or self.warm_start:
            self._training_state = outcome.state
        record(self, outcome, session)
        # Of members that have diverged, and of targets whose squares over- or underflow.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self._record_noise(session, incremental)
        for watcher in session.watchers:
            watcher.end_training(outcome)
        refit = None
        if self.refit and self.do_early_stopping_:
            refit = refit_on_all_rows(self, self._all_rows(rows, validation), session, outcome)
        for watcher in session.watchers:
            watcher.end()
        outcome.state.is_running = False
        return refit

    def _remember(self, architecture):
        """Keep what must not change while the network is trained on."""
        self._architecture = architecture
        # Copies: a transformer's own parameters may be changed in place.
        self._fixed = {
            name: clone(getattr(self, name), safe=False) for name in self._fixed_parameters
        }

    def _checked_validation(self, is_first, X_val, y_val, sample_weight_val):
        if X_val is None:
            return None
        try:
            if is_first and self.refit:
                self._inputs = self._inputs.with_categories_of(X_val)
            X = self._inputs.read(X_val)
            return self._checked_rows(X, y_val, sample_weight_val, "sample_weight_val", False)
        except ValueError as error:
            raise ValueError(
                f"The validation set, X_val and y_val, cannot be used: {error}"
            ) from error

    def _checked_rows(self, X, y, sample_weight, weight_name, reset, classes=None):
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        y, labels = self._encode_targets(y, reset=reset, classes=classes)
        if X.shape[0] != len(y):
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: X has {X.shape[0]} "
                f"rows, y has {len(y)}."
            )
        return Rows(X, y, labels, check_weights(sample_weight, len(y), weight_name))

    def _weighted(self, rows, weight_name="sample_weight"):
        """Return rows with the weights of their classes too."""
        if rows is None:
            return None
        class_weight = getattr(self, "class_weight", None)
        return rows.weighted_by_class(self._class_weights(rows), class_weight, weight_name)

    def _split(self, rows, validation, seeds, is_first, incremental):
        """Return the training and the validation part, and set `do_early_stopping_`."""
        early_stopping = self.early_stopping
        if early_stopping == "auto":
            early_stopping = not incremental and (
                validation is not None or rows.n_counted > _AUTO_EARLY_STOPPING_ROWS
            )
        has_held_back = getattr(self, "do_early_stopping_", False)
        has_held_back &= not getattr(self, "refit_", False)
        self.do_early_stopping_ = bool(early_stopping)
        if not early_stopping or validation is not None:
            parts = (rows, validation)
            return tuple(None if part is None else part.without_zero_weights() for part in parts)
        if not is_first and not has_held_back:
            warn_user(
                "early_stopping holds rows back that the last fit was trained on: they cannot show "
                "overfitting. Give X_val and y_val, or fit a clone."
            )
        # The same rows are held back when training is resumed: none of them leaks.
        stratify = self._stratify(rows)
        training, validation = split_validation(
            rows, self.validation_fraction, seeds.split(), stratify
        )
        warn_small_validation(len(validation))
        return training, validation

    def _stratify(self, rows):
        return None

    def _all_rows(self, rows, validation):
        """Return what `refit` trains on: all rows, with those of a given validation set."""
        if validation is not None:
            rows = rows.joined_with(validation)
        return self._weighted(rows).without_zero_weights()

    def _start(self, training, seeds):
        """Forget what an earlier fit has left; fit encoder and scalers to the training part."""
        self._fit_scalers(training)
        self._seeds = seeds
        self.t_ = 0
        self.loss_curve_, self.learning_rate_curve_ = [], []
        self.validation_loss_curve_ = self.validation_scores_ = None
        for name in ("network_", "_training_state", "loss_", "best_loss_"):
            self.__dict__.pop(name, None)

    def _fit_scalers(self, training):
        """Fit encoder and scalers."""
        self._inputs = self._inputs.fitted(training.X, training.relative_weight, self.scaler)
        self.scaler_ = self._inputs.scaler
        self._fit_target_scaling(training)

    def __getstate__(self):
        return without_callback_context(super().__getstate__())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = self.categorical_features is not None
        tags.input_tags.allow_nan = self.handle_missing == "indicator"
        encodes = tags.input_tags.categorical or tags.input_tags.allow_nan
        tags.input_tags.sparse = takes_sparse(self.scaler) and not encodes
        return tags
