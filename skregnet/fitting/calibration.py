"""What the rows of a fit say of its predictions: noise, temperature, errors of held-out rows."""

from dataclasses import replace
from functools import partial

import numpy as np

from ..data.rows import at_most
from ..uncertainty.conformal import MOST_COLUMNS, MOST_ROWS, HeldOut, calibrate_real
from ..uncertainty.last_layer import LastLayer, has_last_layer
from ..uncertainty.noise import count_rows, estimate_noise, n_residual_rows, noise_before_fit
from ..uncertainty.prediction_sets import ClassCalibration
from ..uncertainty.temperature import MOST_ROWS as MOST_ROWS_OF_TEMPERATURE
from ..uncertainty.temperature import fit_temperature
from .out_of_fold import rows_of

# The noise of a target that is known in fewer held-out rows comes from residuals of training rows.
_FEWEST_HELD_OUT = 10
# Posteriors of the output weights of wider ensembles would take too much memory in a pickle.
_WIDEST_OF_MEMBERS = 256


def noise_after(run, network):
    """Return the estimate of the targets' noise after the run; None for classes."""
    if run.targets.is_classifier:
        return None
    precision, start, is_held_out = run.settings.noise_precision, run.start, run.is_held_out
    n_rows = n_residual_rows(network, run.loss, precision, is_held_out)
    estimate = partial(
        estimate_noise,
        network,
        run.loss,
        n_training_rows=count_rows(run.training),
        y_scale=run.targets.y_scale,
        noise_precision=precision,
        before=None if start is None else start.model.noise,
        is_stream=run.plan.is_stream,
    )
    if run.members is not None:
        parts = run.members.parts(run, network, n_rows) if n_rows else None
        noise = estimate(None, parts=parts, is_held_out=True)
    else:
        rows = run.validation if is_held_out else run.training
        noise = estimate(run.sample(rows, n_rows) if n_rows else None, is_held_out=is_held_out)
    known = _known_held_out(run)
    if known is not None and noise.stream is not None:
        few = known.sum(axis=0) < _FEWEST_HELD_OUT
        if few.any():
            of_training = run.sample(run.training.of_targets(few), n_rows)
            noise = noise.filled(estimate(of_training, is_held_out=False), few)
    return replace(noise, is_rough=True) if _memorises(run, network, noise) else noise


def _memorises(run, network, noise):
    """Whether residuals of training rows say nothing, because training goes on to its end."""
    return (
        run.settings.finds_plan
        and run.settings.plans_its_end
        and not (run.is_held_out or network.is_stochastic or run.plan.is_stream)
        and noise.stream is not None
        and network.params.shape[1] > run.training.n_counted
    )


def _known_held_out(run):
    """Return the mask of the known targets of held-out rows; None if all are known."""
    if run.members is None:
        return run.validation.known if run.is_held_out else None
    known = run.training.known
    return None if known is None else known[run.members.folds.holds_out.any(axis=1)]


def noise_before(run):
    """Return what is known of the noise while the network is being trained."""
    if run.targets.is_classifier:
        return None
    return noise_before_fit(run.loss, run.settings.noise_precision)


def temperature_after(run, network):
    """Return the temperature of the raw scores after the run; None for real targets."""
    if not run.targets.is_classifier:
        return None
    if run.settings.parameters.get("temperature") != "auto":
        return run.targets.temperature
    if run.plan.is_stream:
        # A stream has no held-out rows: that of the fit which it continues is kept.
        return 1.0 if run.start is None else run.start.model.targets.temperature
    if not run.is_held_out:
        return 1.0
    if run.members is None:
        rows = run.validation.at_most(MOST_ROWS_OF_TEMPERATURE)
        raw = network.infer(run.arrays(rows)[0]).mean(axis=0, dtype=np.float64)
    else:
        raw = run.members.raw(run, network)
        known = np.flatnonzero(~np.isnan(raw[:, 0]))
        known = known[at_most(len(known), MOST_ROWS_OF_TEMPERATURE)]
        rows, raw = run.training.take(known), raw[known].astype(np.float64)
    return _temperature_for(run, rows, raw)


def _temperature_for(run, rows, raw):
    """Fit the temperature to mean raw scores, (n_samples, n_outputs), of held-out rows."""
    y = replace(run.targets, label_smoothing=0.0).for_loss(rows.y, np.float64)
    weight = rows.relative_weight
    n_rows = count_rows(rows) / len(rows)
    weight = np.full(len(rows), n_rows) if weight is None else weight * n_rows
    return fit_temperature(run.loss, raw, y, weight)


def posterior_after(run, model):
    """Return the posterior of the output weights of each member, from its training rows, or None.

    A single network has it for predictive distributions, members on held-out rows for the scale of
    their errors. There is none for streams, for losses without normal noise, and for networks that
    have masks.
    """
    network = model.network
    is_single = network.n_members == 1
    if run.plan.is_stream or network.is_stochastic:
        return None
    if not is_single and (
        run.targets.is_classifier
        or network.layers[-1].n_inputs > _WIDEST_OF_MEMBERS
        or not (run.is_held_out or run.plan.lengths is not None)
    ):
        return None
    if not has_last_layer(network) or (run.loss.noise is None and not run.targets.is_classifier):
        return None
    x, posteriors = run.arrays(run.training)[0], []
    for m in range(network.n_members):
        own, rows = x, run.training
        if run.members is not None:
            fold = run.members.folds.of_member(m)
            own, rows = rows_of(x, run.members.folds.train[fold]), run.members.training[fold]
        posteriors.append(_last_layer(run, model, network.member(m), own, rows))
    return None if None in posteriors else LastLayer.joined(posteriors)


def _last_layer(run, model, network, x, rows):
    """Return the `LastLayer` of a network that was trained on some rows of the run, or None."""
    loss, known = run.loss, rows.known
    precision, curvature = 1.0, None
    if run.targets.is_classifier:
        curvature = partial(_curvature_of_classes, loss, model.targets.temperature)
    elif loss.noise == "predicted":
        factor = 1.0 if model.noise.factor is None else model.noise.factor
        curvature = partial(_curvature_of_heads, loss, factor, known)
    else:
        precision = model.noise.precision * run.targets.y_scale**2
        if not np.isfinite(precision).all():
            return None
        curvature = None if known is None else lambda raw, some: known[some] * 1.0
    return LastLayer.of(
        network, x, _repeats(rows), curvature, precision, by_evidence=not run.targets.is_classifier
    )


def _repeats(rows):
    """Return the number of rows that each row stands for, (n_samples,), or None for ones."""
    if rows.weight is None:
        return None
    return rows.weight * max(1.0, rows.n_counted / rows.weight.sum())


def _curvature_of_classes(loss, temperature, raw, _):
    """Return p (1 - p) of each class; the probabilities are those by temperature."""
    proba = loss.predict(raw[np.newaxis] / temperature)[0]
    return proba * (1.0 - proba) / temperature**2


def _curvature_of_heads(loss, factor, known, raw, rows):
    """Return the inverse of the predicted variances, (rows, targets)."""
    inverse = 1.0 / (loss.predict_variance(raw[np.newaxis])[0] * factor**2)
    return inverse if known is None else inverse * known[rows]


def calibration_after(run, model):
    """Return the `RealCalibration` or `ClassCalibration` of the held-out rows, and their scores.

    Both are None if no row is held out. The scores of folds have a place for each row of the user,
    NaN where it is not held out.
    """
    if not run.is_held_out or run.plan.is_stream or not model.targets.has_calibration:
        return None, None
    if run.members is None:
        rows = run.validation.at_most(MOST_ROWS)
        predicted = [predicted_by(model, None, run.arrays(rows)[0])]
        calibration = _calibration(run, model, rows, [None], predicted, "validation")
        return calibration, calibration.scores
    parts = run.members.held_out_parts(MOST_ROWS)
    members, numbers = zip(*parts, strict=True)
    x, _, _ = run.arrays(run.training)
    predicted = [predicted_by(model, some, rows_of(x, rows)) for some, rows in parts]
    numbers = np.concatenate(numbers)
    origin = "bootstrap" if run.settings.bootstrap else "folds"
    rows = run.training.take(numbers)
    calibration = _calibration(run, model, rows, members, predicted, origin)
    scores = calibration.scores
    of_all = np.full((run.members.folds.n_samples, *scores.shape[1:]), np.nan)
    of_all[run.members.folds.kept[numbers]] = scores
    return calibration, of_all


def _calibration(run, model, rows, members, predicted, origin):
    """Return the calibration for predictions of the rows of each part, in their order."""
    sizes = [raw.shape[1] for raw, _ in predicted]
    weight, groups = weights_of(rows)
    held_out = HeldOut(
        np.repeat(np.arange(len(sizes)), sizes),
        tuple(members),
        weight,
        origin,
        groups,
        run.training.sample_weight is not None and rows.sample_weight is None,
    )
    return calibrate(model, rows, predicted, held_out)


def predicted_by(model, members, x):
    """Return raw predictions of some members, and their variances by the posterior or None.

    Both are (members, rows, outputs).
    """
    network, posterior = model.network, model.posterior
    network = network if members is None else network.select(members)
    if posterior is None or model.targets.is_classifier:
        return network.infer(x), None
    posterior = posterior if members is None else posterior.select(members)
    return network.infer(x), posterior.variance(network, x)


def own_std(model, raw, variance):
    """Return the standard deviation of targets that members predict, up to a factor, or None.

    It is (rows, targets), the root mean square over the members.

    Parameters
    ----------
    model : FittedModel
    raw, variance : ndarray of shape (members, rows, outputs)
        The variance may be None; see `predicted_by`.
    """
    targets = model.targets
    std = targets.relative_std(raw)
    if variance is None:
        return std
    if std is None:
        noise = 1.0 / (model.noise.precision * targets.y_scale**2)
    else:
        noise = np.square(std * (1.0 if model.noise.factor is None else model.noise.factor))
    return np.sqrt(noise + variance[..., : len(targets.y_scale)].mean(axis=0))


def calibrate(model, rows, predicted, held_out):
    """Return the calibration for held-out `Rows`, whose order is that of their parts.

    `predicted` has for each part what `predicted_by` returns.
    """
    targets = model.targets
    if targets.is_classifier:
        # In float64, because scores of new rows must not be tied to these by rounding.
        proba = np.concatenate([targets.proba(raw.astype(np.float64)) for raw, _ in predicted])
        return ClassCalibration.of_proba(held_out, rows.y[:, 0].astype(np.intp), proba)
    centre = np.concatenate([targets.predict_columns(raw) for raw, _ in predicted])
    if centre.ndim == 3:
        return calibrate_real(held_out, rows.y[..., np.newaxis] - centre, centre)
    own = [own_std(model, *of_part) for of_part in predicted]
    own = None if own[0] is None else np.concatenate(own)
    columns = None
    if held_out.origin == "folds":
        columns = model.inputs.dense_columns(rows.X, MOST_COLUMNS)
    return calibrate_real(held_out, rows.y - centre, centre, own, columns)


def weights_of(rows):
    """Return how much each row counts, (n_rows,) or None for one each, and the codes of groups.

    An integer weight of k counts as k rows. Other weights count in all as Kish's effective number
    of rows, because few rows of large weight say little.
    """
    weight, groups = rows.sample_weight, rows.groups
    groups = None if groups is None else np.unique(groups, return_inverse=True)[1]
    if weight is not None and (weight != np.rint(weight)).any():
        weight = weight * (weight.sum() / np.square(weight).sum())
    return weight, groups
