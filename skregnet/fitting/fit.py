"""A fit: from the user's data to its result, without reading or changing an estimator."""

from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .._warnings import warn_user
from ..data.rows import Rows
from ..data.seeding import Seeds
from ..preprocessing.checks import (
    check_groups,
    check_has_rows,
    check_validation_arguments,
    check_weights,
)
from ..preprocessing.columns import check_is_read
from ..preprocessing.inputs import Inputs
from ..preprocessing.scaling import with_seeds
from ..preprocessing.splitting import split_validation, warn_small_validation
from ..uncertainty.noise import check_noise_precision
from .automatic import resolve, with_folds
from .calibration import calibration_after, noise_after, temperature_after
from .candidates import better_without_bins
from .checkpoint_file import FitFile
from .cross_calibration import can_cross_calibrate, cross_calibrated, settings_of_members
from .out_of_fold import OutOfFold
from .plan import Plan
from .refit import check_refit_weights, refit_on_all_rows
from .result import FitResult
from .run import Run
from .scorer import make_scorer
from .settings import check_batches


class Data(NamedTuple):
    """The arguments of ``fit`` or ``partial_fit``, as the user gave them."""

    X: Any
    y: Any
    sample_weight: Any = None
    groups: Any = None
    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None
    classes: Any = None


def fit(settings, data, start=None, *, is_stream=False, watchers=(), checkpoint=None):
    """Train a network.

    Parameters
    ----------
    settings : Settings
    data : Data
    start : Start, default=None
        The fitted model that training continues from; None starts a new network.
    is_stream : bool, default=False
        Whether to train for one epoch of a stream instead of to the end.
    watchers : sequence
        Objects such as `ProgressLines`, which are told of the fit and its epochs.
    checkpoint : skregnet.training.Checkpoint, default=None
        Where a fit with a stochastic solver that was cut goes on; see `Run.train`.

    Returns
    -------
    result : FitResult

    Raises
    ------
    ValueError
        If data, weights or a combination of parameters cannot be used.
    """
    rest = start, is_stream, watchers, checkpoint
    if settings.parameters.get("checkpoint") is None:
        return _fit(settings, data, *rest)
    with closing(FitFile(settings)) as file:
        return _fit(settings, data, *rest, file)


def _fit(settings, data, start, is_stream, watchers, checkpoint, file=None):
    _check_data(settings, data)
    inputs, targets, rows, validation = read_data(
        settings, data, start, same_classes=not is_stream, is_stream=is_stream
    )
    seeds = None if file is None else file.open(rows, validation, start)
    train = Run.train if file is None else file.train
    run = prepare(
        settings, inputs, targets, rows, validation, start, is_stream=is_stream, seeds=seeds
    )
    if settings.asks_refit and not run.plan.stops_early and not is_stream:
        warn_user(
            "refit=True has no effect: no epoch is chosen by held-out rows. Set "
            "early_stopping=True, give cv and leave early_stopping at its default, or set "
            "refit=False."
        )
    for watcher in watchers:
        watcher.begin_fit(run)
    # Sums may over- or underflow where members diverge or targets have extreme units.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        outcome = train(run, make_scorer(run), watchers, checkpoint)
        if run.chooses_embedding:
            run, outcome = better_without_bins(run, outcome, train)
        network = outcome.network
        result = FitResult.of(
            run, outcome, noise_after(run, network), temperature_after(run, network)
        )
        result = result.with_posterior(run)
        result = result.calibrated(*calibration_after(run, result.model))
        if can_cross_calibrate(run):
            on_folds = settings_of_members(settings)
            members_run = prepare(on_folds, inputs, targets, rows, None, seeds=run.seeds)
            result = cross_calibrated(result, run, members_run)
        if run.members is not None:
            result = result.with_attributes(
                **run.members.attributes(run, network, result.model.targets)
            )
    if is_stream and start is not None and "diverged" in outcome.stop_reason:
        result = result.undone(start)
    for watcher in watchers:
        watcher.end_training(outcome, result)
    if run.settings.refit and run.plan.stops_early:
        if validation is not None:
            rows = rows.joined_with(validation)
        result = refit_on_all_rows(
            run, outcome, result, inputs, targets, weighted(settings, targets, rows), train
        )
    for watcher in watchers:
        watcher.end_fit(result)
    return result if file is None else file.finish(result)


def _check_data(settings, data):
    """Raise ValueError where arguments cannot be used, or not with each other or the parameters."""
    for name, values in zip(data._fields, data, strict=True):
        if values is not None:
            check_is_read(values, name)
            if name in ("groups", "X_val", "y_val", "classes"):
                check_has_rows(values, name)
    check_validation_arguments(data.X_val, data.y_val, data.sample_weight_val)
    if data.X_val is not None and not isinstance(settings.cv, str | None):
        raise ValueError(
            f"cv={settings.cv!r} cannot be used with X_val and y_val: the folds are what is held "
            "out. Leave X_val and y_val out, or set cv='auto' or None."
        )
    if data.X_val is not None and settings.bootstrap:
        raise ValueError(
            "bootstrap=True cannot be used with X_val and y_val: the rows that a sample lacks are "
            "what is held out. Leave X_val and y_val out, or set bootstrap=False."
        )
    if settings.asks_refit and data.X_val is not None and settings.early_stopping is not False:
        check_refit_weights(data.sample_weight, data.sample_weight_val)


def read_data(settings, data, start=None, *, same_classes=False, is_stream=False):
    """Check and encode the data.

    With `same_classes`, labels must be all those that the model in `start` knows. With `is_stream`,
    further rows follow.

    Returns
    -------
    inputs, targets : Inputs, RealTargets or ClassTargets
        They describe the data; fitted ones where training continues.
    rows, validation : Rows, Rows or None
        All training rows, and the validation set if one was given.
    """
    if start is None:
        inputs, X = Inputs.describe(
            data.X,
            owner=settings.cls,
            categorical_features=settings.categorical_features,
            handle_missing=settings.handle_missing,
            is_stream=is_stream,
        )
        targets = settings.targets
    else:
        inputs = start.model.inputs
        targets = start.model.targets.continued(settings.targets)
        X = inputs.read(data.X)
    targets, rows = _read_rows(
        targets,
        X,
        data.y,
        data.sample_weight,
        "sample_weight",
        classes=data.classes,
        same_classes=same_classes and start is not None,
    )
    if not targets.is_classifier:
        check_noise_precision(settings.noise_precision, rows.y.shape[1])
    if data.groups is not None:
        rows = replace(rows, groups=check_groups(data.groups, len(rows)))
    if data.X_val is None:
        return inputs, targets, rows, None
    try:
        if start is None and settings.asks_refit:
            inputs = inputs.with_categories_of(data.X_val)
        X_val = inputs.read(data.X_val, "X_val")
        inputs = inputs.with_missing_of(X_val)
        _, validation = _read_rows(
            targets,
            X_val,
            data.y_val,
            data.sample_weight_val,
            "sample_weight_val",
            name="y_val",
        )
    except ValueError as error:
        raise ValueError(f"The validation set, X_val and y_val, cannot be used: {error}") from error
    return inputs, targets, rows, validation


def _read_rows(targets, X, y, sample_weight, weight_name, **options):
    """Return the targets that know `y`, and the rows; `options` are those of `targets.read`."""
    targets, encoded, labels = targets.read(y, **options)
    if X.shape[0] != len(encoded):
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {X.shape[0]} "
            f"rows, y has {len(encoded)}."
        )
    weight = check_weights(sample_weight, len(encoded), weight_name)
    targets.check_rows(encoded, weight)
    known = targets.known(encoded)
    if known is not None:
        _check_known(known, weight, options.get("name", "y"))
    return targets, Rows(X, encoded, labels, weight, known=known)


def _check_known(known, weight, name):
    """Raise ValueError if all targets are missing in the rows of positive weight."""
    if not (known if weight is None else known[weight > 0.0]).any():
        raise ValueError(
            f"Input {name} contains NaN: all targets are missing in all rows of positive weight. "
            "No row is left to learn from."
        )


def weighted(settings, targets, rows, weight_name="sample_weight"):
    """Return the rows with the weights of their classes too."""
    if rows is None:
        return None
    class_weight = settings.parameters.get("class_weight")
    return rows.weighted_by_class(targets.class_weights(rows), class_weight, weight_name)


def prepare(
    settings, inputs, targets, rows, validation, start=None, *, is_stream=False, seeds=None
):
    """Return the run of a fit: the rows are split, and scalers fitted to the training part."""
    unweighted, rows = rows, weighted(settings, targets, rows)
    validation = weighted(settings, targets, validation, "sample_weight_val")
    if seeds is None:
        seeds = Seeds(settings.random_state) if start is None else start.continuation.seeds
    settings, folds = with_folds(
        settings,
        rows,
        seeds,
        stratify=targets.stratify(rows),
        validation=validation,
        start=start,
        is_stream=is_stream,
    )
    stops_early = not is_stream and settings.stops_early(rows, validation)
    is_given = validation is not None
    if stops_early and validation is None and folds is None:
        training, validation = _hold_back(settings, targets, rows, seeds, start)
    else:
        training = rows.without_zero_weights()
        validation = None if validation is None else validation.without_zero_weights()
    is_new = start is None and not is_stream
    is_split = stops_early and not is_given and folds is None
    settings = resolve(
        settings,
        training,
        folds,
        is_judged=stops_early,
        is_split=is_split,
        is_new=is_new,
        embedding=inputs.numeric_embedding,
    )
    check_batches(settings, len(training) if folds is None else folds.n_training)
    if start is None:
        with np.errstate(over="ignore", invalid="ignore"):  # the run says what overflows
            inputs = inputs.fitted(
                training.X,
                training.relative_weight,
                with_seeds(settings.scaler, seeds.scaler()),
                settings.numeric_embedding,
                total_weight=training.total_weight,
                is_stream=is_stream,
            )
            targets = targets.fitted(training, is_stream)
    elif is_stream:
        with np.errstate(over="ignore", invalid="ignore"):
            inputs = inputs.continued(training.X, training.relative_weight)
            targets = targets.with_rows(training)
    if start is not None:
        inputs.warn_of_changed_constants(training.X)
        inputs.warn_of_unknown_categories(training.X)
    if is_given:
        inputs.warn_of_changed_constants(validation.X, "X_val")
    plan = Plan.of_stream(settings) if is_stream else Plan.of_fit(settings, stops_early)
    members = None
    if folds is not None:
        parts = [
            weighted(settings, targets, unweighted.take(folds.kept[part])) for part in folds.train
        ]
        members = OutOfFold(folds, training, parts, targets, settings.n_estimators)
    return Run(
        settings, plan, inputs, targets, training, validation, seeds, start, members, is_given
    )


def _hold_back(settings, targets, rows, seeds, start):
    """Return the training part and the validation part that early stopping splits off."""
    if start is not None and not start.continuation.held_back:
        warn_user(
            "early_stopping holds rows back that the last fit was trained on: they cannot show "
            "overfitting. Give X_val and y_val, or fit a clone."
        )
    # The same rows are held back when training is resumed: none of them leaks.
    training, validation = split_validation(
        rows, settings.validation_fraction, seeds.split(), targets.stratify(rows)
    )
    if rows.varies.any():  # what is constant is predicted exactly
        warn_small_validation(len(validation))
    return training, validation


def check_continuation(settings, start):
    """Raise ValueError where a parameter was changed that the fitted network depends on."""
    network, before = start.model.network, start.continuation
    pairs = {}
    if settings.n_estimators != "auto":
        pairs["n_estimators"] = (network.n_members, settings.n_estimators)
    if before.architecture != settings.architecture:
        for name, value in vars(settings.architecture).items():
            if name == "numeric_embedding":
                continue  # among the fixed parameters, as the user gave it
            pairs[name] = (getattr(before.architecture, name), value)
    if settings.dtype not in (None, "auto"):
        pairs["dtype"] = (network.params.dtype.name, settings.dtype)
    for name, old in before.fixed.items():
        pairs[name] = (old, settings.parameters[name])
    changes = [
        f"{name} from {old!r} to {new!r}"
        for name, (old, new) in pairs.items()
        if not _is_same(old, new)
    ]
    if changes:
        raise ValueError(
            f"Since the last fit these parameters have changed: {', '.join(changes)}. Training "
            "cannot continue from the fitted network (warm_start=True or partial_fit). Set them "
            "back, or fit a clone of this estimator."
        )


def _is_same(old, new):
    """Whether two values are one object or equal; transformers as far as their text tells."""
    if old is new:
        return True
    if isinstance(old, np.ndarray) or isinstance(new, np.ndarray):
        return np.array_equal(old, new)
    return type(old) is type(new) and (old == new or repr(old) == repr(new))
