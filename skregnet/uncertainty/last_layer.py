"""A Bayesian last layer: the posterior of the output weights, given the features below them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse

from ..kernels.blocks import pieces
from ..network.layers import Dense

# A wider last layer has no posterior: the matrix of its features would take more than 8 MB, and its
# eigenvectors about a second.
WIDEST = 1024
# Number of features that are computed at once in float64: 1 MB.
_BLOCK_ELEMENTS = 1 << 17
# Steps of bisection for the prior precision, whose logarithm is then known to 1e-8.
_N_BISECTIONS = 30


class _Basis(NamedTuple):
    """The posterior in the eigenvectors of the features."""

    vectors: np.ndarray  # (members, features, features), one eigenvector in each column
    variances: np.ndarray  # (members, features, outputs), of the weights along them
    alpha: np.ndarray  # (members, outputs), the precision of the prior


@dataclass(frozen=True, eq=False)
class LastLayer:
    r"""Normal posterior of the weights and bias of the output layer; the layers below are fixed.

    The features of a row are the outputs :math:`\phi` of the last hidden layer and a one for the
    bias. The weights of output k have the posterior covariance

    .. math:: S_k = (h_k \Phi^T D \Phi + \alpha_k I)^{-1}

    around the trained weights, where the diagonal D holds the weights of the rows. It is that of a
    linear regression with the noise variance :math:`1 / h_k`, or Laplace's approximation.

    The precision :math:`\alpha_k` of the prior maximises the evidence given the trained weights
    :math:`w_k`, where :math:`\alpha_k \lVert w_k \rVert^2 = \gamma_k`, the effective number of
    weights (MacKay 1992). Where a network separates classes, the curvature of the likelihood
    vanishes, and with it :math:`\gamma_k`: the prior would be so wide that the probabilities of
    the training rows are lost. For classes, the number of all weights takes the place of
    :math:`\gamma_k`, so that the variance of the prior is the mean square of the trained weights.

    Parameters
    ----------
    gram : ndarray of shape (members, features, features)
        :math:`\Phi^T D \Phi`.
    precision : ndarray of shape (members, outputs)
        The factors :math:`h_k`.
    square : ndarray of shape (members, outputs)
        Squared norms of the trained weights, without the bias. An output of zero has no variance.
    by_evidence : bool, default=True
        Whether the prior is that of maximal evidence, or has the mean square of the weights.

    References
    ----------
    D. J. C. MacKay: Bayesian Interpolation, Neural Computation 4, 1992.

    J. Snoek et al.: Scalable Bayesian Optimization Using Deep Neural Networks, ICML 2015.

    A. Kristiadi, M. Hein, P. Hennig: Being Bayesian, Even Just a Bit, Fixes Overconfidence in ReLU
    Networks, ICML 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.network import build_network
    >>> from skregnet.uncertainty.last_layer import LastLayer
    >>> network = build_network(1, 1)  # f(x) = 2 x
    >>> network.params[:] = [[2.0, 0.0]]
    >>> x = np.linspace(-1, 1, 100)[:, np.newaxis]
    >>> posterior = LastLayer.of(network, x, precision=[100.0])
    >>> posterior.variance(network, np.array([[0.0], [10.0]])).round(4).ravel()
    array([0.0001, 0.0295])
    """

    gram: np.ndarray
    precision: np.ndarray
    square: np.ndarray
    by_evidence: bool = True

    @classmethod
    def of(cls, network, x, weight=None, curvature=None, precision=1.0, by_evidence=True):
        """Return the posterior of a network, given the rows that it was trained on.

        Parameters
        ----------
        network : Network
        x : {ndarray, CSR matrix, Source} of shape (rows, inputs)
            What the network takes.
        weight : ndarray of shape (rows,), default=None
            Numbers of rows that each row stands for; None means ones.
        curvature : callable(raw, rows) -> ndarray, default=None
            Second derivatives of the negative log-likelihood with respect to the raw predictions of
            a slice of rows, both (rows, outputs) in float64; None means ones. Outputs that are left
            out at the end have no variance. The outputs share one matrix: a row counts by the mean
            over its outputs, and an output by the ratio of its total to the mean one.
        precision : array-like of shape (outputs,), default=1.0
            Factors of the curvature of each output.
        by_evidence : bool, default=True
            See the class.

        Returns
        -------
        posterior : LastLayer or None
            None if the network does not end with a layer that `has_last_layer` knows, or if its
            features are not finite.
        """
        if not has_last_layer(network):
            return None
        last, n_features = network.layers[-1], network.layers[-1].n_inputs + 1
        gram = np.zeros((network.n_members, n_features, n_features))
        totals = np.zeros((network.n_members, last.n_outputs))
        square = np.square(last.weight, dtype=np.float64).sum(axis=1)
        for rows, features in _features(network, x):
            share = np.ones((1, 1)) if weight is None else weight[rows, np.newaxis]
            for m, phi in enumerate(features):
                own = share
                if curvature is not None:
                    raw = phi[:, :-1] @ last.weight[m] + last.bias[m]
                    second = share * curvature(raw, rows)
                    own, n_means = second.mean(axis=1, keepdims=True), second.shape[1]
                    totals[m, :n_means] += second.sum(axis=0)
                    square[m, n_means:] = 0.0
                phi *= np.sqrt(own)
                gram[m] += phi.T @ phi
        if not np.isfinite(gram).all():
            return None
        if curvature is None:
            totals[...] = 1.0
        # The bias has a feature of one.
        total = gram[:, -1:, -1] if curvature is not None else 1.0
        ratios = np.divide(totals, total, out=np.zeros_like(totals), where=np.greater(total, 0.0))
        return cls(gram, ratios * precision, square, by_evidence)

    def __getstate__(self):
        # The basis is computed again: a prediction does not change a pickle. Half of the matrix is
        # enough.
        state = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**state, "gram": self.gram[:, *np.tril_indices(self.gram.shape[1])]}

    def __setstate__(self, state):
        half = state["gram"]
        n_features = int((2 * half.shape[1]) ** 0.5)  # of n (n + 1) / 2 elements
        rows, columns = np.tril_indices(n_features)
        gram = np.empty((len(half), n_features, n_features))
        gram[:, rows, columns] = gram[:, columns, rows] = half
        self.__dict__.update({**state, "gram": gram})

    def select(self, members):
        """Return the posteriors of some members, given by their numbers."""
        chosen = LastLayer(
            self.gram[members], self.precision[members], self.square[members], self.by_evidence
        )
        basis = _Basis(*(part[members] for part in self._basis))
        chosen.__dict__["_basis"] = basis
        return chosen

    @classmethod
    def joined(cls, members):
        """Return the posteriors of several networks, which have equal widths, as that of one."""
        if len(members) == 1:
            return members[0]
        arrays = [(each.gram, each.precision, each.square) for each in members]
        joined = map(np.concatenate, zip(*arrays, strict=True))
        return cls(*joined, members[0].by_evidence)

    @cached_property
    def _basis(self):
        values, vectors = np.linalg.eigh(self.gram)
        known = self.precision[:, np.newaxis] * np.maximum(values, 0.0)[..., np.newaxis]
        if self.by_evidence:
            alpha = _of_most_evidence(known, self.square)
        else:
            with np.errstate(divide="ignore"):
                alpha = (self.gram.shape[1] - 1) / self.square
        return _Basis(vectors, 1.0 / (known + alpha[:, np.newaxis]), alpha)

    @property
    def alpha(self):
        """Precision of the prior of the weights of each output, (members, outputs)."""
        return self._basis.alpha

    def variance(self, network, x):
        """Return the variance of the raw predictions of rows.

        Parameters
        ----------
        network : Network
            The network of the posterior.
        x : {ndarray, CSR matrix, Source} of shape (rows, inputs)
            What the network takes.

        Returns
        -------
        variance : ndarray of shape (members, rows, outputs), float64
            In squared units of the raw predictions, without the noise.
        """
        basis = self._basis
        out = np.empty((network.n_members, x.shape[0], basis.alpha.shape[1]))
        for rows, features in _features(network, x):
            projected = features @ basis.vectors
            np.square(projected, out=projected)
            out[:, rows] = projected @ basis.variances
        return out

    def moments(self, network, x, *_):
        """Yield rows, and their raw predictions and variances side by side.

        They are (1, rows, 2 outputs) in float64, of a single network.
        """
        for rows in pieces(x.shape[0], _rows_of_block(network, x)):
            some = x[rows]
            parts = network.infer(some), self.variance(network, some)
            yield rows, np.concatenate(parts, axis=-1)

    def samples(self, network, x, n_samples, generator):
        """Yield ``(rows, samples)`` of raw predictions, as `mc_samples` does for masks.

        The draws of each row have exactly the mean and the variance of the posterior.

        Parameters
        ----------
        network, x : Network, {ndarray, CSR matrix, Source}
            As in `variance`; a single network.
        n_samples : int
            Number of draws for each row; all of them come at once. A single draw is the mean.
        generator : numpy.random.Generator

        Yields
        ------
        rows : slice
        samples : ndarray of shape (n_samples, rows, outputs), float64
        """
        n_rows = _BLOCK_ELEMENTS // (n_samples * network.layers[-1].n_outputs)
        for rows in pieces(x.shape[0], max(1, min(n_rows, _rows_of_block(network, x)))):
            some = x[rows]
            mean = network.infer(some)[0]
            noise = generator.standard_normal((n_samples, *mean.shape))
            noise -= noise.mean(axis=0)
            if n_samples > 1:
                noise *= np.sqrt(self.variance(network, some)[0] / np.square(noise).mean(axis=0))
            noise += mean
            yield rows, noise


def has_last_layer(network):
    """Return whether the output layer is affine, with a bias, and at most `WIDEST` inputs wide."""
    last = network.layers[-1]
    is_affine = type(last) is Dense and bool(last.free_shapes)
    return is_affine and last.n_inputs <= WIDEST and _n_below(network) is not None


def _n_below(network):
    """Return the number of layers below the output, zero if they change nothing, or None."""
    below = network.layers[:-1]
    changing = [i for i, layer in enumerate(below) if not layer.is_identity]
    if not changing:
        return 0
    return changing[-1] + 1 if below[changing[-1]].function is not None else None


def _rows_of_block(network, x):
    """Return the number of rows for which no layer and no input has too many elements."""
    n_inputs = 0 if issparse(x) else x.shape[1]
    widest = max(n_inputs, *(network.n_members * (1 + each.n_outputs) for each in network.layers))
    return max(1, _BLOCK_ELEMENTS // (widest + network.layers[-1].n_inputs))


def _features(network, x):
    """Yield slices of rows and the inputs of the output layer with ones, float64.

    They are (members, rows, features) in a new array.
    """
    n_inputs, n_below = network.layers[-1].n_inputs, _n_below(network)
    for rows in pieces(x.shape[0], _rows_of_block(network, x)):
        features = np.ones((network.n_members, rows.stop - rows.start, n_inputs + 1))
        some = x[rows]
        if n_below:
            features[..., :-1] = network.infer_hidden(some, -1)
        else:
            features[..., :-1] = some.toarray() if issparse(some) else some
        yield rows, features


def _of_most_evidence(known, square):
    r"""Return the prior precision of maximal evidence, (members, outputs).

    The eigenvalues `known` of the data's precision are (members, features, outputs). The left side
    of :math:`\alpha \lVert w \rVert^2 = \gamma(\alpha)` increases and the right side decreases, so
    there is one solution. At least one weight counts, so that the prior is not wider than they are.
    """
    with np.errstate(divide="ignore"):
        low = 1.0 / square  # infinite for an output without weights
        high = known.shape[1] / square
    for _ in range(_N_BISECTIONS):
        alpha = np.sqrt(low) * np.sqrt(high)
        with np.errstate(invalid="ignore"):
            gamma = (known / (known + alpha[:, np.newaxis])).sum(axis=1)
            is_small = alpha * square < gamma
        low, high = np.where(is_small, alpha, low), np.where(is_small, high, alpha)
    return np.sqrt(low) * np.sqrt(high)
