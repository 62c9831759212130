"""The regressor."""

import math
from numbers import Real

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_pinball_score
from sklearn.utils.metaestimators import available_if

from .._sklearn_compat import Interval, StrOptions, fit_context
from ..fitting.settings import supports_partial_fit
from ..functions.losses import REGRESSION_LOSSES, Loss, get_loss
from ..targets import RealTargets
from .base import BaseRegularizedMLP
from .introspection import prediction_response
from .predictive import PredictsTargetDistributions


class RegularizedMLPRegressor(PredictsTargetDistributions, RegressorMixin, BaseRegularizedMLP):
    """Multilayer perceptron regressor with dropout, batch normalisation and early stopping.

    A drop-in for scikit-learn's `MLPRegressor` that normalises inputs and targets, so that a
    user never scales anything: fitting to ``a * X + b`` and ``c * y + d`` predicts ``c * p + d``.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer; an int is one layer, ``()`` a linear model.
    activation : str, Activation or sequence of these, default='relu'
        Non-linearity of the hidden layers, one for all or one for each: 'identity', 'relu',
        'leaky_relu', 'elu', 'selu', 'gelu', 'silu', 'mish', 'softplus', 'softsign', 'tanh',
        'lecun_tanh' (1.7159 tanh(2x/3)), 'logistic', or an instance of
        `skregnet.functions.activations.Activation`.
    loss : str or Loss, default='squared_error'
        What `predict` estimates: 'squared_error' the mean, 'absolute_error' the median, 'huber'
        something between the two that outliers move little, 'quantile' the quantiles at the levels
        of `quantile`, 'poisson' and 'gamma' the mean of a target that is not negative, or positive
        (logarithmic link), 'gaussian_nll' the mean, along with the variance around it; or an
        instance of `skregnet.functions.losses.Loss`. It is taken of the normalised target. For
        all but 'squared_error' the biases of the output layer start at the best constant.
    quantile : float or sequence of float, default=None
        For ``loss='quantile'``: a level in (0, 1), or several in increasing order, whose
        predictions never cross. None is 0.5, the median. An error with another loss.
    huber_delta : float, default=1.0
        For ``loss='huber'``: the error, in standard deviations of the target, from which on the
        loss is linear. No effect with another loss.
    init : str, callable or list of arrays, default='auto'
        Initial weights: 'glorot_uniform', 'glorot_normal', 'he_uniform', 'he_normal',
        'lecun_uniform', 'lecun_normal', 'orthogonal', 'standard' (uniform in +-1/sqrt(fan_in)), a
        callable ``(shape, rng) -> array`` with ``shape = (fan_in, fan_out)``, or a list with one
        array for each weight matrix. 'auto' takes LeCun's for 'lecun_tanh' and
        'selu' and Glorot's for all others, relu and its relatives too: on tables with few columns
        He's larger weights predict worse. Biases start at zero.
    batch_norm : bool, default=False
        Normalise each hidden layer's affine map over the batch, before its non-linearity. After
        the last epoch the population statistics are those of the training set; with early stopping
        they are the running statistics of the best epoch.
    batch_norm_momentum : float in (0, 1], default=0.1
        Weight of the new batch in the running statistics; in the first steps they are plain
        averages.
    batch_norm_epsilon : float, default=1e-5
        Added to the variances that batch normalisation divides by.
    alpha : float, default=1e-4
        Strength of the penalty on the weights: ``alpha / W * (l1_ratio * |w|_1 + (1 - l1_ratio) / 2
        * |w|_2^2)`` is added to the mean loss, where W is the total weight of the training rows.
        It does not depend on `batch_size`.
    l1_ratio : float in [0, 1], default=0.0
        Share of the L1 norm in the penalty; 0 is L2 alone.
    penalty : str or Penalty, default='elastic_net'
        Penalty on the weights: 'elastic_net' is that of `alpha` and `l1_ratio`; an instance of
        `skregnet.functions.penalties.Penalty` is multiplied by ``alpha / W``.
    dropout : float in [0, 1) or sequence of these, default=0.0
        Probability of dropping a hidden unit, one for all layers or one for each. Srivastava et
        al.'s p is of keeping one. Kept units are scaled up in training, so that nothing changes in
        prediction.
    input_dropout : float in [0, 1), default=0.0
        Probability of dropping an input.
    max_norm : float, default=None
        Upper bound on the Euclidean norm of the weights into each hidden unit.
    max_grad_norm : float, default=None
        Upper bound on the Euclidean norm of the gradient of each step.
    early_stopping : bool or 'auto', default='auto'
        Hold rows back, stop when they are no longer predicted better, and restore the best epoch's
        parameters and running statistics. 'auto' does so if a validation set is given or there are
        more than 10 000 rows.
    validation_fraction : float in (0, 1), int or cross-validation splitter, default=0.1
        What early stopping holds back where no validation set is given: a share or number of the
        rows, or of the `groups` that are passed to `fit`; or the last split of a splitter of
        `sklearn.model_selection`, or of a list of (training, validation) row numbers. A splitter
        that draws at random without a seed gets one from `random_state`.
    scoring : str or callable, default='loss'
        What early stopping goes by: 'loss', the name of a scorer, or a callable
        ``(estimator, X, y) -> float`` of which greater is better; where there are weights it is
        also given ``sample_weight=``.
    n_iter_no_change : int or inf, default=10
        Epochs without improvement after which training stops.
    tol : float, default=1e-4
        The least improvement that counts, of the validation loss or of the training loss (without
        dropout), as a share of the loss of the best constant prediction; for the minimisers
        'lbfgs', 'cg' and 'scg' the same share is the largest gradient component of a minimum. With
        another `scoring` it is an absolute improvement of the score.
    refit : bool, default=False
        After early stopping, train anew on all rows, those of a given validation set too: each
        member for its `best_iter_` epochs, with new scalers and the same seeds. Not together with
        `warm_start`.
    categorical_features : 'from_dtype', array-like of {bool, int, str} or None, default=None
        Features that are categories, each of which becomes an input of its own: a mask, numbers or
        names of columns; 'from_dtype' are the columns of a DataFrame of a categorical type. A
        category that training has not seen is taken as missing.
    handle_missing : {'error', 'indicator'}, default='error'
        'error' raises where `X` holds NaN, None or NA. 'indicator' takes them: a number is replaced
        by the weighted mean of the training part, a category by none, and each feature that has
        missing values in the training part gets an input that tells where they are.
    scaler : {'standard', 'whiten'}, transformer or None, default='standard'
        Normalisation of the inputs, fitted to the training part: zero mean and unit variance (no
        centring of sparse input), the same and decorrelated, any transformer (it is cloned, given
        the sample weights if its `fit` takes them, can be searched as ``scaler__...``), or none.
        A fitted transformer in a `sklearn.frozen.FrozenEstimator` is used as it is.
    normalize_y : bool or 'auto', default='auto'
        Normalise each output to zero mean and unit standard deviation, with weights; predictions
        are in the units of `y`. 'auto' does that too, but for the losses of a positive mean,
        'poisson' and 'gamma', it divides by the mean and does not centre; True is an error there.
    solver : str or StochasticOptimizer, default='adam'
        'adam', 'adamw', 'sgd', 'rmsprop' on batches; 'lbfgs', 'cg', 'scg' (scaled conjugate
        gradients, Moller 1993) on all rows at once, whose iterations count as epochs; or an
        instance of `skregnet.optim.StochasticOptimizer`.
    batch_size : int or 'auto', default='auto'
        Rows of a batch of the stochastic solvers; 'auto' is ``min(200, n_samples)``. A last batch
        of a single row joins the one before it; with `batch_norm`, one of less than half a batch.
    learning_rate : str or callable, default='constant'
        Schedule of the learning rate, for every stochastic solver: 'constant', 'invscaling'
        (``learning_rate_init / (t + 1)**power_t``, t the rows seen, once per epoch), 'adaptive' (a
        fifth when `n_iter_no_change` epochs have not improved; training stops below 1e-6), 'cosine'
        and 'one_cycle' (over `max_iter` epochs), or a callable ``(step, n_steps) -> factor`` of
        `learning_rate_init`.
    learning_rate_init : float, default=0.001
        Initial learning rate; the peak of 'one_cycle'.
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    max_iter : int, default=200
        Largest number of epochs.
    max_fun : int, default=15000
        Largest number of evaluations of the objective by 'lbfgs', 'cg' and 'scg'.
    shuffle : bool, default=True
        Whether the batches of each epoch are drawn in a new order.
    momentum : float in [0, 1], default=0.9
        Momentum of 'sgd'.
    nesterovs_momentum : bool, default=True
        Whether the momentum of 'sgd' is Nesterov's.
    beta_1 : float in [0, 1), default=0.9
        Decay of the first moment of 'adam' and 'adamw'.
    beta_2 : float in [0, 1), default=0.999
        Decay of the second moment of 'adam' and 'adamw'.
    epsilon : float, default=1e-8
        Keeps the denominators of 'adam', 'adamw' and 'rmsprop' from zero.
    n_estimators : int, default=1
        Members of an ensemble (Lakshminarayanan et al. 2017), trained in one pass, each with its
        own initial weights, order of the rows and masks; predictions are averaged.
    n_init : int, default=1
        Restarts of each member, trained in the same pass; the one with the least training loss is
        kept.
    max_time : float, default=None
        Seconds after which training stops, at the end of an epoch; under early stopping the best
        epoch so far is restored.
    warm_start : bool, default=False
        Whether `fit` continues from the last fit: with its scalers, its optimiser's moments and its
        random streams, so that two fits of k epochs equal one of 2 k for a stochastic solver with
        a 'constant' or 'invscaling' rate. The other schedules begin anew with each fit, and so does
        the patience of `n_iter_no_change`.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, validation part, order of the rows and dropout, whose random
        streams are independent of each other.
    verbose : bool or int, default=False
        Whether to print a line per epoch, and at the end why training has stopped.
    dtype : {'float32', 'float64'} or None, default=None
        What training computes in; None follows `X`.
    noise_precision : float, array-like of shape (n_outputs,) or 'auto', default='auto'
        Inverse variance of the targets' noise in units of ``1 / y^2``, the tau of Gal & Ghahramani
        (2016), of 'squared_error', 'absolute_error' and 'huber'; no effect with the others. 'auto'
        estimates it: from the residuals of the validation part where there is one; else from those
        of the training rows, which are too small and are corrected for the parameters of the last
        layer alone; under `partial_fit` from those of the last 5000 or so rows, all of which are
        taken for new ones.

    Attributes
    ----------
    y_mean_ : ndarray of shape (n_outputs,)
        Weighted mean of the targets that was taken off; zero without normalisation, and for the
        losses 'poisson' and 'gamma'.
    y_scale_ : ndarray of shape (n_outputs,)
        Weighted standard deviation that they were divided by, for 'poisson' and 'gamma' the mean;
        one without normalisation.
    noise_precision_ : float, ndarray of shape (n_outputs,) or None
        Inverse variance of the targets' noise; None where the loss has no constant noise.
    network_ : skregnet.network.Network
        The trained network: its flat parameter vector `params`, one row per member.
    coefs_ : list of ndarray
        Weights of each affine map, (fan_in, fan_out), behind an axis of members where there are
        several. They act on *scaled* inputs.
    intercepts_ : list of ndarray
        Biases of each affine map, (fan_out,), behind an axis of members where there are several.
    batch_norm_ : list of dict
        Scale, shift and population statistics of each batch normalisation.
    scaler_ : transformer or None
        Fitted to the training part.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of str of shape (n_features,)
        Their names, only where `X` has them.
    is_categorical_ : ndarray of bool of shape (n_features,) or None
        Which features were taken as categories; None if none.
    input_names_ : ndarray of str of shape (n_inputs,)
        Names of what `scaler_` is given: the features, categories and indicators.
    n_layers_ : int
        Number of layers, with input and output.
    n_outputs_ : int
        Number of raw outputs.
    out_activation_ : str
        The inverse link, from raw outputs to predictions.
    n_iter_ : int
        Epochs of the last fit.
    t_ : int
        Rows seen in all.
    loss_curve_ : list of float
        Training loss of each epoch: the mean over its batches, each computed before its step, and
        the penalty at the beginning of the epoch. It is in units of the normalised target, and a
        mean over members. It grows with every `partial_fit`.
    validation_loss_curve_ : list of float or None
        Loss on the validation part after each epoch.
    validation_scores_ : list of float or None
        Score on the validation part after each epoch; under ``scoring='loss'`` negative losses.
    learning_rate_curve_ : list of float
        Learning rate of each epoch's last step.
    loss_ : float
        Training loss of the epoch that was kept, NaN if it is none.
    best_loss_ : float
        Lowest training loss.
    best_validation_score_ : float or None
        Highest validation score.
    best_iter_ : int or ndarray of int
        The epoch of the last fit whose parameters were kept, for each member; 0 if those it began
        with.
    stop_reason_ : str or ndarray of str
        'early_stopping', 'tol', 'max_iter', 'max_time', 'callback', 'interrupted' or 'diverged',
        for each member.
    do_early_stopping_ : bool
        Whether early stopping was on.
    refit_ : bool
        Whether `refit` has replaced the network that early stopping had kept. Then `network_`,
        `scaler_`, `t_` and `loss_` are those of the second run, and so are the normalised
        targets of a regressor; the curves and all else are of the first one.

    See Also
    --------
    RegularizedMLPClassifier : The same for classes.

    References
    ----------
    .. [1] N. Srivastava et al.: Dropout: A Simple Way to Prevent Neural Networks from Overfitting,
       JMLR 15, 2014.
    .. [2] S. Ioffe, C. Szegedy: Batch Normalization, ICML 2015.
    .. [3] X. Glorot, Y. Bengio: Understanding the Difficulty of Training Deep Feedforward Neural
       Networks, AISTATS 2010.
    .. [4] Y. LeCun et al.: Efficient BackProp, 1998.
    .. [5] M. Moller: A Scaled Conjugate Gradient Algorithm for Fast Supervised Learning, Neural
       Networks 6, 1993.
    .. [6] B. Lakshminarayanan, A. Pritzel, C. Blundell: Simple and Scalable Predictive Uncertainty
       Estimation Using Deep Ensembles, NIPS 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from skregnet import RegularizedMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> model = RegularizedMLPRegressor(
    ...     alpha=30, learning_rate_init=0.01, tol=1e-2, random_state=0
    ... )
    >>> model.fit(X_train, y_train).predict(X_test[:3]).shape
    (3,)
    >>> bool(model.score(X_test, y_test) > 0.3)
    True
    """

    _parameter_constraints: dict = {
        **BaseRegularizedMLP._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION_LOSSES)), Loss],
        "quantile": [Interval(Real, 0, 1, closed="neither"), "array-like", None],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
        "normalize_y": ["boolean", StrOptions({"auto"})],
        "noise_precision": [
            Interval(Real, 0, None, closed="neither"),
            "array-like",
            StrOptions({"auto"}),
        ],
    }

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        loss="squared_error",
        quantile=None,
        huber_delta=1.0,
        init="auto",
        batch_norm=False,
        batch_norm_momentum=0.1,
        batch_norm_epsilon=1e-5,
        alpha=1e-4,
        l1_ratio=0.0,
        penalty="elastic_net",
        dropout=0.0,
        input_dropout=0.0,
        max_norm=None,
        max_grad_norm=None,
        early_stopping="auto",
        validation_fraction=0.1,
        scoring="loss",
        n_iter_no_change=10,
        tol=1e-4,
        refit=False,
        categorical_features=None,
        handle_missing="error",
        scaler="standard",
        normalize_y="auto",
        solver="adam",
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        max_fun=15000,
        shuffle=True,
        momentum=0.9,
        nesterovs_momentum=True,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_estimators=1,
        n_init=1,
        max_time=None,
        warm_start=False,
        random_state=None,
        verbose=False,
        dtype=None,
        noise_precision="auto",
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.quantile = quantile
        self.huber_delta = huber_delta
        self.init = init
        self.batch_norm = batch_norm
        self.batch_norm_momentum = batch_norm_momentum
        self.batch_norm_epsilon = batch_norm_epsilon
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.penalty = penalty
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
        self.normalize_y = normalize_y
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
        self.noise_precision = noise_precision

    @available_if(supports_partial_fit)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Update the network with one epoch over the given rows.

        The first call fits the scalers to its rows; later calls use them as they are. Calling this
        n times with the same rows equals ``fit`` with ``max_iter=n``, except that batch
        normalisation keeps its running statistics.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, relative to the other rows of this call.

        Returns
        -------
        self : RegularizedMLPRegressor
            The estimator itself.
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X, return_std=False, *, n_samples=100, random_state=0):
        """Predict the targets: their mean, median or quantiles, as `loss` says.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        return_std : bool, default=False
            Whether to return the mean and the standard deviation of `predict_mc`, instead of the
            prediction without masks.
        n_samples : int, default=100
            Masks for each row and member where `return_std` is true; see `predict_mc`.
        random_state : int, RandomState instance or None, default=0
            Seed of the masks.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions in the units of the targets, the mean over the members. They are float32
            where both `X` and the network are and those units are in its range, else float64. If
            `quantile` is a sequence, there is a last axis of its levels.
        y_std : ndarray, shaped like `y`
            Standard deviation of the target: of its noise, and of the predictions over masks and
            members. Only where `return_std` is true; `y` is then the mean over these.
        """
        if return_std:
            return self._mean_and_std(X, n_samples, random_state)
        return self._fitted.predict(X)

    def score(self, X, y, sample_weight=None):
        """Return the coefficient of determination of the predictions.

        It is R², whatever the loss; for a sequence of quantiles, where R² has no meaning, D² of the
        pinball loss, averaged over the levels, as `sklearn.metrics.d2_pinball_score` defines it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.

        Returns
        -------
        score : float
            One for perfect predictions, zero for those of the best constant.
        """
        levels = self._fitted.loss.predicted_levels
        if levels is None:
            return super().score(X, y, sample_weight=sample_weight)
        predicted = self.predict(X)
        scores = [
            d2_pinball_score(y, predicted[..., k], sample_weight=sample_weight, alpha=level)
            for k, level in enumerate(levels)
        ]
        return float(np.mean(scores))

    def input_gradients(self, X):
        """Return the derivatives of the predictions with respect to the inputs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        gradients : ndarray of shape (n_samples, n_features) or (n_samples, n_outputs, n_features)
            Of the shape of ``predict(X)``, which has an axis of levels for several quantiles, and
            an axis of features: how the prediction for a row changes with each feature, in units of
            the target per unit of the feature. Dense for sparse `X` too, and in the type of the
            predictions.

        Raises
        ------
        ValueError
            If `scaler` is a transformer that is not known to be affine, or `loss` an own one that
            does not define its derivatives.

        Examples
        --------
        >>> import numpy as np
        >>> from skregnet import RegularizedMLPRegressor
        >>> X = np.random.default_rng(0).normal(size=(100, 2))
        >>> model = RegularizedMLPRegressor((), alpha=0, solver="lbfgs", tol=1e-9)
        >>> model.fit(X, 3 * X[:, 0] - 100 * X[:, 1]).input_gradients(X[:1]).round(3)
        array([[   3., -100.]])
        """
        targets = self._fitted.targets
        n_targets, levels = len(targets.y_scale), targets.loss.predicted_levels
        levels = () if levels is None else (len(levels),)
        response = prediction_response(targets.loss, targets.y_scale)
        gradients = self._input_gradients(X, n_targets * math.prod(levels), response)
        gradients = gradients.reshape(len(gradients), n_targets, *levels, -1)
        return gradients[:, 0] if n_targets == 1 else gradients

    @property
    def y_mean_(self):
        """Weighted mean of the targets that was subtracted, ndarray of shape (n_outputs,)."""
        return self._fitted.targets.y_mean

    @property
    def y_scale_(self):
        """Scale that the targets were divided by, ndarray of shape (n_outputs,)."""
        return self._fitted.targets.y_scale

    @property
    def noise_precision_(self):
        """Inverse variance of the targets' noise; None where the loss has no constant noise."""
        return self._fitted.noise.precision

    def _unfitted_targets(self):
        loss = get_loss(self.loss, quantile=self.quantile, huber_delta=self.huber_delta)
        return RealTargets(loss, self.normalize_y, type(self).__name__)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        loss = REGRESSION_LOSSES.get(self.loss) if isinstance(self.loss, str) else self.loss
        tags.target_tags.positive_only = getattr(loss, "positive_mean", False)
        return tags
