"""What every loss is."""

from abc import ABC, abstractmethod

import numpy as np

from .jacobians import diagonal_jacobian


class Loss(ABC):
    """A differentiable loss of raw predictions and its link function.

    Subclass it, implement the abstract methods and pass an instance as ``loss=`` to an
    estimator, or add it to a registry in ``skregnet/functions/losses/__init__.py``.

    Attributes
    ----------
    out_activation : str
        Name of the inverse link, in scikit-learn's vocabulary of ``out_activation_``.
    positive_mean : bool
        Whether the link makes the mean positive, so that targets are divided by their mean instead
        of standardised.
    n_heads : int
        Raw predictions for each target. The outputs of the network are `n_heads` blocks, each with
        an output for every target: output ``h * n_targets + k`` is head h of target k.
    in_nats : bool
        Whether the loss is a negative log-likelihood, which has no least value of zero: `tol` and
        the limit of divergence are then differences in nats for each target. Otherwise they are
        factors of the loss of the best constant.
    noise : {'constant', 'predicted', None}
        What a normal distribution around the prediction takes as the variance of the target: one
        that is the same for all rows and is estimated from residuals, what `predict_variance`
        returns, or None where the loss stands for no such distribution.
    predicted_levels : tuple of float or None
        Levels of the quantiles along the last axis of what `predict` returns, by which the
        regressor's `score` then goes. None where there is no such axis.
    """

    out_activation = "identity"
    positive_mean = False
    n_heads = 1
    in_nats = False
    noise = None
    predicted_levels = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        # The inherited derivatives are those of another `predict`.
        order = [vars(base) for base in cls.__mro__]
        definition = {
            name: next(place for place, names in enumerate(order) if name in names)
            for name in ("predict", "predict_jacobian")
        }
        if definition["predict"] < definition["predict_jacobian"]:
            cls.predict_jacobian = Loss.predict_jacobian

    @abstractmethod
    def value_and_gradient(self, raw, y, weight, scale, gradient):
        """Value of the loss for each member; its gradient is written into `gradient`.

        Parameters
        ----------
        raw : ndarray of shape (members, rows, outputs)
            Raw predictions, ``outputs = n_heads * targets``. They may be overwritten.
        y : ndarray of shape (members or 1, rows, targets)
            Targets.
        weight : ndarray of shape (members or 1, rows, 1) or None
            Sample weights.
        scale : float
            Factor of the value and of the gradient.
        gradient : ndarray of shape (members, rows, outputs)
            Where the derivative with respect to `raw` is written.

        Returns
        -------
        value : ndarray of shape (members,), float64
            The weighted sum over rows and targets, times `scale`.
        """

    @abstractmethod
    def predict(self, raw):
        """Return what the raw predictions stand for.

        Parameters
        ----------
        raw : ndarray of shape (..., rows, outputs)
            Raw predictions.

        Returns
        -------
        predictions : ndarray of shape (..., rows, targets)
            A new array. A last axis may follow where there are several predictions for a target.
        """

    def predict_jacobian(self, raw):
        """Return the derivatives of `predict` with respect to the raw predictions.

        A loss with another link than the identity, or with several heads, defines its own, for the
        estimators' `input_gradients`; so does a subclass with another `predict`, for which the
        inherited derivatives are not used.

        Parameters
        ----------
        raw : ndarray of shape (members, rows, outputs)
            Raw predictions; they are not changed.

        Returns
        -------
        jacobian : ndarray of shape (members, predictions, rows, outputs)
            ``predictions`` are those of a row in the order of `predict`.

        Raises
        ------
        ValueError
            If it is not defined where `predict` is, and that is not the identity.
        """
        is_identity = self.out_activation == "identity" and self.n_heads == 1
        if not (is_identity and np.array_equal(self.predict(raw), raw, equal_nan=True)):
            raise ValueError(
                f"loss={self!r} has no known derivatives: it defines no predict_jacobian for its "
                "predict, which is not the identity. Define that method, too."
            )
        return diagonal_jacobian(np.ones_like(raw))

    @abstractmethod
    def constant(self, y, weight=None):
        """Return the raw prediction of the constant with the least loss.

        Parameters
        ----------
        y : ndarray of shape (rows, targets)
            Targets.
        weight : ndarray of shape (rows, 1) or None
            Sample weights.

        Returns
        -------
        constant : ndarray of shape (outputs,)
            The same for all rows.
        """

    def start(self, constant, y):
        """Return where the biases of the output layer start, shape (outputs,), or None for zero.

        Parameters
        ----------
        constant : ndarray of shape (outputs,)
            What `constant` gives for the training rows.
        y : ndarray of shape (rows, targets)
            Their targets.
        """
        return None

    def predict_variance(self, raw):
        """Return the variance of the targets that raw predictions stand for.

        Parameters
        ----------
        raw : ndarray of shape (..., rows, outputs)
            Raw predictions.

        Returns
        -------
        variance : ndarray of shape (..., rows, targets) or None
            None where the loss has no model of the noise. The unit is that of the squared target
            as the loss sees it, which is normalised.
        """
        return None

    def check_targets(self, y):  # noqa: B027
        """Raise ValueError where targets, in the user's units, are out of the loss's range.

        Parameters
        ----------
        y : ndarray of shape (rows, targets)
            Targets.
        """

    def value(self, raw, y, weight=None, scale=1.0):
        """Return the value of the loss for each member; nothing that is passed is changed.

        Parameters
        ----------
        raw, y, weight, scale : ndarray, ndarray, ndarray or None, float
            See `value_and_gradient`.

        Returns
        -------
        value : ndarray of shape (members,), float64
            The weighted sum over rows and targets, times `scale`.
        """
        raw = np.array(raw, order="C")
        return self.value_and_gradient(raw, y, weight, scale, np.empty_like(raw))
