"""Features of bins in scikit-learn's models: as layers, or as a transformer."""

import numpy as np
from scipy.linalg import block_diag
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import SplineTransformer

from ..preprocessing.numeric_encoding import Bins
from .plain_network import PlainNetwork


def with_bins(plain, inputs, scaling):
    """Return a `PlainNetwork` for unscaled numbers, and the transformer before it, or None.

    `scaling` is the `AffineMap` of the inputs that are not features of bins. Two layers of 'relu'
    compute the features exactly. They are put before a network of 'relu', and before one without
    hidden layers; before others a transformer is.
    """
    of_numbers, of_bins = np.split(plain.coefs[0], [len(plain.coefs[0]) - inputs.n_bins])
    of_numbers, intercept = scaling.fold(of_numbers, plain.intercepts[0])
    if inputs.bins is None:
        return _with_first(plain, of_numbers, intercept), None
    if type(inputs.bins) is not Bins:
        raise ValueError(
            f"numeric_embedding={inputs.numeric_embedding!r} cannot be exported: scikit-learn's "
            "models have a counterpart of 'piecewise_linear' only."
        )
    can_clip = plain.activation == "relu" or len(plain.coefs) == 1
    with np.errstate(over="ignore"):
        slopes = 1.0 / inputs.bins.width
    if can_clip and np.isfinite(slopes).all():
        return _clipped(plain, inputs, slopes, of_numbers, of_bins, intercept), None
    features, of_splines = _splines(inputs, of_bins)
    return _with_first(plain, np.vstack([of_numbers, of_splines]), intercept), features


def _with_first(plain, weight, intercept):
    coefs, intercepts = [weight, *plain.coefs[1:]], [intercept, *plain.intercepts[1:]]
    return PlainNetwork(plain.activation, coefs, intercepts)


def _clipped(plain, inputs, slopes, of_numbers, of_bins, intercept):
    """Put two layers of 'relu' before a network: a clipped z is ``1 - relu(1 - relu(z))``.

    A number passes as ``relu(x) - relu(-x)``, unless its weights are zero.
    """
    bins, used = inputs.bins, np.flatnonzero(of_numbers.any(axis=1))
    chosen, one, of_numbers = (
        np.eye(inputs.n_features)[:, used],
        np.eye(len(used)),
        of_numbers[used],
    )
    scaled = np.zeros((inputs.n_features, bins.n_outputs))
    scaled[bins.columns, np.arange(bins.n_outputs)] = slopes
    passed = np.zeros(2 * len(used))
    return PlainNetwork(
        "relu",
        [
            np.hstack([chosen, -chosen, scaled]),
            block_diag(one, one, -np.eye(bins.n_outputs)),
            np.vstack([of_numbers, -of_numbers, -bins.gain * of_bins]),
            *plain.coefs[1:],
        ],
        [
            np.append(passed, -bins.low * slopes),
            np.append(passed, np.ones(bins.n_outputs)),
            intercept + bins.gain * of_bins.sum(axis=0),
            *plain.intercepts[1:],
        ],
    )


def _splines(inputs, weight):
    """Return a transformer with a basis of the features of bins, and the weights for that basis.

    It passes the numbers on, and adds linear B-splines, whose knots are the edges. A feature is the
    sum of all splines above its bin, times the gain.
    """
    bins, counts = inputs.bins, np.array(inputs.bins.counts)
    starts, names = np.append(0, counts.cumsum()), inputs.feature_names
    steps, weights = [("numbers", "passthrough", list(range(inputs.n_features)))], []
    for count in np.unique(counts[counts > 0]).tolist():
        columns = np.flatnonzero(counts == count).tolist()
        knots = np.stack([bins.edges[j] for j in columns], axis=1)
        splines = SplineTransformer(degree=1, knots=knots, extrapolation="constant")
        steps.append((f"bins_{count}", splines, columns))
        for j in columns:
            own = weight[starts[j] : starts[j] + count]
            weights += [np.zeros_like(own[:1]), bins.gain * own.cumsum(axis=0)]
    features = ColumnTransformer(steps).set_output(transform="default")
    # The knots are given: nothing is learned from these rows but the number of columns.
    features.fit(np.arange(2.0)[:, np.newaxis] + np.zeros(inputs.n_features))
    if names is not None:
        features.feature_names_in_ = names.copy()
        for _, splines, columns in features.transformers_[1:]:
            splines.feature_names_in_ = names[columns]
    return features, np.vstack(weights)
