"""The classifier."""

from numbers import Real

from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import is_multilabel

from .._sklearn_compat import Interval, StrOptions, fit_context
from ..fitting.settings import supports_partial_fit
from ..targets import ClassTargets
from .base import BaseRegularizedMLP
from .introspection import decision_response, proba_response
from .predictive import PredictsClassDistributions


class RegularizedMLPClassifier(PredictsClassDistributions, ClassifierMixin, BaseRegularizedMLP):
    """Multilayer perceptron classifier with dropout, batch normalisation and early stopping.

    A drop-in for scikit-learn's `MLPClassifier` that normalises its inputs. Two classes, several
    exclusive classes, and multilabel indicator matrices.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer; an int is one layer, ``()`` a linear model.
    activation : str, Activation or sequence of these, default='relu'
        Non-linearity of the hidden layers, one for all or one for each: 'identity', 'relu',
        'leaky_relu', 'elu', 'selu', 'gelu', 'silu', 'mish', 'softplus', 'softsign', 'tanh',
        'lecun_tanh' (1.7159 tanh(2x/3)), 'logistic', or an instance of
        `skregnet.functions.activations.Activation`.
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
    label_smoothing : float in [0, 1), default=0.0
        Share of each target that is spread evenly over the classes.
    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes, a factor of the sample weights; 'balanced' gives every class the
        same total. Not for multilabel targets.
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

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; column numbers for multilabel targets.
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
    RegularizedMLPRegressor : The same for real targets; it lists the references.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skregnet import RegularizedMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = RegularizedMLPClassifier(
    ...     learning_rate_init=0.01, tol=1e-2, random_state=0
    ... )
    >>> model.fit(X, y).predict_proba(X[:2]).shape
    (2, 3)
    >>> bool(model.score(X, y) > 0.7)
    True
    """

    _parameter_constraints: dict = {
        **BaseRegularizedMLP._parameter_constraints,
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
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
        label_smoothing=0.0,
        class_weight=None,
        early_stopping="auto",
        validation_fraction=0.1,
        scoring="loss",
        n_iter_no_change=10,
        tol=1e-4,
        refit=False,
        categorical_features=None,
        handle_missing="error",
        scaler="standard",
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
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
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
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.refit = refit
        self.categorical_features = categorical_features
        self.handle_missing = handle_missing
        self.scaler = scaler
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

    @available_if(supports_partial_fit)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Update the network with one epoch over the given rows.

        The first call fits the scaler to its rows; later calls use it as it is. Calling this n
        times with the same rows equals ``fit`` with ``max_iter=n``, except that batch normalisation
        keeps its running statistics.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, relative to the other rows of this call.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever occur. Needed in the first call, except for multilabel
            targets.

        Returns
        -------
        self : RegularizedMLPClassifier
            The estimator itself.
        """
        if classes is None and not hasattr(self, "_model") and not is_multilabel(y):
            raise ValueError(
                "classes, all the labels that will ever occur, must be passed on the first call to "
                "partial_fit."
            )
        return self._partial_fit(X, y, sample_weight, classes)

    def decision_function(self, X):
        """Compute raw predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        decision : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Log-odds of the second of two classes; raw scores of several classes, which softmax
            turns into probabilities; log-odds of each label. For an ensemble they are those of the
            averaged probabilities.
        """
        model = self._fitted
        return model.targets.decision(model.raw(X))

    def predict(self, X):
        """Predict the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or an indicator matrix of int.
        """
        return self._fitted.predict(X)

    def predict_proba(self, X):
        """Predict the probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`: the mean over the members. For multilabel targets the
            probability of each label.
        """
        model = self._fitted
        return model.targets.proba(model.raw(X))

    def predict_log_proba(self, X):
        """Predict the logarithms of `predict_proba`, finite where a probability itself underflows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        model = self._fitted
        return model.targets.log_proba(model.raw(X))

    def input_gradients(self, X, response_method="predict_proba"):
        """Return the derivatives of probabilities or raw scores with respect to the inputs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        response_method : {'predict_proba', 'decision_function'}, default='predict_proba'
            What is differentiated. Where a row's class is certain, the derivatives of its
            probabilities vanish, and those of `decision_function` do not.

        Returns
        -------
        gradients : ndarray of shape (n_samples, n_features) or (n_samples, n_classes, n_features)
            Of the shape of what `response_method` returns and an axis of features: how it changes
            with each feature, per unit of the feature. Dense for sparse `X` too, and in the
            type of what is differentiated.

        Raises
        ------
        ValueError
            If `scaler` is a transformer that is not known to be affine, or `response_method` is
            none of the two.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skregnet import RegularizedMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = RegularizedMLPClassifier((8,), solver="lbfgs", random_state=0)
        >>> model.fit(X, y).input_gradients(X[:2]).shape
        (2, 3, 4)
        """
        responses = {"predict_proba": proba_response, "decision_function": decision_response}
        if response_method not in responses:
            raise ValueError(
                f"response_method must be one of {sorted(responses)}, got {response_method!r}."
            )
        targets = self._fitted.targets
        is_flat = response_method == "decision_function" and targets.target_type == "binary"
        n_outputs = 1 if is_flat else len(targets.classes)
        response = responses[response_method](targets.loss, targets.target_type)
        gradients = self._input_gradients(X, n_outputs, response)
        return gradients[:, 0] if is_flat else gradients

    @property
    def classes_(self):
        """Class labels, ndarray of shape (n_classes,); column numbers for multilabel targets."""
        return self._fitted.targets.classes

    def _unfitted_targets(self):
        return ClassTargets(self.label_smoothing, self.class_weight, type(self).__name__)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # A row of several labels has no single class to take a weight from.
        tags.classifier_tags.multi_label = self.class_weight is None
        return tags
