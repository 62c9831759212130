"""The base class of the losses."""

from abc import ABC, abstractmethod

import numpy as np

from .jacobians import diagonal_jacobian
from .sums import by_target


class Loss(ABC):
    """A differentiable loss of raw predictions, with its link function.

    Subclass it, implement the abstract methods and pass an instance as ``loss=`` to an estimator.

    Attributes
    ----------
    out_activation : str
        Name of the inverse link, as in scikit-learn's ``out_activation_``.
    positive_mean : bool
        Whether the link makes the mean positive. Targets are then divided by their mean instead of
        standardised.
    n_heads : int
        Number of raw predictions for each target: output ``h * n_targets + k`` of the network is
        head h of target k.
    in_nats : bool
        Whether the loss is a negative log-likelihood, which may be negative. `tol` and the
        divergence limit are then in nats per target, otherwise relative to the loss of the best
        constant.
    is_robust : bool
        Whether the influence of a single target is bounded. Targets are then normalised by median
        and interquartile range instead of mean and standard deviation, and outliers do not enlarge
        the unit of `tol`.
    noise : {'constant', 'predicted', None}
        Variance of a normal distribution around the prediction: 'constant' is estimated from
        residuals, 'predicted' is that of `predict_variance`. None if there is no such distribution.
    predicted_levels : tuple of float or None
        Levels of the quantiles along the last axis of `predict`, which the regressor's `score`
        uses. None if there is no such axis.
    """

    out_activation = "identity"
    positive_mean = False
    n_heads = 1
    in_nats = False
    is_robust = False
    noise = None
    predicted_levels = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        # An inherited predict_jacobian does not belong to an overridden predict.
        names = {"predict", "predict_jacobian"}
        first = next(base for base in cls.__mro__ if names & vars(base).keys())
        if "predict_jacobian" not in vars(first):
            cls.predict_jacobian = Loss.predict_jacobian

    @abstractmethod
    def value_and_gradient(self, raw, y, weight, scale, gradient):
        """Return the loss of each member, and write the gradient into `gradient`.

        Parameters
        ----------
        raw : ndarray of shape (members, rows, outputs)
            Raw predictions, ``outputs = n_heads * targets``. They may be overwritten.
        y : ndarray of shape (members or 1, rows, targets)
            Targets.
        weight : ndarray of shape (members or 1, rows, 1 or targets) or None
            Sample weights. If targets are missing, each target has its own weights, which are zero
            for missing ones; their values in `y` are then finite and within the range of the
            target.
        scale : float
            Factor for the value and the gradient.
        gradient : ndarray of shape (members, rows, outputs)
            Receives the derivative with respect to `raw`.

        Returns
        -------
        value : ndarray of shape (members,), float64
            The weighted sum over rows and targets, times `scale`.
        """

    @abstractmethod
    def predict(self, raw):
        """Return the predictions for raw predictions.

        Parameters
        ----------
        raw : ndarray of shape (..., rows, outputs)
            Raw predictions.

        Returns
        -------
        predictions : ndarray of shape (..., rows, targets)
            A new array. A loss with several predictions per target adds a last axis.
        """

    def predict_jacobian(self, raw):
        """Return the derivatives of `predict` with respect to the raw predictions.

        The estimators' `input_gradients` uses them. Losses with several heads, with a link other
        than the identity, or with another `predict` than their base class must define this method.

        Parameters
        ----------
        raw : ndarray of shape (members, rows, outputs)
            Raw predictions; they are not changed.

        Returns
        -------
        jacobian : ndarray of shape (members, predictions, rows, outputs)
            ``predictions`` are the predictions for a row, in the order of `predict`.
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
        """Return the constant raw prediction with the lowest loss.

        Parameters
        ----------
        y : ndarray of shape (rows, targets)
            Targets.
        weight : ndarray of shape (rows, 1) or None
            Sample weights.

        Returns
        -------
        constant : ndarray of shape (outputs,)
            Raw prediction for all rows.
        """

    def constant_of_known(self, y, weight):
        """Return `constant` also for weights of shape (rows, targets), see `value_and_gradient`.

        Parameters
        ----------
        y : ndarray of shape (rows, targets)
            Targets.
        weight : ndarray of shape (rows, 1 or targets) or None
            Sample weights.

        Returns
        -------
        constant : ndarray of shape (outputs,)
            Raw prediction for all rows.
        """
        if weight is None or weight.shape[1] == 1:
            return self.constant(y, weight)
        constants = by_target(lambda *each: self.constant(*each).reshape(-1, 1), y, weight)
        return constants.ravel()

    def start(self, constant, y):
        """Return the initial biases of the output layer, shape (outputs,), or None for zero.

        Parameters
        ----------
        constant : ndarray of shape (outputs,)
            Result of `constant` for the training rows.
        y : ndarray of shape (rows, targets)
            Targets of the training rows.
        """
        return None

    def raw_scale(self, scale):
        """Return the sizes of the raw predictions for targets of a given spread.

        The solvers 'lbfgs', 'cg' and 'scg' measure the gradient by them. They matter only for
        targets that are not normalised.

        Parameters
        ----------
        scale : ndarray of shape (targets,)
            Standard deviations of the targets.

        Returns
        -------
        raw_scale : ndarray of shape (outputs,)
            One for each raw prediction; ones for a link other than the identity.
        """
        if self.out_activation != "identity":
            scale = np.ones_like(scale)
        return np.tile(scale, self.n_heads)

    def raw_map(self, factor, shift):
        """Return the change of raw predictions that scales and shifts the predictions.

        Parameters
        ----------
        factor, shift : ndarray of shape (targets,)
            The predictions become ``prediction * factor + shift``.

        Returns
        -------
        raw_factor, raw_shift : ndarray of shape (outputs,), or None
            The raw predictions become ``raw * raw_factor + raw_shift``. None if no such change
            exists.
        """
        is_identity = self.out_activation == "identity" and self.n_heads == 1
        return (factor, shift) if is_identity else None

    def predict_variance(self, raw):
        """Return the predicted variance of the targets.

        Parameters
        ----------
        raw : ndarray of shape (..., rows, outputs)
            Raw predictions.

        Returns
        -------
        variance : ndarray of shape (..., rows, targets) or None
            The variance, in squared units of the normalised target. None if the loss has no noise
            model.
        """
        return None

    def relative_std(self, raw):
        """Return the standard deviation of the targets as the network predicts it, up to a factor.

        Conformal intervals are wider where it is larger.

        Parameters
        ----------
        raw : ndarray of shape (..., rows, outputs)
            Raw predictions.

        Returns
        -------
        std : ndarray of shape (..., rows, targets) or None
            The root of `predict_variance`, if it is defined. None if the same holds for all rows.
        """
        variance = self.predict_variance(raw)
        return None if variance is None else np.sqrt(variance)

    def check_targets(self, y):  # noqa: B027
        """Raise ValueError if targets, in the user's units, are out of range for the loss.

        Parameters
        ----------
        y : ndarray of shape (rows, targets)
            Targets.
        """

    def value(self, raw, y, weight=None, scale=1.0):
        """Return the loss of each member without changing the arguments.

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
