"""The moving average of the parameters: its formula, and what of a fit it takes part in."""

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from factories import assert_training_goes_on
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.fitting import run as fitting_run
from skregnet.fitting.fit import Data, fit
from skregnet.fitting.settings import Settings
from skregnet.functions.activations import ReLU
from skregnet.functions.penalties import ElasticNet
from skregnet.inspection import diagnose
from skregnet.network import build_network
from skregnet.optim import SGD
from skregnet.optim.pipeline import AverageParameters, Rate, Transform, make_pipeline
from skregnet.training import TrainingState

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Early stopping goes by only:UserWarning"),
]
X = np.random.default_rng(0).normal(size=(120, 3))
Y = np.sin(X[:, 0]) + X[:, 1] + 0.3 * np.random.default_rng(1).normal(size=120)
DECAY = 0.9
EARLY = {
    "early_stopping": True,
    "max_iter": 200,
    "n_iter_no_change": 30,
    "solver": "sgd",
    "learning_rate_init": 0.3,
}


def make(cls=RegularizedMLPRegressor, **options):
    defaults = {"batch_size": 16, "max_iter": 5, "random_state": 0, "learning_rate_init": 0.02}
    defaults |= {"early_stopping": False, "n_iter_no_change": 99, "tol": 0}
    defaults |= {"weight_averaging": DECAY}
    return cls((5,), **{**defaults, **options})


def averages(seen, decay=DECAY):
    """The average after each step, as the sum over all steps; without a step, the start."""
    found = [seen[0]]
    for t in range(1, len(seen)):
        powers = decay ** np.arange(t - 1, -1, -1.0)
        weights = (1.0 - decay) * powers / (1.0 - decay**t)
        assert weights.sum() == pytest.approx(1.0)
        found.append(np.tensordot(weights, np.array(seen[1 : t + 1], np.float64), 1))
    return found


class Recorder(Transform):
    """Records parameters and running statistics at the begin and after each step."""

    def __init__(self):
        self.params, self.stats = [], []

    def prepare(self, network, gradient, state, rate):
        def record():
            self.params.append(network.params.copy())
            self.stats.append(network.stats.copy())

        record()
        return record


@pytest.fixture
def record(monkeypatch):
    """Return a recorder of the steps of the fits from now on, which changes nothing."""
    recorder = Recorder()

    def make_own(*args, extra=(), **options):
        return make_pipeline(*args, extra=(*extra, recorder), **options)

    monkeypatch.setattr(fitting_run, "make_pipeline", make_own)
    return recorder


# ---- the transform -----------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [0.5, 0.99])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("n_units", [3, 6000])  # one block of numbers, or several
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-13), (np.float32, 1e-6)])
def test_the_written_out_formula(decay, n_members, n_units, dtype, rtol):
    network = build_network(
        1, 1, (n_units,), (ReLU(),), dropout=(0.0,), n_members=n_members, dtype=dtype
    )
    rng = np.random.default_rng(0)
    network.params[...] = 1.0 + rng.random(network.params.shape)
    pipeline = make_pipeline(
        SGD(momentum=0.0), penalty=ElasticNet(0.0), max_norm=3.0, weight_averaging=decay
    )
    assert pipeline.transforms[-1] == AverageParameters(decay)
    gradient, state = np.empty_like(network.params), TrainingState([], [], np.ones(n_members))
    steps = pipeline.prepare(network, gradient, state, Rate(0.01))
    seen = [network.params.copy()]
    for _ in range(3):
        pipeline.begin_epoch(network, state)
        assert_array_equal(network.params, seen[-1])
        for _ in range(4):
            gradient[...] = rng.normal(size=gradient.shape)
            for step in steps:
                step()
            seen.append(network.params.copy())
        pipeline.end_epoch(network, state)
        assert_allclose(network.params, averages(seen, decay)[-1], rtol=rtol)
    assert state.parts["averaged_steps"].tolist() == [12] * n_members


def test_constant_parameters_are_their_own_average():
    """The rounding errors of many steps in float32 do not add up."""
    network = build_network(2, 1, (3,), (ReLU(),), dropout=(0.0,), dtype=np.float32)
    network.params[...] = np.random.default_rng(0).random(network.params.shape)
    start = network.params.copy()
    pipeline = make_pipeline(SGD(), penalty=ElasticNet(0.0), weight_averaging=0.9999)
    state = TrainingState([], [], np.ones(1))
    steps = pipeline.prepare(network, np.zeros_like(start), state, Rate(0.1))
    for _ in range(1000):
        for step in steps:
            step()
    pipeline.end_epoch(network, state)
    assert_array_equal(network.params, start)


def test_zero_means_off():
    options = {"penalty": ElasticNet(0.0)}
    assert make_pipeline(SGD(), **options, weight_averaging=0.0) == make_pipeline(SGD(), **options)


def test_denormal_averages_become_zero():
    state = TrainingState([], [], np.ones(1))
    state.parts["averaged_params"] = np.array([[1.0, 1e-40, -1e-36, 1e-20]], np.float32)
    AverageParameters(0.9).flush_denormals(state)
    assert_array_equal(state.parts["averaged_params"], np.float32([[1.0, 0.0, 0.0, 1e-20]]))


# ---- fits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [RegularizedMLPRegressor, RegularizedMLPClassifier])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_estimators": 3},
        {"dropout": 0.3},
        {"batch_norm": True},
        {"n_init": 3},
        {"max_norm": 0.7, "max_grad_norm": 0.5, "solver": "adamw"},
        EARLY,
        {**EARLY, "n_estimators": 3},
    ],
    ids=str,
)
def test_the_average_is_kept_and_published(record, cls, options):
    y = Y if cls is RegularizedMLPRegressor else (Y > 0).astype(int)
    model = make(cls, **options).fit(X, y)
    n_steps = (len(record.params) - 1) // model.n_iter_
    expected = averages(record.params)
    for params, epoch in zip(model.network_.params, np.atleast_1d(model.best_iter_), strict=True):
        distances = abs(expected[epoch * n_steps] - params).max(axis=1)  # from each restart
        assert_allclose(distances.min(), 0.0, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"n_estimators": 3}, {"batch_norm": True}], ids=str)
def test_training_itself_does_not_change(options):
    averaged, plain = (
        make(weight_averaging=decay, **options).fit(X, Y, X_val=X, y_val=Y) for decay in (DECAY, 0)
    )
    assert averaged.loss_curve_ == plain.loss_curve_
    assert averaged.validation_loss_curve_ != plain.validation_loss_curve_
    assert abs(averaged.network_.params - plain.network_.params).max() > 1e-3


def test_what_is_validated_is_the_average(record):
    """The running statistics are averaged too, and restored with the parameters."""
    options = {**EARLY, "batch_norm": True, "normalize_y": False}
    model = make(**options).fit(X, Y, X_val=X[:50], y_val=Y[:50])
    n_steps = (len(record.params) - 1) // model.n_iter_
    params, stats = averages(record.params), averages(record.stats)
    assert 0 < model.best_iter_ < model.n_iter_
    best = model.best_iter_ * n_steps
    assert_allclose(model.network_.params, params[best], atol=1e-12)
    n_moments = 10  # mean and variance of five units; then the number of batches
    assert_allclose(model.network_.stats[:, :n_moments], stats[best][:, :n_moments], atol=1e-12)
    network, losses = model.network_.select(slice(None)), []
    for epoch in range(1, model.n_iter_ + 1):
        network.params[...], network.stats[...] = params[epoch * n_steps], stats[epoch * n_steps]
        raw = network.infer(model.scaler_.transform(X[:50]))[0, :, 0]
        losses.append(0.5 * np.mean((raw - Y[:50]) ** 2))
    assert_allclose(model.validation_loss_curve_, losses, rtol=1e-10)


def test_a_fit_without_early_stopping_has_population_statistics():
    model = make(batch_norm=True).fit(X, Y)
    network = model.network_.select(slice(None))
    network.set_population_statistics(model.scaler_.transform(X))
    assert_allclose(network.stats, model.network_.stats, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "options",
    [{}, {"n_estimators": 3}, {"solver": "sgd", "dropout": 0.2}, {"dtype": "float32"}],
    ids=str,
)
def test_training_goes_on(options):
    assert_training_goes_on(partial(make, **options), X, Y)


def test_a_stream_with_batch_norm_is_one_fit(record):
    """A fit that records validation losses sees the same running statistics."""
    stream = make(batch_norm=True)
    for _ in range(4):
        stream = pickle.loads(pickle.dumps(stream.partial_fit(X, Y)))
    streamed, stats = record.params[:], record.stats[:]
    del record.params[:], record.stats[:]
    whole = make(batch_norm=True, max_iter=4).fit(X, Y)
    assert_array_equal(stream.network_.params, whole.network_.params)
    assert_array_equal(streamed[-1], record.params[-1])
    assert_allclose(stream.network_.stats[:, :10], averages(record.stats)[-1][:, :10], atol=1e-12)
    assert_array_equal(stats[-1], record.stats[-1])


def test_it_can_be_switched_on_and_off():
    model = make(warm_start=True, weight_averaging=0.0).fit(X, Y)
    model.set_params(weight_averaging=DECAY).fit(X, Y)
    assert set(model._continuation.state.parts) == set(AverageParameters.arrays)
    averaged = model.network_.params.copy()
    model.set_params(weight_averaging=0.0, learning_rate_init=1e-9, max_iter=1).fit(X, Y)
    assert model._continuation.state.parts == {}
    assert_allclose(model.network_.params, averaged, atol=1e-6)  # it begins with the average


@pytest.mark.parametrize("n_estimators", [1, 3])
def test_the_average_before_a_divergence_is_restored(record, n_estimators):
    options = {"solver": "sgd", "normalize_y": False, "n_estimators": n_estimators}
    with pytest.warns(match="diverged"):
        model = make(learning_rate_init=0.3, **options).fit(X, 30 * Y)
    n_steps = (len(record.params) - 1) // model.n_iter_
    expected = averages(record.params[: 1 + n_steps * int(np.max(model.best_iter_))])
    assert "diverged" in np.atleast_1d(model.stop_reason_)
    kept = zip(model.network_.params, np.atleast_1d(model.best_iter_), strict=True)
    for member, (params, epoch) in enumerate(kept):
        assert np.isfinite(params).all()
        assert_allclose(params, expected[epoch * n_steps][member], rtol=1e-10)
    with pytest.warns(match="diverged"):
        stream = make(learning_rate_init=0.3, **options).partial_fit(X, 300 * Y)
    assert np.isfinite(stream.network_.params).all()
    assert stream._continuation.state.parts == {}  # averaging begins anew
    stream.set_params(learning_rate_init=1e-6).partial_fit(X, Y)
    assert np.isfinite(stream.network_.params).all()


def test_an_interrupt_keeps_the_average_of_the_last_whole_epoch(monkeypatch):
    class Interrupt(Transform):
        n_steps = 0

        def prepare(self, network, gradient, state, rate):
            def step():
                self.n_steps += 1
                if self.n_steps == 27:  # 8 steps are an epoch
                    raise KeyboardInterrupt

            return step

    three = make(max_iter=3).fit(X, Y)

    def make_own(*args, extra=(), **options):
        return make_pipeline(*args, extra=(*extra, Interrupt()), **options)

    monkeypatch.setattr(fitting_run, "make_pipeline", make_own)
    with pytest.warns(match="interrupted"):
        model = make(max_iter=9, warm_start=True).fit(X, Y)
    assert model.best_iter_ == 3
    assert_array_equal(model.network_.params, three.network_.params)
    assert model._continuation.state.parts == {}


def test_an_average_that_is_worse_than_a_constant_is_said():
    """It may be, after few steps from bad initial weights, though the training loss is low."""
    rng = np.random.default_rng(0)
    init = [rng.normal(size=(3, 5)), 10 * rng.normal(size=(5, 1))]
    options = {"init": init, "max_iter": 40}
    with pytest.warns(match="worse than a constant"):
        averaged = make(weight_averaging=0.999, **options).fit(X, Y)
    assert averaged.score(X, Y) < 0.0 < averaged.loss_ < 0.3
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plain = make(weight_averaging=0.0, **options).fit(X, Y)
    assert plain.loss_ == averaged.loss_
    assert not any("worse than a constant" in str(each.message) for each in caught)


class Watcher:
    """Keeps the results as of each epoch."""

    def __init__(self):
        self.results = []

    def __call__(self, monitor):
        self.results.append(fitting_run.RunResult.so_far(monitor))

    def begin_fit(self, *args):
        pass

    begin_run = end_run = end_fit = end_training = begin_fit


def test_a_result_in_between_goes_on_from_its_parameters():
    """Members that have stopped have earlier parameters than those beside the average."""
    model = make(**{**EARLY, "n_estimators": 3, "n_iter_no_change": 3})
    watcher = Watcher()
    fit(Settings.of(model), Data(X, Y, None, None, X[:50], Y[:50]), watchers=[watcher])
    parts = [bool(result.state.parts) for result in watcher.results]
    is_newest = [
        (result.kept_epoch == epoch).all() for epoch, result in enumerate(watcher.results, start=1)
    ]
    assert parts == is_newest
    assert len(set(parts)) == 2


def test_a_diagnosis_continues_and_changes_nothing():
    model = make(warm_start=True).fit(X, Y)
    before = pickle.dumps((model.network_, model._continuation.state))
    plain = make(warm_start=True, weight_averaging=0.0).fit(X, Y)
    ratios, expected = (
        [layer.update_ratio for layer in diagnose(each, X, Y).layers] for each in (model, plain)
    )
    assert pickle.dumps((model.network_, model._continuation.state)) == before
    assert_allclose(ratios, expected, rtol=0.2)  # the moments, and the steps, are the same
