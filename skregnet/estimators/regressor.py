"""The regressor."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, overload

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_pinball_score

from .._sklearn_compat import Interval, StrOptions, available_if, fit_context
from ..fitting.hints import explains_arguments, explains_parameters
from ..fitting.kinds import plain
from ..fitting.settings import supports_partial_fit
from ..functions.losses import REGRESSION_LOSSES, Loss, get_loss
from ..preprocessing.checks import check_has_rows, computes_finite
from ..preprocessing.numbers import check_holds_numbers
from ..targets import RealTargets
from ..targets.scores import r2_of_any_size, score_of_known
from .base import BaseRegularizedMLP
from .introspection import prediction_response
from .predictive import PredictsTargetDistributions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal, Self

    from sklearn.neural_network import MLPRegressor

    from .. import _typing as t
    from ..functions.activations import Activation
    from ..functions.penalties import Penalty
    from ..network import PeriodicEmbedding
    from ..optim import StochasticOptimizer
    from ..preprocessing.numeric_encoding import NumericEmbedding


class RegularizedMLPRegressor(PredictsTargetDistributions, RegressorMixin, BaseRegularizedMLP):
    """Multilayer perceptron regressor with dropout, batch normalisation and early stopping.

    It takes the parameters of scikit-learn's `MLPRegressor` and normalises inputs and targets, so
    that no scaling is needed: a model fitted to ``a * X + b`` and ``c * y + d`` predicts
    ``c * p + d`` instead of p.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(64, 64)
        Number of units in each hidden layer. An int means one hidden layer, ``()`` a linear model.
    activation : str, Activation or sequence of these, default='relu'
        Activation function of the hidden layers: one for all layers, or one for each. Names:
        'identity', 'relu', 'leaky_relu', 'elu', 'selu', 'gelu', 'silu', 'mish', 'softplus',
        'softsign', 'tanh', 'lecun_tanh' (1.7159 tanh(2x/3)), 'logistic'. It can also be an instance
        of `skregnet.functions.activations.Activation`.
    loss : str or Loss, default='squared_error'
        Loss function; it determines what `predict` estimates. 'squared_error': the mean.
        'absolute_error': the median. 'huber': quadratic up to `huber_delta`, linear beyond; robust
        to outliers. 'quantile': the quantiles at the levels of `quantile`. 'poisson': the mean of a
        non-negative target, with a logarithmic link. 'gamma': the same for a positive target.
        'gaussian_nll': the mean of a normal distribution whose variance is predicted, too. It can
        also be an instance of `skregnet.functions.losses.Loss`. The loss is computed on the
        normalised target. The biases of the output layer start at the best constant prediction,
        except for 'squared_error'.
    quantile : float in (0, 1) or increasing sequence of these, default=None
        Levels for ``loss='quantile'``. None means 0.5, the median. Predictions at several levels
        never cross. Other losses raise an error if levels are given.
    huber_delta : float in (0, inf), default=1.0
        Threshold of ``loss='huber'``, in units of `y_scale_`: the loss of larger errors is linear.
        Other losses ignore it.
    init : str, callable or list of arrays, default='auto'
        Initial weights. Names: 'glorot_uniform', 'glorot_normal', 'he_uniform', 'he_normal',
        'lecun_uniform', 'lecun_normal', 'orthogonal', 'standard' (uniform in ±1/sqrt(fan_in)). A
        callable ``(shape, rng) -> array`` gets ``shape = (fan_in, fan_out)``. A list holds one
        array for each weight matrix. 'auto' means 'lecun_uniform' for 'lecun_tanh', 'lecun_normal'
        for 'selu', and 'glorot_uniform' for all others, including 'relu': on tables with few
        columns, He's larger weights predict worse. Biases start at zero.
    batch_norm : bool, default=False
        Whether to normalise the input of each hidden layer's activation function over the batch.
        After the last epoch the population statistics are those of the training set. With early
        stopping they are the running statistics of the best epoch.
    batch_norm_momentum : float in (0, 1], default=0.1
        Weight of the new batch in the running statistics. In the first steps these are plain
        averages.
    batch_norm_epsilon : float in (0, inf), default=1e-5
        Constant that batch normalisation adds to the variances before it divides by them.
    alpha : float in [0, inf) or 'auto', default='auto'
        Strength of the penalty on the weights. The penalty ``alpha / W * (l1_ratio * |w|_1 + (1 -
        l1_ratio) / 2 * |w|_2^2)`` is added to the mean loss, where W is the total weight of the
        training rows. It does not depend on `batch_size`. 'auto' means 1 for a classifier
        whose learning rate falls to zero, else 1e-4.
    l1_ratio : float in [0, 1], default=0.0
        Share of the L1 norm in the penalty; 0 means L2 only.
    penalty : str or Penalty, default='elastic_net'
        Penalty on the weights. 'elastic_net' is the penalty of `alpha` and `l1_ratio`. It can also
        be an instance of `skregnet.functions.penalties.Penalty`, which is multiplied by ``alpha /
        W``.
    dropout : float in [0, 1) or sequence of these, default=0.0
        Probability of dropping a hidden unit: one for all layers, or one for each. (Srivastava et
        al. give the probability of keeping a unit.) Kept units are scaled up in training, so
        prediction needs no correction.
    input_dropout : float in [0, 1), default=0.0
        Probability of dropping an input.
    max_norm : float in (0, inf) or None, default=None
        Upper bound on the Euclidean norm of the weights into each hidden unit. None means no bound.
    max_grad_norm : float in (0, inf) or None, default=None
        Upper bound on the Euclidean norm of the gradient in each step. None means no bound.
    weight_averaging : float in [0, 1), default=0.0
        Decay of the exponential moving average of the parameters over the steps, such as 0.999
        (Polyak & Juditsky 1992). The average is validated, kept and published; training goes on
        from the parameters of the last step, whose loss `loss_curve_` shows. The running statistics
        of `batch_norm` are averaged too. 0 means no average.
    early_stopping : bool or 'auto', default='auto'
        Whether to hold out validation rows, stop when their loss or score no longer improves, and
        restore the parameters and running statistics of the best epoch. 'auto' does so with folds
        (see `cv`), if a validation set is given, if there are more than 10 000 rows, and if
        `learning_rate` and `max_iter` are 'auto' and there are at least 200 rows.
    validation_fraction : float in (0, 1), int >= 1 or cross-validation splitter, default=0.1
        Rows that early stopping holds out if no validation set is given. A float is a fraction of
        the rows, an int their number; with `groups` in `fit`, of the groups. A splitter of
        `sklearn.model_selection`, or a list of (training, validation) row numbers, holds out the
        validation rows of its last split. A random splitter without a seed gets one from
        `random_state`.
    scoring : str or callable, default='loss'
        Quantity that early stopping monitors: 'loss', the name of a scorer, or a callable
        ``(estimator, X, y) -> float`` whose greater values are better. If there are weights, the
        callable also gets ``sample_weight=``.
    n_iter_no_change : int >= 1, inf or 'auto', default='auto'
        Number of epochs without improvement after which training stops. 'auto' means one cycle for
        'warm_restarts', no stop before the end for other rates that fall to zero, else 10 epochs.
    tol : float in [0, inf), default=1e-4
        Smallest improvement that counts, of the validation loss or of the training loss (without
        dropout). It is a fraction of the loss of the best constant prediction. In a cycle of
        'warm_restarts' an improvement by 1 % of the loss counts, too. The solvers 'lbfgs', 'cg' and
        'scg' stop when no component of the gradient exceeds this fraction. With the loss
        'gaussian_nll' it is a difference in nats. With another `scoring` it is an absolute
        improvement of the score.
    refit : bool or 'auto', default='auto'
        Whether to train again on all rows after early stopping, including a given validation set.
        Each member is trained for its `best_iter_` epochs with new scalers and the same seeds. Not
        available with `warm_start`. 'auto' does so for up to 10 000 training rows if
        ``early_stopping='auto'`` split a validation part off and the learning rate falls to zero.
    cv : 'auto', int >= 2, cross-validation splitter, iterable or None, default='auto'
        Folds of the rows. Each member of the ensemble is trained on the rows outside one fold, all
        of them in one pass, and the rows of the fold show its error on new rows. All members keep
        the epoch with the least mean loss of held-out rows, unless ``early_stopping=False``. An int
        is a number of folds: shuffled, with equal frequencies of the classes, and with `groups` in
        `fit` kept together. An iterable gives pairs of row numbers, (training, held-out). 'auto'
        means 8 folds if there are at least 200 rows and nothing else is held out or asked for: a
        stochastic solver, no `X_val`, no ``early_stopping=True``, no `warm_start`, ``n_init=1``,
        and `n_estimators` 'auto' or a multiple of 8. With fewer rows, a regressor of one network
        trains five networks on folds beside it, whose held-out errors serve for the noise and the
        intervals only. None means no folds.
    bootstrap : bool, default=False
        Whether each member is trained on its own bootstrap sample of the rows, in place of `cv`: as
        many rows as there are, drawn with replacement, or whole groups if `fit` gets `groups`. The
        rows that a sample lacks, 37 % on average, are held out from its member. The length of
        training is found as with `cv`; the loss of a row is the mean over the members that have not
        seen it. Rows of weight zero are in no sample, other weights do not affect the drawing, so
        that an integer weight does not equal repeated rows. Not available with `X_val`,
        `warm_start`, ``n_init > 1`` and solvers that are not stochastic.
    categorical_features : 'from_dtype', array-like of {bool, int, str} or None, \
            default='from_dtype'
        Categorical features, as a mask, column numbers or column names. 'from_dtype' selects the
        columns of a DataFrame or Arrow table with a categorical dtype. None selects no column. Each
        category becomes an input of the network. A category that does not occur in training
        predicts as the mean over the known ones.
    handle_missing : {'auto', 'indicator', 'error'}, default='auto'
        Treatment of NaN, None and NA in dense `X`. 'auto' replaces a missing number by the weighted
        mean of the training part, encodes a missing category as zeros, and adds an indicator input
        for each feature with missing values in the training part. 'indicator' does the same, and
        refuses sparse `X`. 'error' raises an error. NaN in sparse `X` is always an error.
    numeric_embedding : {'auto', 'piecewise_linear', 'periodic'}, NumericEmbedding, \
            PeriodicEmbedding or None, default='auto'
        Features of the numbers in `X` that stand beside them, for targets that depend on a number
        by steps and bends. 'piecewise_linear': up to 16 features of each number with more than two
        values, each of which grows from 0 to 0.5 within its bin between two quantiles of the
        training part (Gorishniy et al. 2022). Their weights start at zero. They are features of the
        numbers before the `scaler`, and need dense `X`. Other numbers of bins and sizes are those
        of a `skregnet.preprocessing.numeric_encoding.PiecewiseLinear`. 'periodic': sums of sines of
        the scaled numbers, whose frequencies are trained; others are those of a
        `skregnet.network.layers.PeriodicEmbedding`. In a stream, the first call of `partial_fit`
        decides how many bins a column has. None: no such features. 'auto': if held-out rows choose
        the length of training, networks with and without them are trained, and the held-out rows
        choose between them; otherwise 'piecewise_linear' where the learning rate falls to zero and
        `X` is dense. All columns together have at most 1024 bins.
    scaler : {'standard', 'whiten', 'robust'}, transformer or None, default='standard'
        Scaler of the numbers in `X`, fitted to the training part; encoded categories are not
        scaled. 'standard': zero mean and unit variance. 'whiten': the same, and decorrelated.
        'robust': median and interquartile range, then a smooth clip. With all three the most
        frequent one of two values becomes zero and the other plus or minus one. Columns of a
        sparse `X` that are mostly zeros are not centred, and have a common scale. A transformer is
        cloned, gets the sample weights if its `fit` accepts them, and can be searched as
        ``scaler__...``. A fitted transformer in a `sklearn.frozen.FrozenEstimator` is not fitted
        again. None: no scaling.
    normalize_y : bool or 'auto', default='auto'
        Whether to train on outputs with weighted mean zero and standard deviation one; for the
        losses 'absolute_error', 'huber' and 'quantile', with weighted median zero and the
        interquartile range of the standard normal distribution, 1.349, so that outliers do not
        change the scaling. Predictions are in the units of `y`. 'auto' means True, except for the
        losses 'poisson' and 'gamma': they divide by the mean and do not centre, and True raises an
        error.
    solver : str or StochasticOptimizer, default='adam'
        Optimiser. 'adam', 'adamw', 'sgd' and 'rmsprop' use mini-batches. 'lbfgs', 'cg' and 'scg'
        (scaled conjugate gradients, Moller 1993) use all rows at once; their iterations count as
        epochs. It can also be an instance of `skregnet.optim.StochasticOptimizer`.
    batch_size : int >= 1 or 'auto', default='auto'
        Number of rows in a batch of the stochastic solvers. 'auto' means 64 where the
        learning rate falls to zero (128 from 20 000 training rows on, 256 from 80 000 on), else 200
        as in scikit-learn, and at most the number of rows. A
        last batch of a single row is merged with the batch before it; with `batch_norm`, any last
        batch below half the size.
    learning_rate : str or callable, default='auto'
        Schedule of the learning rate, for all stochastic solvers. 'auto' means 'warm_restarts' if
        held-out rows choose the length of training, else 'cosine'; and 'constant' with `warm_start`
        and in `partial_fit`. 'constant': no change.
        'invscaling': ``learning_rate_init / (t + 1)**power_t``, updated once per epoch, where t is
        the number of rows seen. 'adaptive': the rate is divided by five after `n_iter_no_change`
        epochs without improvement; training stops when it is below 1e-6. Over `max_iter` epochs,
        'cosine' falls to zero along half a cosine, 'flat_cos' does so in the second half,
        'one_cycle' rises and falls, and 'coslog4' goes through four cycles of doubling length
        (Holzmüller et al. 2024). 'warm_restarts': it falls to zero along half a cosine again and
        again, in cycles of doubling length; the first one has about 64 steps (Loshchilov & Hutter
        2017). A callable ``(step, n_steps) -> factor`` returns the factor of `learning_rate_init`.
    learning_rate_init : float in (0, inf) or 'auto', default='auto'
        Initial learning rate; for 'one_cycle' and 'coslog4' it is the largest one. 'auto' means
        0.01 where the rate falls to zero, else 0.001.
    power_t : float in [0, inf), default=0.5
        Exponent of 'invscaling'.
    max_iter : int >= 1 or 'auto', default='auto'
        Maximum number of epochs. 'auto' is a number of steps, rounded to whole epochs. For
        'warm_restarts' it is seven cycles, about 8 000 steps (three with less than 100 training
        rows); if the first cycle of one epoch has more than 64 steps, up to 127 epochs and about
        20 000 steps. For other rates that fall to zero it is 1 024 steps. Else it means 200 epochs.
    max_fun : int >= 1, default=15000
        Maximum number of evaluations of the objective by 'lbfgs', 'cg' and 'scg'.
    shuffle : bool, default=True
        Whether to shuffle the rows before each epoch.
    momentum : float in [0, 1], default=0.9
        Momentum of 'sgd'.
    nesterovs_momentum : bool, default=True
        Whether 'sgd' uses Nesterov's momentum.
    beta_1 : float in [0, 1), default=0.9
        Decay rate of the first moment in 'adam' and 'adamw'.
    beta_2 : float in [0, 1), default=0.999
        Decay rate of the second moment in 'adam' and 'adamw'.
    epsilon : float in (0, inf), default=1e-8
        Constant that 'adam', 'adamw' and 'rmsprop' add to their denominators.
    n_estimators : int >= 1 or 'auto', default='auto'
        Number of members of the ensemble (Lakshminarayanan et al. 2017). They are trained in one
        pass, each with its own initial weights, order of the rows and dropout masks. Their
        predictions are averaged. 'auto' means one for each fold of `cv`, and one without folds. A
        multiple of the number of folds gives each fold as many members. With `bootstrap`, 'auto'
        means 8, which take as long as 8 folds, and there must be 2 at least.
    n_init : int >= 1, default=1
        Number of restarts of each member. They are trained in the same pass, and the one with the
        lowest training loss is kept.
    max_time : float in (0, inf) or None, default=None
        Maximum training time in seconds, checked after each epoch. With early stopping the best
        epoch so far is restored. None means no limit.
    warm_start : bool, default=False
        Whether `fit` continues from the last fit, with its scalers, random streams and moments of
        the optimiser. With a stochastic solver and a 'constant' or 'invscaling' learning rate, two
        fits of k epochs then equal one of 2 k. Other schedules, and the count of
        `n_iter_no_change`, start anew with each fit.
    checkpoint : str, path-like or None, default=None
        File that the state of `fit` is written to, about once a second, while it trains. If the
        process is killed, `fit` with the same parameters and data goes on from there and ends with
        the same bits. At the end the file is deleted. In a folder, a path that exists or ends with
        a slash, each fit has a file of its own: searches need this, and completed fits stay there.
        Not for the full-batch solvers and `partial_fit`. See the user guide, "Continuing to train".
    n_jobs : int or None, default=None
        Number of processes that train the members side by side; the result has the same bits. None
        means 1, unless a `joblib.parallel_config` context says otherwise, and -1 all cores. It pays
        off where training takes several seconds, and with callbacks where each epoch takes 50 ms or
        more. One process trains all members of wide networks, whose products use several threads;
        with a full-batch solver, ``learning_rate='adaptive'`` or an optimiser of the user; in
        ``partial_fit``, and within a parallel search.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the validation part, the order of the rows and dropout. Each of
        these has its own independent random stream.
    verbose : bool or int, default=False
        Whether to print one line per epoch and, at the end, the reason for stopping.
    dtype : {'float32', 'float64', 'auto'} or None, default='auto'
        Type of the network's parameters and computations. None means that of `X`. 'auto' means
        'float32' with folds or `bootstrap` and at least 200 rows, which takes about half of the
        time, else that of `X`.
    noise_precision : float in (0, inf), array-like of shape (n_outputs,) or 'auto', default='auto'
        Inverse variance of the noise of the targets, in units of ``1 / y^2``: tau of Gal &
        Ghahramani (2016). Used with 'squared_error', 'absolute_error' and 'huber'; other losses
        ignore it. 'auto' estimates it from the residuals of the validation part. Without one it
        uses training residuals, which are too small, and corrects them only for the parameters of
        the last layer. `partial_fit` uses the residuals of about the last 5000 rows without a
        correction.

    Attributes
    ----------
    y_mean_ : ndarray of shape (n_outputs,)
        Weighted mean that is subtracted from the targets; for 'absolute_error', 'huber' and
        'quantile' the weighted median; zero without normalisation, and for 'poisson' and 'gamma'.
    y_scale_ : ndarray of shape (n_outputs,)
        Weighted standard deviation by which the targets are divided; for 'absolute_error', 'huber'
        and 'quantile' the weighted interquartile range divided by 1.349, the standard deviation of
        normal targets; the mean for 'poisson' and 'gamma'; one without normalisation.
    noise_precision_ : float, ndarray of shape (n_outputs,) or None
        Inverse variance of the noise of the targets. None for a loss without constant noise.
    network_ : skregnet.network.Network
        Trained network. Its array `params` holds the parameters of each member in a row.
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        Weight matrices, which act on *scaled* inputs. With several members each has a leading axis
        of members.
    intercepts_ : list of ndarray of shape (fan_out,)
        Bias vectors; zeros in layers with batch normalisation. With several members each has a
        leading axis of members.
    batch_norm_ : list of dict
        Scale 'gamma', shift 'beta' and population statistics 'mean' and 'variance' of each batch
        normalisation.
    scaler_ : transformer or None
        Scaler, fitted to the training part. None without scaling.
    n_features_in_ : int
        Number of features in `fit`.
    feature_names_in_ : ndarray of str of shape (n_features,)
        Names of the features. Defined only if `X` has feature names.
    is_categorical_ : ndarray of bool of shape (n_features,) or None
        Mask of the categorical features. None if there are none.
    input_names_ : ndarray of str of shape (n_inputs,)
        Names of the encoded inputs: first the numbers, which `scaler_` takes, then categories
        (named as by `OneHotEncoder`) and indicators of missing values, then the bins of
        `numeric_embedding`, such as ``age[18.5:23]``.
    n_layers_ : int
        Number of layers, including input and output.
    n_outputs_ : int
        Number of raw outputs.
    out_activation_ : str
        Name of the inverse link, which converts raw outputs to predictions.
    n_iter_ : int
        Number of epochs in the last fit.
    t_ : int
        Number of rows seen in all epochs.
    loss_curve_ : list of float
        Training loss of each epoch, averaged over members: the mean over the batches, computed
        before each step, plus the penalty at the start of the epoch. A regressor's is that of the
        normalised target. It grows with every `partial_fit`.
    validation_loss_curve_ : list of float or None
        Validation loss after each epoch; with folds the joint one. Where ``n_iter_no_change_`` is
        'auto', it is computed eight times in a cycle, and repeated in between. None without
        held-out rows.
    validation_scores_ : list of float or None
        Validation score after each epoch; negative losses for ``scoring='loss'``. None without a
        validation part.
    learning_rate_curve_ : list of float
        Learning rate of the last step of each epoch.
    loss_ : float
        Training loss of the epoch that was kept; NaN if none was.
    best_loss_ : float
        Lowest training loss.
    best_validation_score_ : float or None
        Highest validation score. None without a validation part.
    best_iter_ : int or ndarray of int of shape (n_estimators,)
        Epoch of the last fit whose parameters were kept, for each member; 0 if they are the initial
        ones.
    stop_reason_ : str or ndarray of str of shape (n_estimators,)
        Reason for stopping, for each member: 'early_stopping', 'tol', 'max_iter', 'max_time',
        'callback', 'interrupted' or 'diverged'.
    do_early_stopping_ : bool
        Whether early stopping was used.
    refit_ : bool
        Whether the network was trained again on all rows. Then `network_`, `scaler_`, `t_`, `loss_`
        and a regressor's `y_mean_` and `y_scale_` are those of the second run. The curves and all
        other attributes are those of the first run.
    fold_ : ndarray of int of shape (n_samples,) or None
        Fold that holds out each row; -1 for none. Member m has not seen fold ``m % n_folds``. None
        without folds, and with `bootstrap`, where several members lack the same row.
    oob_prediction_ : ndarray, shaped like ``predict(X)``, or None
        Prediction of each training row by the members that have not seen it; NaN for a row that no
        fold holds out, or that is in all bootstrap samples. None without folds and `bootstrap`.
    oob_score_ : float or None
        Score of the held-out rows, as `score` computes it. None without folds and
        `bootstrap`.
    conformity_scores_ : ndarray or None
        Conformity scores of held-out rows: the absolute error of a regressor in units of the
        target, or how far a target is outside of the outermost predicted quantiles; one minus the
        probability of the true class. With folds or bootstrap samples they have a place for each
        row of `y`, NaN if it is never held out. None if no row was held out.
    alpha_ : float
        Strength of the penalty in the fit.
    batch_size_ : int
        Number of rows of a batch in the fit.
    learning_rate_ : str or callable
        Schedule of the learning rate in the fit.
    learning_rate_init_ : float
        Initial learning rate of the fit.
    max_iter_ : int
        Maximum number of epochs of the fit.
    n_iter_no_change_ : float or 'auto'
        Patience of the fit in epochs; 'auto' is one cycle of 'warm_restarts'.
    numeric_embedding_ : NumericEmbedding, PeriodicEmbedding or None
        Numeric embedding of the fit. With ``'auto'`` held-out rows may have chosen None.

    See Also
    --------
    RegularizedMLPClassifier : Classifier with the same parameters.

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
    .. [7] Y. Gorishniy, I. Rubachev, A. Babenko: On Embeddings for Numerical Features in Tabular
       Deep Learning, NeurIPS 2022.

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

    @explains_parameters
    def __init__(
        self,
        hidden_layer_sizes: t.OneOrMoreInts = (64, 64),
        activation: t.ActivationName
        | Activation
        | Sequence[t.ActivationName | Activation] = "relu",
        *,
        loss: t.LossName | Loss = "squared_error",
        quantile: t.OneOrMoreFloats | None = None,
        huber_delta: float = 1.0,
        init: t.InitializerName | t.Initializer | Sequence[t.NDArray[Any]] = "auto",
        batch_norm: bool = False,
        batch_norm_momentum: float = 0.1,
        batch_norm_epsilon: float = 1e-5,
        alpha: float | Literal["auto"] = "auto",
        l1_ratio: float = 0.0,
        penalty: t.PenaltyName | Penalty = "elastic_net",
        dropout: t.OneOrMoreFloats = 0.0,
        input_dropout: float = 0.0,
        max_norm: float | None = None,
        max_grad_norm: float | None = None,
        weight_averaging: float = 0.0,
        early_stopping: bool | Literal["auto"] = "auto",
        validation_fraction: float | t.Splits = 0.1,
        scoring: str | t.Scorer = "loss",
        n_iter_no_change: float | Literal["auto"] = "auto",
        tol: float = 1e-4,
        refit: bool | Literal["auto"] = "auto",
        cv: int | t.Splits | Literal["auto"] | None = "auto",
        bootstrap: bool = False,
        categorical_features: t.Columns | None = "from_dtype",
        handle_missing: Literal["auto", "indicator", "error"] = "auto",
        numeric_embedding: t.NumericEmbeddingName
        | NumericEmbedding
        | PeriodicEmbedding
        | Literal["auto"]
        | None = "auto",
        scaler: t.ScalerName | t.Transformer | None = "standard",
        normalize_y: bool | Literal["auto"] = "auto",
        solver: t.SolverName | StochasticOptimizer = "adam",
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: t.ScheduleName | t.Schedule | Literal["auto"] = "auto",
        learning_rate_init: float | Literal["auto"] = "auto",
        power_t: float = 0.5,
        max_iter: int | Literal["auto"] = "auto",
        max_fun: int = 15000,
        shuffle: bool = True,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_estimators: int | Literal["auto"] = "auto",
        n_init: int = 1,
        max_time: float | None = None,
        warm_start: bool = False,
        checkpoint: str | t.PathLike | None = None,
        n_jobs: int | None = None,
        random_state: t.RandomState = None,
        verbose: int = False,
        dtype: t.FloatType | Literal["auto"] | None = "auto",
        noise_precision: t.OneOrMoreFloats | Literal["auto"] = "auto",
    ) -> None:
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
        self.weight_averaging = weight_averaging
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.refit = refit
        self.cv = cv
        self.bootstrap = bootstrap
        self.categorical_features = categorical_features
        self.handle_missing = handle_missing
        self.numeric_embedding = numeric_embedding
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
        self.checkpoint = checkpoint
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.dtype = dtype
        self.noise_precision = noise_precision

    @available_if(supports_partial_fit)
    @explains_arguments
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: t.MatrixLike, y: t.ArrayLike, sample_weight: t.ArrayLike | None = None
    ) -> Self:
        """Train for one epoch over the given rows.

        The first call fits the scalers. A number of calls with the same rows equals ``fit`` with
        as many epochs, except that batch normalisation keeps its running statistics.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets. Some of several may be missing (NaN), as in `fit`; in the first call each must
            be known in some row.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, relative to the other rows of this call.

        Returns
        -------
        self : RegularizedMLPRegressor
            The estimator itself.
        """
        return self._partial_fit(X, y, sample_weight)

    @overload
    def predict(
        self,
        X: t.MatrixLike,
        return_std: Literal[False] = False,
        *,
        n_samples: int = 100,
        random_state: t.RandomState = 0,
    ) -> t.Floats: ...
    @overload
    def predict(
        self,
        X: t.MatrixLike,
        return_std: Literal[True],
        *,
        n_samples: int = 100,
        random_state: t.RandomState = 0,
    ) -> tuple[t.Floats, t.Floats]: ...
    @overload
    def predict(
        self,
        X: t.MatrixLike,
        return_std: bool,
        *,
        n_samples: int = 100,
        random_state: t.RandomState = 0,
    ) -> t.Floats | tuple[t.Floats, t.Floats]: ...
    @computes_finite
    def predict(
        self,
        X: t.MatrixLike,
        return_std: bool = False,
        *,
        n_samples: int = 100,
        random_state: t.RandomState = 0,
    ) -> t.Floats | tuple[t.Floats, t.Floats]:
        """Predict the mean, median or quantiles of the targets, depending on `loss`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        return_std : bool, default=False
            Whether to return the mean and the standard deviation of `predict_mc` instead. They have
            no guarantee; `predict_interval` and `predict_distribution` are calibrated by held-out
            rows.
        n_samples : int, default=100
            Number of masks for each row and member, if `return_std` is true.
        random_state : int, RandomState instance or None, default=0
            Seed of the masks.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions in the units of the targets, averaged over members. They are float32 if `X`
            and the network are float32 and suffice for the range and the digits of the targets,
            else float64. A sequence of quantiles adds a last axis of levels.
        y_std : ndarray, shaped like `y`
            Standard deviation of noise and predictions (over masks and members, or by a Bayesian
            last layer) together. Returned only if `return_std` is true.
        """
        if return_std:
            return self._mean_and_std(X, n_samples, random_state)
        return self._fitted.predict(X)

    def score(
        self, X: t.MatrixLike, y: t.ArrayLike, sample_weight: t.ArrayLike | None = None
    ) -> float:
        """Return the coefficient of determination R² of the predictions.

        For a sequence of quantiles it is `sklearn.metrics.d2_pinball_score`, averaged over levels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets. If some of several are missing (NaN), each target is scored in the rows in
            which it is known, and the score is the mean over the targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            One for perfect predictions, zero for the best constant.
        """
        targets = self._fitted.targets
        check_has_rows(y, "y")
        check_holds_numbers(y, "y")
        if sample_weight is not None:
            check_holds_numbers(sample_weight, "sample_weight")
        levels = targets.loss.predicted_levels
        if len(targets.y_scale) > 1:
            _, values, _ = targets.read(y)
            if targets.known(values) is not None:
                return score_of_known(values, self.predict(X), sample_weight, levels)
        predicted = self.predict(X)
        if levels is None:
            return r2_of_any_size(y, predicted, sample_weight)
        scores = [
            d2_pinball_score(y, predicted[..., k], sample_weight=sample_weight, alpha=level)
            for k, level in enumerate(levels)
        ]
        return float(np.mean(scores))

    @computes_finite
    def input_gradients(self, X: t.MatrixLike) -> t.Floats:
        """Return the derivatives of the predictions with respect to the inputs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        gradients : ndarray of shape (n_samples, n_features) or (n_samples, n_outputs, n_features)
            Derivatives in units of the target per unit of the feature: the shape of ``predict(X)``
            and a last axis of features. They are a dense array in the dtype of the predictions.

        Raises
        ------
        ValueError
            If `scaler` is a transformer that is not known to be affine, or a custom `loss` does not
            define its derivatives.

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
    def y_mean_(self) -> t.NDArray[np.float64]:
        """Mean that is subtracted from the targets."""
        return self._fitted.targets.y_mean

    @property
    def y_scale_(self) -> t.NDArray[np.float64]:
        """Scale by which the targets are divided."""
        return self._fitted.targets.y_scale

    @property
    def noise_precision_(self) -> float | t.NDArray[np.float64] | None:
        """Inverse variance of the noise of the targets."""
        return self._fitted.noise.precision

    if TYPE_CHECKING:

        def to_sklearn(self) -> MLPRegressor: ...  # noqa: D102

    def _unfitted_targets(self):
        options = {"quantile": self.quantile, "huber_delta": plain(self.huber_delta)}
        loss = get_loss(plain(self.loss), **options)
        return RealTargets(loss, plain(self.normalize_y), type(self).__name__)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        loss = REGRESSION_LOSSES.get(self.loss) if isinstance(self.loss, str) else self.loss
        tags.target_tags.positive_only = getattr(loss, "positive_mean", False)
        return tags
