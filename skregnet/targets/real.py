"""Real targets: their scaling, and predictions in their units."""

from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.utils import column_or_1d

from ..data.rows import FEW_ROWS, joined_with_weights
from ..functions.losses import REGRESSION_LOSSES, Loss
from ..functions.losses.sums import by_target, robust_location_and_scale
from ..preprocessing.checks import is_plain_array
from ..preprocessing.columns import column_names, is_frame, listed
from ..preprocessing.moments import exact_standardisation, standardisation
from ..preprocessing.numbers import read_numbers
from .scores import score_of_known

_DID_YOU_MEAN = "Did you mean RegularizedMLPClassifier? It takes class labels."
# Robust losses have the same gradient for all targets that are far off. Targets further off than so
# many standard deviations do not count more: sums of the others would drown in their rounding.
_FAR_OFF = 1e6
# Within these bounds of means and standard deviations, predictions fit in float32.
_FLOAT32_UNITS = (1e-30, 1e30)
# Up to this ratio of mean to standard deviation, float32 rounds predictions to less than a ten-
# thousandth of the standard deviation.
_FLOAT32_RATIO = 1e3


@dataclass(frozen=True)
class TargetScaler:
    """Subtracts a mean and divides by a scale, for each output, both (n_outputs,)."""

    mean: np.ndarray
    scale: np.ndarray
    # Whether float32 holds predictions in the units of the target.
    fits_float32: bool = field(init=False, repr=False)

    def __post_init__(self):
        smallest, largest = _FLOAT32_UNITS
        size = np.abs(self.mean) + self.scale
        fits = bool((self.scale > smallest).all() and (size < largest).all())
        fits = fits and bool((np.abs(self.mean) <= _FLOAT32_RATIO * self.scale).all())
        object.__setattr__(self, "fits_float32", fits)

    @classmethod
    def fit(cls, y, weight=None):
        """Standardise ``y`` (n_samples, n_outputs) by weighted means and standard deviations.

        Here and below, weights are (n_samples, 1), or (n_samples, n_outputs) with zeros for missing
        targets.
        """
        return cls(*by_target(_mean_and_deviation, y, weight))

    @classmethod
    def fit_robustly(cls, y, weight=None):
        """Centre by weighted medians and divide by robust standard deviations."""
        return cls(*by_target(robust_location_and_scale, y, weight))

    @classmethod
    def fit_scale(cls, y, weight=None):
        """Scale positive targets to the weighted mean one, without centring them."""
        mean, _ = by_target(_mean_and_deviation, y, weight)
        return cls(np.zeros_like(mean), mean)

    @classmethod
    def identity(cls, n_outputs):
        """Return the scaler that changes nothing."""
        return cls(np.zeros(n_outputs), np.ones(n_outputs))

    def transform(self, y):
        """Return targets for the loss."""
        return (y - self.mean) / self.scale

    def inverse_transform(self, y):
        """Return `y` in the units of the target; there may be a last axis of quantiles."""
        mean, scale = self.mean, self.scale
        if y.ndim == 3:
            mean, scale = mean[:, np.newaxis], scale[:, np.newaxis]
        return y * scale + mean


def _mean_and_deviation(y, weight):
    """Return weighted means and standard deviations, which are exact if a target is constant."""
    weight = None if weight is None else weight[:, 0]
    mean, _, scale, seems_constant, _ = standardisation(y, weight)
    is_constant = np.ptp(y, axis=0) == 0.0
    columns = np.flatnonzero(seems_constant & ~is_constant)
    if len(columns):
        mean[columns], scale[columns] = exact_standardisation(y, weight, columns, y[0, columns])
    return np.where(is_constant, y[0], mean), np.where(is_constant, 1.0, scale)


@dataclass(frozen=True, eq=False)
class RealTargets:
    """Scales real targets for the loss, and raw predictions back to their units; immutable."""

    loss: Loss
    normalize_y: bool | str
    owner: str  # the estimator's class name, for messages
    n_targets: int | None = None  # None before `read`
    names: tuple | None = None  # of the columns of a DataFrame, for messages
    scaling: TargetScaler | None = None  # None before `fitted`
    # The targets of a stream that the scaling was fitted to, and their weights, if they are few.
    first_rows: tuple | None = None
    # Mask of the targets whose scale is one because they were constant, (n_targets,).
    unscaled_constants: np.ndarray | None = None
    # Location and spread of targets that are not normalised, both (n_targets,), for robust losses.
    unnormalised: TargetScaler | None = None

    is_classifier = False
    has_calibration = True  # whether held-out rows give intervals or sets
    name_out_of_fold = "oob_prediction_"  # of the attribute, as in random forests

    @property
    def y_mean(self):
        """Value that is subtracted from the targets, (n_targets,)."""
        return self.scaling.mean

    @property
    def y_scale(self):
        """Value that the targets are divided by, (n_targets,)."""
        return self.scaling.scale

    def read(self, y, classes=None, name="y", same_classes=False):
        """Check targets; return targets that know their number, and `y` as float64 twice.

        The first array has the shape (n_samples, n_targets), the second that of `y`. Of several
        targets some may be missing, as NaN. `name` is the name of the argument, for messages.
        `classes` and `same_classes` concern labels only.
        """
        check_is_given(y, self.owner)
        names = tuple(column_names(y)) if is_frame(y) else None
        if is_plain_array(y) and y.ndim in (1, 2):
            y = y.astype(np.float64, copy=False)
        else:
            y = read_numbers(y, name, self.owner, _DID_YOU_MEAN, allow_missing=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        encoded = y.reshape(len(y), -1)
        n_targets = encoded.shape[1]
        if self.n_targets is None:
            return replace(self, n_targets=n_targets, names=names), encoded, y
        if n_targets != self.n_targets:
            raise ValueError(
                f"{name} must have as many outputs as {'before' if name == 'y' else 'y'}, "
                f"{self.n_targets}, got {n_targets}."
            )
        return self, encoded, y

    def continued(self, unfitted):
        """Return the same targets for a later fit; only `with_rows` changes their scaling."""
        return self

    def unscaled(self, n_targets):
        """Return targets of which `n_targets` are known and none is scaled."""
        return replace(self, n_targets=n_targets, scaling=TargetScaler.identity(n_targets))

    def check_rows(self, encoded, weight):
        """Raise ValueError if a target of positive weight is out of the range of the loss."""
        encoded = encoded if weight is None else encoded[weight > 0.0]
        self.loss.check_targets(encoded if self.known(encoded) is None else _filled(encoded))

    def known(self, encoded):
        """Return the mask of the targets that are not missing, or None if none is missing."""
        if encoded.shape[1] == 1 or not np.isnan(encoded.min()):
            return None
        return ~np.isnan(encoded)

    def fitted(self, rows, is_stream=False):
        """Return targets with the scaling of the training part.

        With `is_stream`, further rows follow, which `with_rows` learns from.
        """
        self._check_each_is_known(rows)
        few = is_stream and len(rows) < FEW_ROWS
        first_rows = (rows.y.copy(), _weights(rows)) if few else None
        targets = self._scaled_by(rows.y, rows.loss_weight, first_rows)
        if self.normalize_y is False and self.loss.is_robust and not is_stream:
            spread = TargetScaler.fit_robustly(rows.y, rows.loss_weight)
            targets = replace(targets, unnormalised=spread)
        return targets

    def with_rows(self, rows):
        """Return targets whose scaling has learned from further rows of a stream.

        While it knows few rows it learns anew from all of them. Later it learns from targets alone
        that were constant until now.
        """
        y, weight = rows.y, _weights(rows)
        if self.first_rows is not None:
            y, weight = joined_with_weights(self.first_rows, (y, weight))
            return self._scaled_by(y, weight, (y, weight) if len(y) < FEW_ROWS else None)
        if self.unscaled_constants is None:
            return self
        distance = y - self.scaling.mean
        varies = self.unscaled_constants & (np.nan_to_num(distance) != 0.0).any(axis=0)
        if not varies.any():
            return self
        # The distances are those of both signs from the former value, which remains the centre.
        both = np.concatenate([distance, -distance])
        weights = None if weight is None else np.concatenate([weight, weight])
        scale = np.where(varies, self._standardised(both, weights).scale, self.scaling.scale)
        return replace(
            self,
            scaling=TargetScaler(self.scaling.mean, scale),
            unscaled_constants=_if_any(self.unscaled_constants & ~varies),
        )

    def _scaled_by(self, y, weight, first_rows):
        """Return targets with the scaling of some targets; `first_rows` are kept for later."""
        constants = None
        if self.loss.positive_mean:
            names = (name for name, loss in REGRESSION_LOSSES.items() if loss is self.loss)
            name = repr(next(names, self.loss))  # as the user writes it
            if self.normalize_y is True:
                raise ValueError(
                    f"normalize_y=True cannot be used with loss={name}, whose mean is "
                    "positive: a centred target is not. Use normalize_y='auto' or False."
                )
            scaling = TargetScaler.fit_scale(y, weight)
            if not (scaling.scale > 0.0).all():
                raise ValueError(
                    f"loss={name} needs a target whose mean over the training rows is "
                    f"positive, got {scaling.scale.min()}."
                )
        elif self.normalize_y is not False:
            scaling = self._standardised(y, weight)
            # A single known value is constant, too.
            constants = _if_any(np.fmax.reduce(y) == np.fmin.reduce(y))
        if self.normalize_y is False:
            scaling, first_rows = TargetScaler.identity(y.shape[1]), None
        return replace(self, scaling=scaling, first_rows=first_rows, unscaled_constants=constants)

    def _check_each_is_known(self, rows):
        """Raise ValueError if a target is missing in all training rows."""
        if rows.known is None or rows.known.any(axis=0).all():
            return
        never = np.flatnonzero(~rows.known.any(axis=0)).tolist()
        columns = listed(never if self.names is None else [self.names[k] for k in never])
        raise ValueError(
            f"Input y contains NaN: the target in {columns} is missing in all training rows of "
            "positive weight. Leave the column out, or give training rows in which it is known "
            "(held-out rows do not count)."
        )

    def _standardised(self, y, weight):
        """Return the scaling to location zero and spread one."""
        is_robust = self.loss.is_robust
        return (TargetScaler.fit_robustly if is_robust else TargetScaler.fit)(y, weight)

    @property
    def can_rescale(self):
        """Whether the output layer of a network can change the scaling of its targets."""
        one, zero = np.ones(1), np.zeros(1)
        return self.normalize_y is not False and self.loss.raw_map(one, zero) is not None

    def raw_map_from(self, other):
        """Return factor and shift of raw predictions that are in the scaling of other targets."""
        factor = other.y_scale / self.y_scale
        return self.loss.raw_map(factor, (other.y_mean - self.y_mean) / self.y_scale)

    def for_loss(self, encoded, dtype):
        """Return scaled targets, (n_samples, n_targets), C-contiguous; missing ones are filled."""
        encoded = self._without_far_ones(encoded)
        scaled = np.ascontiguousarray(self.scaling.transform(encoded), dtype)
        if np.isfinite(scaled).all():
            return scaled
        scaled = _filled(scaled)
        if not np.isfinite(scaled).all():
            largest = np.nanmax(np.abs(encoded))
            raise ValueError(
                f"y has magnitudes of up to {largest:.3g}, which with normalize_y="
                f"{self.normalize_y!r} leave the range of {scaled.dtype}. Divide y by a constant."
            )
        return scaled

    def _without_far_ones(self, encoded):
        """Return targets of which those far off are moved towards the others, for robust losses."""
        spread = self.unnormalised if self.normalize_y is False else self.scaling
        if not self.loss.is_robust or spread is None:
            return encoded
        with np.errstate(over="ignore"):
            reach = _FAR_OFF * spread.scale
            low, high = spread.mean - reach, spread.mean + reach
        if self.unscaled_constants is not None:
            low = np.where(self.unscaled_constants, -np.inf, low)
            high = np.where(self.unscaled_constants, np.inf, high)
        return np.clip(encoded, low, high)

    def spread_for_loss(self, y, weight):
        """Return standard deviations of scaled targets, or None if they have been normalised."""
        if self.normalize_y is not False:
            return None
        return self._standardised(y.astype(np.float64, copy=False), weight).scale

    def class_weights(self, rows):
        """Return None, because there are no classes."""
        return None

    def stratify(self, rows):
        """Return None, because there are no classes."""
        return None

    def exact(self, rows):
        """Return a mask of the targets that are constant, (n_targets,), or None if not scaled."""
        return None if self.normalize_y is False else ~rows.varies

    def predict(self, raw):
        """Return the mean prediction over the members, (n_samples,) or (n_samples, n_targets).

        `raw` has the shape (members, n_samples, n_outputs). The result has a last axis of levels
        if the loss predicts several quantiles.
        """
        y = self.predict_columns(raw).astype(self.float_type(raw.dtype), copy=False)
        return y[:, 0] if y.shape[1] == 1 else y

    def predict_columns(self, raw):
        """Return mean predictions in float64, (n_samples, n_targets) or with an axis of levels."""
        return self.scaling.inverse_transform(mean_over_members(self.loss.predict(raw)))

    def relative_std(self, raw):
        """Return the standard deviation that the network predicts, up to a factor, or None.

        It is (n_samples, n_targets), the root of the mean square over the members.
        """
        std = self.loss.relative_std(raw)
        return None if std is None else np.sqrt(np.square(std, dtype=np.float64).mean(axis=0))

    def predict_and_score(self, raw, rows):
        """Return predictions of raw predictions of rows, and their R2 or D2.

        `raw` is (n_samples, n_outputs), NaN for rows that have no prediction.
        """
        known = ~np.isnan(raw[:, 0])
        of_known = self.predict(raw[np.newaxis, known])
        predicted = np.full((len(raw), *of_known.shape[1:]), np.nan, of_known.dtype)
        predicted[known] = of_known
        weight = None if rows.weight is None else rows.weight[known]
        if of_known.ndim == 1 or (rows.y.shape[1] == 1 and self.loss.predicted_levels is not None):
            of_known = of_known[:, np.newaxis]
        score = score_of_known(rows.y[known], of_known, weight, self.loss.predicted_levels)
        return predicted, score

    def float_type(self, dtype):
        """Return `dtype`, or float64 if float32 does not hold the units of the targets."""
        return dtype if self.scaling.fits_float32 else np.float64


def _weights(rows):
    """Return the weights of each target, which do not depend on what is missing elsewhere."""
    if rows.known is None or rows.relative_weight is None:
        return rows.loss_weight if rows.known is None else rows.known.astype(np.float64)
    return rows.known * rows.relative_weight[:, np.newaxis]


def _if_any(mask):
    return mask if mask.any() else None


def _filled(y):
    """Return targets with a value in place of NaN that has the weight zero in the loss.

    It is the first known one, which is within the range of the target; one if none is known.
    """
    missing = np.isnan(y)
    columns = np.arange(y.shape[1])
    first = y[missing.argmin(axis=0), columns] if len(y) else y
    return np.where(missing, np.where(np.isnan(first), 1.0, first), y)


def mean_over_members(values):
    """Mean over the members, the leading axis; a view if there is a single member."""
    return values[0] if len(values) == 1 else values.mean(axis=0)


def check_is_given(y, owner):
    """Raise ValueError if there are no targets."""
    if y is None:
        raise ValueError(
            f"This {owner} estimator requires y to be passed, but the target y is None."
        )
