"""Penalties on the weights, the max-norm constraint and gradient clipping.

The leading axis of the arrays is the members of an ensemble, and every function processes all
members at once. The functions run in every training step, so they work in place and allocate
nothing that grows with the number of parameters.
"""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..kernels.blas import MOST_ELEMENTS, prepare_addition
from ..kernels.blocks import column_blocks, pieces
from ..kernels.calls import in_turn


@dataclass(frozen=True)
class ElasticNet:
    r"""Elastic-net penalty: a weighted sum of the L1 norm and the squared L2 norm.

    .. math::

        \Omega(w) = \mathrm{strength} \left( \mathrm{l1\_ratio} \, \lVert w \rVert_1
        + \frac{1 - \mathrm{l1\_ratio}}{2} \lVert w \rVert_2^2 \right)

    Parameters
    ----------
    strength : float
        Factor of the penalty; 0 disables it.
    l1_ratio : float, default=0.0
        Share of the L1 norm, in [0, 1]: 0 is the ridge penalty, 1 is the lasso.

    References
    ----------
    Zou, H., & Hastie, T. (2005). Regularization and variable selection via the elastic net.
    Journal of the Royal Statistical Society B, 67(2), 301-320.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.functions.penalties import ElasticNet
    >>> weights = np.array([[3.0, -4.0]])
    >>> ElasticNet(strength=0.1).value(weights)
    array([1.25])
    >>> gradient = np.zeros_like(weights)
    >>> ElasticNet(strength=0.1, l1_ratio=1.0).add_gradient(
    ...     weights, gradient, scratch=np.empty_like(weights)
    ... )
    >>> gradient
    array([[ 0.1, -0.1]])
    """

    strength: float
    l1_ratio: float = 0.0

    @property
    def _factors(self):
        """L1 and L2 factors as Python floats; an ``np.float64`` would promote float32 arrays."""
        return (
            float(self.strength * self.l1_ratio),
            float(self.strength * (1.0 - self.l1_ratio)),
        )

    def value(self, weights, scratch=None):
        """Return the penalty of each member.

        Parameters
        ----------
        weights : ndarray of shape (members, n_weights)
            Penalised weights.
        scratch : ndarray of shape (members, n_weights), default=None
            Buffer for the L1 part; allocated if needed and not given.

        Returns
        -------
        ndarray of shape (members,), float64
            Values of the penalty in the class docstring.
        """
        l1, l2 = self._factors
        total = np.zeros(weights.shape[0])
        if l2:
            total += 0.5 * l2 * _squared_norms(weights)
        if l1:
            total += l1 * np.abs(weights, out=scratch).sum(axis=1, dtype=np.float64)
        return total

    def add_gradient(self, weights, gradient, scratch):
        """Add the gradient of the penalty to ``gradient``, in place.

        At zero, where the L1 norm has no derivative, the subgradient is ``sign(0) = 0``.

        Parameters
        ----------
        weights : ndarray of shape (members, n_weights)
            Penalised weights.
        gradient : ndarray of shape (members, n_weights)
            Gradient of the loss, to which the gradient of the penalty is added.
        scratch : ndarray of shape (members, n_weights)
            Buffer that is overwritten.
        """
        self.prepare_gradient(weights, gradient, scratch)()

    def prepare_gradient(self, weights, gradient, scratch):
        """Return a function without arguments that does the same as `add_gradient`.

        The arrays must be the same in every step, with contiguous rows.

        Parameters
        ----------
        weights, gradient, scratch : ndarray
            See `add_gradient`.

        Returns
        -------
        add : callable() -> None
            Adds the gradient of the penalty to `gradient` in place.
        """
        l1, l2 = self._factors
        calls = []
        if l2:
            rows = zip(weights, gradient, strict=True)
            calls += [prepare_addition(own_weights, own, l2) for own_weights, own in rows]
        if l1:
            calls.append(partial(_add_signs, l1, weights, gradient, scratch))
        return in_turn(calls)


def _add_signs(factor, weights, gradient, scratch):
    for columns in column_blocks(*weights.shape):
        # Always the same piece of scratch, so that it stays in the cache.
        piece = scratch[:, : columns.stop - columns.start]
        np.sign(weights[:, columns], out=piece)
        np.multiply(piece, factor, out=piece)
        np.add(gradient[:, columns], piece, out=gradient[:, columns])


def project_max_norm(weight, max_norm):
    """Rescale, in place, the incoming weights of each unit to a norm of at most ``max_norm``.

    The weights of a unit with a norm within the bound stay identical bit for bit. So do those with
    a norm that is not finite, because setting them to zero would hide that training has diverged.

    Parameters
    ----------
    weight : ndarray of shape (members, fan_in, fan_out)
        Weights of a layer; column ``j`` has the incoming weights of unit ``j``.
    max_norm : float
        Largest allowed Euclidean norm of a column.

    References
    ----------
    Srivastava, N., Hinton, G., Krizhevsky, A., Sutskever, I., & Salakhutdinov, R. (2014).
    Dropout: a simple way to prevent neural networks from overfitting. Journal of Machine
    Learning Research, 15, 1929-1958, section 5.1.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.functions.penalties import project_max_norm
    >>> weight = np.array([[[3.0, 0.3], [4.0, 0.4]]])
    >>> project_max_norm(weight, max_norm=1.0)
    >>> weight
    array([[[0.6, 0.3],
            [0.8, 0.4]]])
    """
    norms = np.sqrt(np.einsum("mio,mio->mo", weight, weight))
    exceeds = (norms > max_norm) & np.isfinite(norms)
    if exceeds.any():
        # A factor of exactly 1 leaves the other columns identical bit for bit.
        factors = np.ones_like(norms)
        np.divide(float(max_norm), norms, out=factors, where=exceeds)
        np.multiply(weight, factors[:, np.newaxis, :], out=weight)


def clip_gradient_norm(gradient, max_norm):
    """Rescale, in place, the gradient of each member to a norm of at most ``max_norm``.

    A gradient within the bound stays identical bit for bit. A gradient with a norm that is not
    finite is not changed; the training loop detects it.

    Parameters
    ----------
    gradient : ndarray of shape (members, n_params)
        Row ``m`` is the gradient of member ``m`` by all parameters.
    max_norm : float
        Largest allowed Euclidean norm of a row.

    Returns
    -------
    ndarray of shape (members,), float64
        The norms before clipping.

    References
    ----------
    Pascanu, R., Mikolov, T., & Bengio, Y. (2013). On the difficulty of training recurrent
    neural networks. ICML, section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.functions.penalties import clip_gradient_norm
    >>> gradient = np.array([[3.0, 4.0], [0.3, 0.4]])
    >>> clip_gradient_norm(gradient, max_norm=1.0)
    array([5. , 0.5])
    >>> gradient
    array([[0.6, 0.8],
           [0.3, 0.4]])
    """
    norms = np.sqrt(_squared_norms(gradient))
    for row, norm in zip(gradient, norms.tolist(), strict=True):
        if max_norm < norm < math.inf:
            np.multiply(row, float(max_norm) / norm, out=row)
    return norms


def _squared_norms(rows):
    """Squared norm of each row, by vecdot, which calls BLAS and is much faster than einsum."""
    total = np.zeros(len(rows))
    for columns in pieces(rows.shape[1], MOST_ELEMENTS):
        total += np.vecdot(rows[:, columns], rows[:, columns])
    return total
