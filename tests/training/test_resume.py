"""A run that is cut after any epoch, and goes on from a pickle, ends as if it had not been cut."""

import pickle

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skregnet.functions.activations import ACTIVATIONS
from skregnet.functions.losses import LOSSES
from skregnet.functions.penalties import ElasticNet
from skregnet.functions.schedules import get_schedule
from skregnet.network import Backprop, build_network
from skregnet.optim import SGD, STOCHASTIC_OPTIMIZERS
from skregnet.optim.pipeline import Rate, make_pipeline
from skregnet.training import (
    Batches,
    EarlyStopping,
    Monitor,
    NoisyPlateau,
    TrainingState,
    train,
)
from skregnet.training.monitor import RateLowering

N_ROWS, BATCH_SIZE, MAX_EPOCHS = 43, 10, 14
LOSS = LOSSES["squared_error"]


def data(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((N_ROWS, 4))
    return x, np.tanh(x[:, :2]) + 0.3 * rng.standard_normal((N_ROWS, 2))


class Run:
    """All that a run is made of, as a new process would make it; the state comes from outside."""

    def __init__(
        self,
        *,
        optimizer="adam",
        n_members=1,
        dropout=0.0,
        input_dropout=0.0,
        batch_norm=False,
        learning_rate="constant",
        learning_rate_init=0.02,
        validation=False,
        patience=np.inf,
        tol=0.0,
        lengths=None,
        lowered=(),
        dtype=np.float64,
        max_epochs=MAX_EPOCHS,
        penalty=0.0,
        tolerable_loss=np.inf,
        stop_after=None,
        **limits,
    ):
        self.network = build_network(
            4,
            2,
            (6, 5),
            [ACTIVATIONS["relu"]] * 2,
            dropout=[dropout] * 2,
            input_dropout=input_dropout,
            batch_norm=batch_norm,
            n_members=n_members,
            dtype=dtype,
        )
        self.n_members, self.dtype = n_members, dtype
        self.optimizer = STOCHASTIC_OPTIMIZERS[optimizer]() if optimizer != "momentum" else SGD(0.5)
        self.has_dropout = dropout > 0
        self.learning_rate, self.learning_rate_init = learning_rate, learning_rate_init
        self.validation, self.patience, self.tol = validation, patience, tol
        self.monitor_options = {
            "lengths": lengths,
            "lowered": lowered,
            "is_ruined": lambda network, members: (
                members & (self.validate(network)[0] > tolerable_loss)
            ),
        }
        self.max_epochs, self.penalty, self.limits = max_epochs, ElasticNet(penalty), limits
        self.stop_after = stop_after
        self.checkpoints = []

    def begin(self):
        """Return the state before a first run; draw the initial weights."""
        draw = np.random.default_rng(1).standard_normal(self.network.params.shape)
        self.network.params[...] = 0.4 * draw
        seeds = range(2 * self.n_members)
        streams = [np.random.Generator(np.random.SFC64(seed)) for seed in seeds]
        kind = NoisyPlateau if self.has_dropout else EarlyStopping
        return TrainingState(
            shuffling=streams[: self.n_members],
            dropout=streams[self.n_members :] if self.has_dropout else [],
            rate_factors=np.ones(self.n_members),
            stopping=kind(self.n_members, self.patience, self.tol),
        )

    def validate(self, network):
        x, y = data(1)
        values = network.infer(x.astype(self.dtype))
        return LOSS.value(values, y[np.newaxis].astype(self.dtype), scale=1 / len(y)), None

    def report(self, monitor):
        self.checkpoints.append(pickle.dumps(monitor.state.checkpoint(monitor.network)))
        return monitor.history.n_epochs == self.stop_after

    def go_on(self, state):
        """Train until the end; return what the run leaves behind."""
        x, y = (values.astype(self.dtype) for values in data())
        batches = Batches(x, y, None, BATCH_SIZE, state.shuffling)
        is_adaptive = self.learning_rate == "adaptive"
        self.state = state
        self.monitor = Monitor(
            self.network,
            state,
            validate=self.validate if self.validation else None,
            lower_rates=RateLowering(state.rate_factors, self.learning_rate_init)
            if is_adaptive
            else None,
            plateau_loss=(lambda network: self.validate(network)[0]) if self.has_dropout else None,
            report=self.report,
            **self.monitor_options,
        )
        with np.errstate(all="ignore"):
            train(
                Backprop(self.network, LOSS, batches.max_rows, state.dropout),
                batches,
                make_pipeline(self.optimizer, penalty=self.penalty, **self.limits),
                state,
                self.monitor,
                Rate(
                    self.learning_rate_init,
                    get_schedule(
                        self.learning_rate,
                        power_t=0.5,
                        t_start=0,
                        n_samples=N_ROWS,
                        steps_per_epoch=batches.n_steps,
                    ),
                    self.max_epochs * batches.n_steps,
                ),
                self.max_epochs,
            )
        return self

    @property
    def outcome(self):
        """All that a run leaves behind, as bytes."""
        monitor, state = self.monitor, self.state
        history = monitor.history
        arrays = [self.network.params, self.network.stats, monitor.kept_epoch, monitor.kept_loss()]
        arrays += [*history.loss, *history.validation_loss, *history._active, state.rate_factors]
        arrays += [part for _, part in sorted(state.parts.items())]
        if state.optimizer is not None:
            names = type(state.optimizer).__slots__
            values = [getattr(state.optimizer, name) for name in names if name != "scratch"]
            arrays += [np.zeros(0) if value is None else np.asarray(value) for value in values]
        return {
            "arrays": [(array.dtype.str, array.tobytes()) for array in arrays],
            "reasons": monitor.stop_reason.tolist(),
            "learning_rate": repr(history.learning_rate),
            "curves": [repr(history.curve(name)) for name in ("loss", "validation_loss")],
            "lowered": [(epoch, members.tolist()) for epoch, members in monitor.run.lowered],
            "streams": repr([g.bit_generator.state for g in state.shuffling + state.dropout]),
            "step": state.step,
            "forgotten": (state.optimizer is None, state.stopping is None),
        }


CONFIGURATIONS = {
    "sgd": {"optimizer": "sgd"},
    "adam": {"optimizer": "adam"},
    "adamw": {"optimizer": "adamw"},
    "rmsprop": {"optimizer": "rmsprop"},
    "sgd, early stopping": {
        "optimizer": "momentum",
        "validation": True,
        "patience": 3,
        "learning_rate_init": 0.2,
    },
    "adam, early stopping, ensemble": {
        "validation": True,
        "patience": 2,
        "n_members": 3,
        "learning_rate_init": 0.05,
    },
    "adamw, dropout": {"optimizer": "adamw", "dropout": 0.4},
    "rmsprop, dropout, plateau": {
        "optimizer": "rmsprop",
        "dropout": 0.4,
        "input_dropout": 0.1,
        "patience": 3,
        "tol": 0.02,
        "learning_rate_init": 0.01,
        "n_members": 3,
        "max_epochs": 60,
    },
    "adam, batch norm": {"batch_norm": True, "penalty": 0.1},
    "sgd, batch norm, early stopping, ensemble": {
        "optimizer": "sgd",
        "batch_norm": True,
        "validation": True,
        "patience": 2,
        "n_members": 3,
    },
    "sgd, tol, ensemble": {
        "optimizer": "sgd",
        "patience": 2,
        "tol": 0.01,
        "learning_rate_init": 0.01,
        "n_members": 3,
        "max_epochs": 30,
    },
    "rmsprop, ensemble, float32": {"optimizer": "rmsprop", "n_members": 3, "dtype": np.float32},
    "adam, adaptive": {
        "learning_rate": "adaptive",
        "patience": 2,
        "tol": 0.05,
        "learning_rate_init": 1e-3,
        "n_members": 3,
        "max_epochs": 25,
    },
    "adamw, adaptive, early stopping": {
        "optimizer": "adamw",
        "learning_rate": "adaptive",
        "patience": 1,
        "validation": True,
        "n_members": 3,
    },
    "rmsprop, cosine, max_norm": {
        "optimizer": "rmsprop",
        "learning_rate": "cosine",
        "max_norm": 1.0,
    },
    "adam, one_cycle, max_grad_norm": {"learning_rate": "one_cycle", "max_grad_norm": 0.1},
    "sgd, invscaling, dropout": {
        "optimizer": "sgd",
        "learning_rate": "invscaling",
        "dropout": 0.2,
        "n_members": 3,
    },
    "adam, lengths": {
        "n_members": 3,
        "lengths": np.array([0, 9, 4]),
        "learning_rate": "adaptive",
        "lowered": [(2, np.array([False, True, True])), (6, np.array([False, True, False]))],
    },
    "sgd, diverging": {
        "optimizer": "sgd",
        "learning_rate_init": 2.0,
        "n_members": 3,
        "dtype": np.float32,
    },
    "sgd, ruined": {
        "optimizer": "sgd",
        "learning_rate_init": 0.2,
        "n_members": 3,
        "tolerable_loss": 0.05,
    },
    "adam, average": {"weight_averaging": 0.9, "dtype": np.float32},
    "sgd, average, early stopping, ensemble": {
        "optimizer": "sgd",
        "weight_averaging": 0.99,
        "batch_norm": True,
        "max_norm": 1.0,
        "validation": True,
        "patience": 2,
        "n_members": 3,
    },
    "sgd, average, diverging": {
        "optimizer": "sgd",
        "weight_averaging": 0.9,
        "learning_rate_init": 2.0,
        "n_members": 3,
        "dtype": np.float32,
    },
    "adam, stopped by a callback": {"stop_after": 5, "n_members": 3},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_run_cut_after_any_epoch(name):
    options = CONFIGURATIONS[name]
    whole = Run(**options)
    whole.go_on(whole.begin())
    assert len(whole.checkpoints) == whole.monitor.history.n_epochs > 4
    for epoch, checkpoint in enumerate(whole.checkpoints, start=1):
        resumed = Run(**options)
        state = pickle.loads(checkpoint).restore(resumed.network)
        assert state.epoch == epoch
        resumed.go_on(state)
        if epoch != options.get("stop_after"):  # whose answer comes after the checkpoint
            assert len(resumed.checkpoints) == len(whole.checkpoints) - epoch
            assert resumed.outcome == whole.outcome


def test_the_configurations_end_in_all_ways():
    """Otherwise the comparison would not tell much."""
    reasons = set()
    for options in CONFIGURATIONS.values():
        run = Run(**options)
        reasons.update(run.go_on(run.begin()).monitor.stop_reason)
    assert reasons == {"max_iter", "early_stopping", "tol", "diverged", "callback"}


@pytest.mark.parametrize(
    "name",
    ["adam", "adam, early stopping, ensemble", "sgd, tol, ensemble", "sgd, diverging"],
)
def test_a_run_that_is_over_stays_as_it_is(name):
    options = CONFIGURATIONS[name]
    whole = Run(**options)
    state = whole.go_on(whole.begin()).state
    resumed = Run(**options)
    checkpoint = pickle.loads(pickle.dumps(state.checkpoint(whole.network)))
    resumed.go_on(checkpoint.restore(resumed.network))
    assert not resumed.checkpoints
    assert resumed.outcome == whole.outcome


def test_a_longer_run_goes_on_where_a_shorter_one_was_cut():
    long = Run(max_epochs=12)
    long.go_on(long.begin())
    short = Run(max_epochs=7)
    short.go_on(short.begin())
    resumed = Run(max_epochs=12)
    resumed.go_on(pickle.loads(short.checkpoints[-1]).restore(resumed.network))
    assert resumed.outcome == long.outcome


def test_a_checkpoint_may_be_restored_again():
    options = CONFIGURATIONS["sgd, tol, ensemble"]
    whole = Run(**options)
    whole.go_on(whole.begin())
    checkpoint = pickle.loads(whole.checkpoints[1])
    for _ in range(2):
        resumed = Run(**options)
        resumed.go_on(checkpoint.restore(resumed.network))
        assert resumed.outcome == whole.outcome


@pytest.mark.parametrize(
    "name",
    [
        *("sgd, tol, ensemble", "rmsprop, dropout, plateau", "adam, early stopping, ensemble"),
        "sgd, average, early stopping, ensemble",
    ],
)
@pytest.mark.parametrize("epoch", [1, 3, 8])
def test_selected_members_go_on_as_in_the_whole(name, epoch):
    options = CONFIGURATIONS[name]
    whole = Run(**options)
    whole.go_on(whole.begin())
    part = Run(**{**options, "n_members": 2})
    checkpoint = pickle.loads(whole.checkpoints[epoch - 1])
    part.network.params[...] = checkpoint.params[[2, 0]]
    part.network.stats[...] = checkpoint.stats[[2, 0]]
    part.go_on(checkpoint.state.select([2, 0]))
    assert_array_equal(part.network.params, whole.network.params[[2, 0]])
    assert_array_equal(part.network.stats, whole.network.stats[[2, 0]])
    assert_array_equal(part.monitor.kept_epoch, whole.monitor.kept_epoch[[2, 0]])
    assert part.monitor.stop_reason.tolist() == whole.monitor.stop_reason[[2, 0]].tolist()
    expected = whole.monitor.history.select([2, 0])
    assert_array_equal(part.monitor.history.loss, expected.loss)


# --- copies ---


@pytest.mark.parametrize(
    "name",
    [
        *("adamw, dropout", "sgd, tol, ensemble", "adam, adaptive", "rmsprop, dropout, plateau"),
        "adam, average",
    ],
)
def test_a_copy_is_independent(name):
    """Training from the original changes nothing in the copy, nor the other way round."""
    options = CONFIGURATIONS[name]
    whole = Run(**options)
    whole.go_on(whole.begin())
    first = Run(**options)
    state = pickle.loads(whole.checkpoints[2]).restore(first.network)
    params, stats = first.network.params.copy(), first.network.stats.copy()
    copied = state.copy()
    frozen = pickle.dumps(copied)
    first.go_on(state)
    assert pickle.dumps(copied) == frozen
    second = Run(**options)
    second.network.params[...], second.network.stats[...] = params, stats
    second.go_on(copied)
    assert first.outcome == second.outcome == whole.outcome


def test_a_copy_of_the_state_between_runs_is_independent():
    run = Run(optimizer="adamw", dropout=0.2, n_members=2)
    state = run.go_on(run.begin()).state
    state.end_run()
    copied = state.copy()
    frozen = pickle.dumps(copied)
    run.state.begin_run(NoisyPlateau(2, np.inf, 0.0))
    run.go_on(state)
    assert pickle.dumps(copied) == frozen


@pytest.mark.parametrize("bit_generator", [np.random.SFC64, np.random.PCG64])
def test_generators_of_a_copy_draw_the_same_numbers(bit_generator):
    generator = np.random.Generator(bit_generator(3))
    generator.shuffle(np.arange(5))  # half a word is left
    state = TrainingState([generator], [], np.ones(1))
    copied = state.copy().shuffling[0]
    assert pickle.dumps(copied) == pickle.dumps(generator)
    expected = generator.permutation(50)
    assert_array_equal(copied.permutation(50), expected)
    again = pickle.loads(pickle.dumps(copied))
    assert_array_equal(again.permutation(9), copied.permutation(9))


def test_the_state_of_a_users_optimizer_is_copied_deeply():
    state = TrainingState([], [], np.ones(1), optimizer={"moments": [np.ones(2)]})
    copied = state.copy()
    copied.optimizer["moments"][0][:] = 5.0
    assert_array_equal(state.optimizer["moments"][0], 1.0)


@pytest.mark.parametrize(
    "name", ["adamw, dropout", "adam, early stopping, ensemble", "adam, average"]
)
def test_a_checkpoint_mapped_from_a_file_goes_on(name, tmp_path):
    """What joblib maps is read-only."""
    whole = Run(**CONFIGURATIONS[name])
    whole.go_on(whole.begin())
    joblib.dump(pickle.loads(whole.checkpoints[2]), tmp_path / "checkpoint")
    mapped = joblib.load(tmp_path / "checkpoint", mmap_mode="r")
    resumed = Run(**CONFIGURATIONS[name])
    resumed.go_on(mapped.restore(resumed.network))
    assert resumed.outcome == whole.outcome
    # As without the copy that is made in restoring.
    mapped = joblib.load(tmp_path / "checkpoint", mmap_mode="r")
    again = Run(**CONFIGURATIONS[name])
    again.network.params[...], again.network.stats[...] = mapped.params, mapped.stats
    assert again.go_on(mapped.state).outcome == whole.outcome


def test_time_before_a_break_counts():
    whole = Run()
    whole.go_on(whole.begin())
    state = pickle.loads(whole.checkpoints[3]).state
    elapsed = state.elapsed
    assert elapsed > 0.0
    resumed = Run()
    pickle.loads(whole.checkpoints[3]).restore(resumed.network)
    resumed.go_on(state)
    assert state.elapsed > elapsed
