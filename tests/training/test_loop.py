"""The training loop: as in a textbook, and for each member as if it were alone."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix

from skregnet.data import Source
from skregnet.functions.activations import ACTIVATIONS
from skregnet.functions.losses import LOSSES
from skregnet.functions.penalties import ElasticNet
from skregnet.functions.schedules import constant, cosine
from skregnet.network import Backprop, build_network
from skregnet.optim import SGD, STOCHASTIC_OPTIMIZERS
from skregnet.optim.pipeline import Rate, make_pipeline
from skregnet.training import Batches, EarlyStopping, Monitor, TrainingState, train
from skregnet.training.monitor import RateLowering

N_ROWS, N_INPUTS, N_OUTPUTS = 43, 4, 3
LOSS = LOSSES["multinomial_log_loss"]


def data(n_rows=N_ROWS, seed=0, dtype=np.float64):
    """Noisy classes of a linear teacher, the same for all seeds."""
    teacher = np.random.default_rng(99).standard_normal((N_INPUTS, N_OUTPUTS))
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_rows, N_INPUTS))
    classes = (x @ teacher + rng.gumbel(size=(n_rows, N_OUTPUTS))).argmax(axis=1)
    return x.astype(dtype), np.eye(N_OUTPUTS, dtype=dtype)[classes]


class Training:
    """A run of the loop for members with given numbers, which seed all that is theirs."""

    def __init__(
        self,
        members,
        *,
        optimizer="adam",
        hidden=(6, 5),
        dtype=np.float64,
        dropout=0.0,
        input_dropout=0.0,
        batch_norm=False,
        weighted=False,
        sparse=False,
        batch_size=10,
        shuffle=True,
        learning_rate=0.02,
        validation=False,
        patience=np.inf,
        tol=0.0,
        adaptive=False,
        schedule=constant,
        penalty=None,
        loss=LOSS,
        xy=None,
        report=None,
        rows=None,
        **limits,
    ):
        x, y = data(dtype=dtype) if xy is None else xy
        weight = np.random.default_rng(3).uniform(0.2, 2.0, (len(x), 1)).astype(dtype)
        members = list(members)
        self.network = build_network(
            x.shape[1],
            y.shape[1],
            hidden,
            [ACTIVATIONS["relu"]] * len(hidden),
            dropout=[dropout] * len(hidden),
            input_dropout=input_dropout,
            batch_norm=batch_norm,
            n_members=len(members),
            dtype=dtype,
        )
        initializers = [[self.initializer] * (len(hidden) + 1)] * len(members)
        self.network.initialize(initializers, self.generators(members, 1))
        self.state = TrainingState(
            self.generators(members, 2), self.generators(members, 3), np.ones(len(members))
        )
        container = {False: np.asarray, True: csr_matrix}.get(sparse, sparse)
        self.xy = (container(x), y, weight if weighted else None)
        self.batch_options = {"batch_size": batch_size, "shuffle": shuffle, "rows": rows}
        self.loss = loss
        self.optimizer = (
            STOCHASTIC_OPTIMIZERS[optimizer]() if isinstance(optimizer, str) else optimizer
        )
        self.validation = validation
        self.monitor_options = (patience, tol, adaptive, report)
        self.rate = (learning_rate, schedule)
        self.pipeline = make_pipeline(self.optimizer, penalty=penalty or ElasticNet(0.0), **limits)

    @staticmethod
    def initializer(shape, rng):
        return rng.standard_normal(shape) / np.sqrt(shape[0])

    @staticmethod
    def generators(members, purpose):
        return [np.random.Generator(np.random.SFC64([member, purpose])) for member in members]

    def validate(self, network):
        x, y = data(seed=1, dtype=network.params.dtype)
        return self.loss.value(network.infer(x), y[np.newaxis], scale=1 / len(y)), None

    def run(self, epochs, n_schedule_steps=1000):
        patience, tol, adaptive, report = self.monitor_options
        batches = Batches(*self.xy, generators=self.state.shuffling, **self.batch_options)
        self.state.begin_run(EarlyStopping(self.network.n_members, patience, tol))
        self.monitor = Monitor(
            self.network,
            self.state,
            validate=self.validate if self.validation else None,
            lower_rates=RateLowering(self.state.rate_factors, self.rate[0]) if adaptive else None,
            report=None if report is None else lambda history: report(self),
        )
        train(
            Backprop(self.network, self.loss, batches.max_rows, self.state.dropout),
            batches,
            self.pipeline,
            self.state,
            self.monitor,
            Rate(*self.rate, n_schedule_steps),
            epochs,
        )
        return self

    def loss_of(self, member):
        """The training losses of a member until it stopped."""
        losses = np.array(self.monitor.history.loss)[:, member]
        return losses[~np.isnan(losses)]


# --- a member in an ensemble is the member alone ---

CONFIGURATIONS = {
    "plain": {},
    "float32": {"dtype": np.float32},
    "no shuffling": {"shuffle": False},
    "batches of all rows": {"batch_size": N_ROWS},
    "last batch of one row": {"batch_size": 21},
    "linear": {"hidden": ()},
    "sample weights": {"weighted": True},
    "dropout": {"dropout": 0.5, "input_dropout": 0.2},
    "batch norm": {"batch_norm": True},
    "penalty": {"penalty": ElasticNet(0.02, 0.4)},
    "norms": {"max_grad_norm": 0.5, "max_norm": 1.0},
    "schedule": {"schedule": cosine},
    "early stopping": {"validation": True, "patience": 3},
    "tol": {"patience": 1, "tol": 0.03},
    "adaptive": {"adaptive": True, "patience": 1, "tol": 0.03},
    "sparse": {"sparse": True},
    "sparse, input dropout": {"sparse": True, "input_dropout": 0.3},
    "all at once": {
        "dropout": 0.4,
        "input_dropout": 0.1,
        "batch_norm": True,
        "weighted": True,
        "penalty": ElasticNet(0.02, 0.4),
        "max_grad_norm": 0.5,
        "max_norm": 1.5,
        "validation": True,
        "patience": 3,
        "schedule": cosine,
    },
}
# Configurations in which the members must have stopped at different epochs for the test to tell.
STOPPING = ("early stopping", "tol", "all at once")


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_member_trained_in_an_ensemble_is_the_member_trained_alone(name):
    members, epochs = [5, 1, 9, 4], 25
    together = Training(members, **CONFIGURATIONS[name]).run(epochs)
    if name in STOPPING:
        assert len(set(together.monitor.kept_epoch.tolist())) > 2
        assert together.monitor.stop_reason.tolist().count("max_iter") < 3
    rtol = 1e-12 if together.network.params.dtype == np.float64 else 1e-5
    for position, member in enumerate(members):
        alone = Training([member], **CONFIGURATIONS[name]).run(epochs)
        for own, shared in (
            (alone.network.params[0], together.network.params[position]),
            (alone.network.stats[0], together.network.stats[position]),
            (alone.loss_of(0), together.loss_of(position)),
            (alone.state.rate_factors[0], together.state.rate_factors[position]),
        ):
            assert_allclose(own, shared, rtol=rtol, atol=rtol)
        assert alone.monitor.kept_epoch[0] == together.monitor.kept_epoch[position]
        assert alone.monitor.stop_reason[0] == together.monitor.stop_reason[position]


@pytest.mark.parametrize("optimizer", STOCHASTIC_OPTIMIZERS)
def test_every_optimizer_keeps_members_apart(optimizer):
    members = [5, 1, 9]
    together = Training(members, optimizer=optimizer).run(6)
    assert not np.array_equal(together.network.params[0], together.network.params[1])
    for position, member in enumerate(members):
        alone = Training([member], optimizer=optimizer).run(6)
        assert_allclose(alone.network.params[0], together.network.params[position], rtol=1e-12)


def test_members_with_equal_generators_are_equal():
    together = Training([7, 7], dropout=0.5, batch_norm=True).run(5)
    assert_array_equal(together.network.params[0], together.network.params[1])


# --- members with rows of their own ---

HALVES = np.array([np.random.default_rng(m).permutation(N_ROWS)[:21] for m in range(3)])
OF_OWN_ROWS = {
    "plain": {},
    "sample weights": {"weighted": True},
    "dropout": {"dropout": 0.4, "input_dropout": 0.2},
    "batch norm, sample weights": {"batch_norm": True, "weighted": True},
    "dropout, batch norm": {"dropout": 0.4, "batch_norm": True},
    "one batch": {"batch_size": 21, "weighted": True},
}


def on_half(member, members, options):
    """Return a run of members on a copy of one member's half of the rows."""
    training = Training(members, **options)
    x, y, weight = training.xy
    rows = HALVES[member]
    x = Source(x[rows]) if isinstance(x, Source) else x[rows]
    training.xy = (x, y[rows], None if weight is None else weight[rows])
    return training


@pytest.mark.slow
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("container", [np.asarray, Source, csr_matrix])
@pytest.mark.parametrize("name", OF_OWN_ROWS)
def test_members_on_rows_of_their_own_are_those_trained_on_copies(name, container, shuffle):
    options = {"sparse": container, "shuffle": shuffle, **OF_OWN_ROWS[name]}
    together = Training([0, 1, 2], rows=HALVES, **options).run(6)
    for member in range(3):
        # To the last bit in a run of as many members; one alone has products of its own.
        alike = on_half(member, [0, 1, 2], options).run(6)
        alone = on_half(member, [member], options).run(6)
        for kind in ("params", "stats"):
            own = getattr(together.network, kind)[member]
            assert_array_equal(own, getattr(alike.network, kind)[member])
            assert_allclose(own, getattr(alone.network, kind)[0], rtol=1e-12, atol=1e-12)
        assert_array_equal(together.loss_of(member), alike.loss_of(member))
        assert_allclose(together.loss_of(member), alone.loss_of(0), rtol=1e-12)


@pytest.mark.parametrize("container", [np.asarray, Source, csr_matrix])
def test_one_member_on_some_rows_is_one_on_a_copy_of_them(container):
    options = {"sparse": container, "weighted": True, "dropout": 0.4, "batch_norm": True}
    subset = Training([1], rows=HALVES[1:2], **options).run(6)
    copied = on_half(1, [1], options).run(6)
    assert_array_equal(subset.network.params, copied.network.params)
    assert_array_equal(subset.network.stats, copied.network.stats)
    assert_array_equal(subset.loss_of(0), copied.loss_of(0))


# --- the algorithm ---


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_gradient_descent_written_out(weighted, l1_ratio):
    """Mini-batch least squares with a penalty on the weights, not on the bias."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((23, 3)), rng.standard_normal((23, 2))
    rate, strength, epochs = 0.1, 0.3, 4
    training = Training(
        [0],
        xy=(x, y),
        hidden=(),
        loss=LOSSES["squared_error"],
        optimizer=SGD(momentum=0.0),
        learning_rate=rate,
        penalty=ElasticNet(strength, l1_ratio),
        shuffle=False,
        weighted=weighted,
        batch_size=5,
    )
    weight = training.xy[2] if weighted else np.ones((23, 1))
    w = training.network.params[0, :6].reshape(3, 2).copy()
    b, losses = np.zeros(2), []
    for _ in range(epochs):
        penalty = l1_ratio * np.abs(w).sum() + (1 - l1_ratio) / 2 * (w**2).sum()
        total = 0.0
        for start in (0, 5, 10, 15, 20):
            rows = slice(start, start + 5)
            n = len(x[rows])
            residual = x[rows] @ w + b - y[rows]
            total += 0.5 * (weight[rows] * residual**2).sum()
            delta = weight[rows] * residual / n
            penalty_gradient = l1_ratio * np.sign(w) + (1 - l1_ratio) * w
            w, b = (
                w - rate * (x[rows].T @ delta + strength * penalty_gradient),
                b - rate * delta.sum(axis=0),
            )
        losses.append(total / 23 + strength * penalty)
    training.run(epochs)
    assert_allclose(training.network.params[0], [*w.ravel(), *b], rtol=1e-12)
    assert_allclose(training.loss_of(0), losses, rtol=1e-12)


def test_training_reduces_the_loss():
    losses = Training([0, 1, 2], hidden=(16,)).run(60).monitor.history.curve("loss")
    assert losses[-1] < 0.5 * losses[0]


def test_the_schedule_sees_every_step_once_and_over_runs():
    steps = []

    def schedule(step, n_steps):
        steps.append((step, n_steps))
        return 1.0

    training = Training([0, 1], schedule=schedule, batch_size=21)
    training.run(3, n_schedule_steps=50)
    training.run(1, n_schedule_steps=50)
    assert steps == [(step, 50) for step in range(4 * 2)]
    assert training.state.step == 8


def test_the_schedule_multiplies_the_rate():
    halved = Training([0], schedule=lambda step, n_steps: 0.5, learning_rate=0.04).run(3)
    expected = Training([0], learning_rate=0.02).run(3)
    assert_allclose(halved.network.params, expected.network.params, rtol=1e-13)
    assert halved.monitor.history.learning_rate == [0.02] * 3


def test_a_rate_of_zero_changes_nothing():
    training = Training([0, 1], schedule=lambda step, n_steps: 0.0)
    start = training.network.params.copy()
    training.run(2)
    assert_array_equal(training.network.params, start)


@pytest.mark.parametrize("members", [[0], [0, 1]])
def test_max_grad_norm_bounds_the_step(members):
    """Of plain gradient descent with rate 1, a step is the gradient."""
    options = {
        "optimizer": SGD(momentum=0.0),
        "learning_rate": 1.0,
        "batch_size": N_ROWS,
        "penalty": ElasticNet(0.5),
    }
    free = Training(members, **options)
    start = free.network.params.copy()
    step = free.run(1).network.params - start
    norms = np.linalg.norm(step, axis=1)
    bound = 0.9 * norms.min()
    clipped = Training(members, max_grad_norm=bound, **options).run(1)
    expected = start + step * (bound / norms)[:, np.newaxis]
    assert_allclose(clipped.network.params, expected, rtol=1e-12)
    not_clipped = Training(members, max_grad_norm=1.1 * norms.max(), **options).run(1)
    assert_array_equal(not_clipped.network.params, free.network.params)


def test_max_norm_bounds_what_enters_each_hidden_unit():
    bound = 0.5
    free = Training([0, 1]).run(5)
    bounded = Training([0, 1], max_norm=bound).run(5)
    for layer, free_layer in zip(
        bounded.network.dense_layers[:-1], free.network.dense_layers[:-1], strict=True
    ):
        norms = np.linalg.norm(layer.weight, axis=1)
        assert (norms <= bound * (1 + 1e-12)).all()
        assert (norms > bound * (1 - 1e-12)).any()
        assert (np.linalg.norm(free_layer.weight, axis=1) > bound).any()
    output = np.linalg.norm(bounded.network.dense_layers[-1].weight, axis=1)
    assert (output > bound).any()


def test_max_norm_is_applied_after_every_step():
    training = Training([0], max_norm=0.4, batch_size=N_ROWS)
    training.run(1)
    norms = np.linalg.norm(training.network.dense_layers[0].weight, axis=1)
    assert (norms <= 0.4 * (1 + 1e-12)).all()


# --- going on ---


@pytest.mark.parametrize("optimizer", STOCHASTIC_OPTIMIZERS)
@pytest.mark.parametrize("pickled", [False, True])
def test_two_runs_are_one_run(optimizer, pickled):
    """No permutation and no mask is drawn twice, and no moment is forgotten."""
    options = {"optimizer": optimizer, "dropout": 0.3, "batch_norm": True, "schedule": cosine}
    once = Training([0, 1], **options).run(5)
    twice = Training([0, 1], **options).run(2)
    losses = list(twice.monitor.history.loss)
    if pickled:
        kept = pickle.loads(pickle.dumps((twice.network, twice.state)))
        twice = Training([0, 1], **options)
        twice.network, twice.state = kept
    twice.run(3)
    assert_array_equal(twice.network.params, once.network.params)
    assert_array_equal(twice.network.stats, once.network.stats)
    assert_array_equal([*losses, *twice.monitor.history.loss], once.monitor.history.loss)
    assert twice.state.step == once.state.step


@pytest.mark.parametrize("optimizer", [*STOCHASTIC_OPTIMIZERS, SGD(momentum=0.0)])
def test_selected_members_go_on_as_in_the_ensemble(optimizer):
    options = {"optimizer": optimizer, "dropout": 0.3, "batch_norm": True}
    whole = Training([0, 1, 2], **options).run(3)
    part = Training([0], **options)
    part.network = whole.network.select([2, 0])
    part.state = pickle.loads(pickle.dumps(whole.state.select([2, 0])))
    whole.run(2)
    part.run(2)
    assert_allclose(part.network.params, whole.network.params[[2, 0]], rtol=1e-12)
    assert_allclose(part.network.stats, whole.network.stats[[2, 0]], rtol=1e-12)


def test_the_state_before_the_first_run_can_be_selected():
    state = Training([0, 1, 2]).state.select([2, 0])
    assert state.optimizer is None
    assert len(state.shuffling) == len(state.dropout) == len(state.rate_factors) == 2


# --- ends ---


def test_max_epochs():
    training = Training([0, 1]).run(7)
    assert training.monitor.history.n_epochs == 7
    assert training.state.step == 7 * 5
    assert training.monitor.stop_reason.tolist() == ["max_iter", "max_iter"]


def test_early_stopping_restores_parameters_and_statistics_of_the_best_epoch():
    snapshots = []

    def report(training):
        snapshots.append((training.network.params.copy(), training.network.stats.copy()))

    training = Training(
        [0, 1, 2], batch_norm=True, validation=True, patience=5, learning_rate=0.01, report=report
    ).run(60)
    assert training.monitor.history.n_epochs < 60
    assert training.monitor.kept_epoch.min() > 1
    losses = np.array(training.monitor.history.validation_loss)
    best = np.nanargmin(losses, axis=0)
    assert_array_equal(training.monitor.kept_epoch, best + 1)
    for member, epoch in enumerate(best):
        assert_array_equal(training.network.params[member], snapshots[epoch][0][member])
        assert_array_equal(training.network.stats[member], snapshots[epoch][1][member])
    assert_allclose(training.validate(training.network)[0], np.nanmin(losses, axis=0), rtol=1e-12)


@pytest.mark.parametrize("validation", [False, True])
def test_a_member_that_diverges_is_restored_and_the_others_are_not_disturbed(validation):
    snapshots = []

    def report(training):
        snapshots.append(training.network.params.copy())

    options = {
        "optimizer": SGD(momentum=0.0),
        "loss": LOSSES["squared_error"],
        "learning_rate": 0.05,
        "batch_norm": True,
        "validation": validation,
        "patience": 100,
    }
    training = Training([0, 1], report=report, **options)
    training.state.rate_factors[1] = 1e4
    snapshots.append(training.network.params.copy())
    with np.errstate(over="ignore", invalid="ignore"):
        training.run(60)
    assert training.monitor.stop_reason.tolist() == ["max_iter", "diverged"]
    kept = training.monitor.kept_epoch[1]
    assert kept < 60
    assert_array_equal(training.network.params[1], snapshots[kept][1])
    assert np.isfinite(training.network.params).all()
    assert np.isfinite(training.network.stats).all()
    alone = Training([0], **options).run(60)
    assert_allclose(training.network.params[0], alone.network.params[0], rtol=1e-12)


def test_adaptive_rates_are_used_and_end_the_run():
    training = Training([0, 1], adaptive=True, patience=1, tol=1e9, learning_rate=1e-4).run(60)
    # Every second epoch: the first one after a change counts as an improvement.
    rates = [1e-4, 1e-4, 2e-5, 2e-5, 4e-6, 4e-6, 8e-7, 8e-7]
    assert_allclose(training.monitor.history.learning_rate, rates, rtol=1e-12)
    assert training.monitor.stop_reason.tolist() == ["tol", "tol"]


def test_rates_of_members_may_differ():
    together = Training([0, 1], optimizer=SGD())
    together.state.rate_factors[1] = 0.2
    together.run(3)
    alone = Training([1], optimizer=SGD())
    alone.state.rate_factors[0] = 0.2
    alone.run(3)
    assert_allclose(together.network.params[1], alone.network.params[0], rtol=1e-12)
    assert_allclose(alone.monitor.history.learning_rate, 0.004, rtol=1e-12)


def test_rates_that_differ_keep_float32():
    training = Training([0, 1], dtype=np.float32)
    training.state.rate_factors[1] = 0.2
    training.run(3)
    moments = training.state.optimizer
    assert moments.first_moment.dtype == moments.second_moment.dtype == np.float32


@pytest.mark.parametrize("validation", [False, True])
def test_a_keyboard_interrupt_in_the_middle_of_an_epoch(validation):
    best = {}

    def schedule(step, n_steps):
        if step == 12:  # the third step of the third epoch of five
            raise KeyboardInterrupt
        return 1.0

    def report(training):
        best[training.monitor.history.n_epochs] = training.network.params.copy()

    training = Training([0, 1], schedule=schedule, validation=validation, report=report).run(9)
    assert training.monitor.stop_reason.tolist() == ["interrupted"] * 2
    assert training.monitor.history.n_epochs == 2
    assert_array_equal(training.monitor.kept_epoch, [2, 2])
    assert_array_equal(training.network.params, best[2])
