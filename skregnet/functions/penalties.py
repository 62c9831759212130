"""Penalties of the weights, and constraints on norms.

The leading axis of all arrays is that of the members of an ensemble. Everything here runs at each
training step: it works in place and allocates no array that grows with the number of parameters.
To add a penalty, write the class and add it to `PENALTIES`.
"""

import copy
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, is_dataclass, replace
from functools import partial

import numpy as np

from ..kernels.blas import MOST_ELEMENTS, in_turn, prepare_addition
from ..kernels.blocks import column_blocks, pieces


class Penalty(ABC):
    """A function of the weights that is added to the loss; biases are not penalised.

    All arrays have the shape (members, n_weights), and their rows are contiguous.

    Attributes
    ----------
    strength : float
        Multiplies the whole penalty; 0 switches it off.
    """

    strength: float

    @property
    def is_smooth(self):
        """Whether the penalty has a derivative everywhere, as full-batch solvers need it."""
        return True

    @abstractmethod
    def value(self, weights, scratch=None):
        """Return the penalty of each member.

        Parameters
        ----------
        weights : ndarray of shape (members, n_weights)
            Penalised weights.
        scratch : ndarray of shape (members, n_weights), default=None
            Buffer that may be overwritten.

        Returns
        -------
        value : ndarray of shape (members,), float64
            The penalties.
        """

    @abstractmethod
    def prepare_gradient(self, weights, gradient, scratch):
        """Return a function without arguments that adds the gradient of the penalty in place.

        Parameters
        ----------
        weights, gradient, scratch : ndarray of shape (members, n_weights)
            See `add_gradient`. The arrays stay the same from step to step.

        Returns
        -------
        add : callable() -> None
            Adds to `gradient`.
        """

    def add_gradient(self, weights, gradient, scratch):
        """Add the gradient of the penalty to ``gradient``, in place.

        Parameters
        ----------
        weights, gradient, scratch : ndarray of shape (members, n_weights)
            Penalised weights, gradient of the loss, and a buffer that may be overwritten.
        """
        self.prepare_gradient(weights, gradient, scratch)()

    def scaled(self, factor):
        """Return the same penalty with another strength.

        Parameters
        ----------
        factor : float
            Multiplies the strength.

        Returns
        -------
        penalty : Penalty
            A copy.
        """
        if is_dataclass(self):
            return replace(self, strength=self.strength * factor)
        scaled = copy.copy(self)
        scaled.strength = self.strength * factor
        return scaled

    def decoupled(self):
        """Split the penalty for optimisers that decay the weights themselves, such as AdamW.

        Returns
        -------
        decay : float
            Relative decrease of each weight in a step of learning rate 1.
        penalty : Penalty
            The rest, whose gradient is added to that of the loss.
        """
        return 0.0, self


@dataclass(frozen=True)
class ElasticNet(Penalty):
    r"""Elastic-net penalty: a mixture of the L1 and the squared L2 norm.

    .. math::

        \Omega(w) = \mathrm{strength} \left( \mathrm{l1\_ratio} \, \lVert w \rVert_1
        + \frac{1 - \mathrm{l1\_ratio}}{2} \lVert w \rVert_2^2 \right)

    At zero, where the L1 norm has no derivative, the subgradient 0 is taken.

    Parameters
    ----------
    strength : float
        Multiplies the whole penalty; 0 switches it off.
    l1_ratio : float, default=0.0
        Share of the L1 norm, in [0, 1]: 0 is weight decay (ridge), 1 is the lasso.

    References
    ----------
    Zou, H., & Hastie, T. (2005). Regularization and variable selection via the elastic net.
    Journal of the Royal Statistical Society B, 67(2), 301-320.

    Examples
    --------
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
        # Python floats: an ``np.float64`` would promote float32 arrays.
        l1, l2 = self.strength * self.l1_ratio, self.strength * (1.0 - self.l1_ratio)
        return float(l1), float(l2)

    def value(self, weights, scratch=None):
        l1, l2 = self._factors
        total = np.zeros(weights.shape[0])
        if l2:
            total += 0.5 * l2 * _squared_norms(weights)
        if l1:
            total += l1 * np.abs(weights, out=scratch).sum(axis=1, dtype=np.float64)
        return total

    def prepare_gradient(self, weights, gradient, scratch):
        l1, l2 = self._factors
        calls = []
        if l2:
            rows = zip(weights, gradient, strict=True)
            calls += [prepare_addition(own_weights, own, l2) for own_weights, own in rows]
        if l1:
            calls.append(partial(_add_signs, l1, weights, gradient, scratch))
        return in_turn(calls)

    @property
    def is_smooth(self):
        return self.l1_ratio == 0.0

    def decoupled(self):
        rest = replace(self, strength=self.strength * self.l1_ratio, l1_ratio=1.0)
        return self.strength * (1.0 - self.l1_ratio), rest


PENALTIES: dict[str, type[Penalty]] = {"elastic_net": ElasticNet}


def _add_signs(factor, weights, gradient, scratch):
    for columns in column_blocks(*weights.shape):
        # The same part of `scratch` is used each time, so it stays in the cache.
        piece = scratch[:, : columns.stop - columns.start]
        np.sign(weights[:, columns], out=piece)
        np.multiply(piece, factor, out=piece)
        np.add(gradient[:, columns], piece, out=gradient[:, columns])


def project_max_norm(weight, max_norm):
    """Rescale, in place, the incoming weights of each unit to a norm of at most ``max_norm``.

    Units whose norm is within the bound keep their weights bit for bit. So do units whose norm is
    not finite, because weights of zero would hide that training has diverged.

    Parameters
    ----------
    weight : ndarray of shape (members, fan_in, fan_out)
        Weights of a layer; column ``j`` holds the incoming weights of unit ``j``.
    max_norm : float
        Largest Euclidean norm a column may have.

    References
    ----------
    Srivastava, N., Hinton, G., Krizhevsky, A., Sutskever, I., & Salakhutdinov, R. (2014).
    Dropout: a simple way to prevent neural networks from overfitting. Journal of Machine
    Learning Research, 15, 1929-1958, section 5.1.

    Examples
    --------
    >>> weight = np.array([[[3.0, 0.3], [4.0, 0.4]]])
    >>> project_max_norm(weight, max_norm=1.0)
    >>> weight
    array([[[0.6, 0.3],
            [0.8, 0.4]]])
    """
    norms = np.sqrt(np.einsum("mio,mio->mo", weight, weight))
    exceeds = (norms > max_norm) & np.isfinite(norms)
    if exceeds.any():
        # A factor of exactly 1 leaves the other columns bit-identical.
        factors = np.ones_like(norms)
        np.divide(float(max_norm), norms, out=factors, where=exceeds)
        np.multiply(weight, factors[:, np.newaxis, :], out=weight)


def clip_gradient_norm(gradient, max_norm):
    """Rescale, in place, the gradient of each member to a norm of at most ``max_norm``.

    A gradient within the bound keeps its values bit for bit. So does one whose norm is not finite,
    from which the training loop detects divergence.

    Parameters
    ----------
    gradient : ndarray of shape (members, n_params)
        Row ``m`` is the whole gradient of member ``m``.
    max_norm : float
        Largest Euclidean norm a row may have.

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
    """Return the squared norm of each row; vecdot uses BLAS and is faster than einsum."""
    total = np.zeros(len(rows))
    for columns in pieces(rows.shape[1], MOST_ELEMENTS):
        total += np.vecdot(rows[:, columns], rows[:, columns])
    return total
