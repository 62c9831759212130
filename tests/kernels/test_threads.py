import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor, WhiteningScaler
from skregnet.functions.activations import ReLU
from skregnet.kernels import threads
from skregnet.kernels.threads import (
    LARGE_PRODUCT,
    SERIAL_PRODUCT,
    OneThread,
    suitable_threads,
)

LIBRARIES = ThreadpoolController().select(user_api="blas").lib_controllers
pytestmark = pytest.mark.skipif(not LIBRARIES, reason="no BLAS whose threads can be counted")


def counts():
    """Numbers of threads of the BLAS libraries, usually NumPy's and SciPy's."""
    return {each.get_num_threads() for each in LIBRARIES}


@pytest.fixture(autouse=True)
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        if counts() != {2}:
            pytest.skip("the BLAS was built for one thread")
        for each in LIBRARIES:
            # Since threadpoolctl 3.8 this thread alone could change the numbers otherwise.
            getattr(each, "clear_controlling_thread", lambda: None)()
        yield
        assert counts() == {2}


# ---- the context ---------------------------------------------------------------------------------


def test_one_thread_is_restored():
    with OneThread():
        assert counts() == {1}
        with OneThread():
            assert counts() == {1}
        assert counts() == {1}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_restores_it(error):
    with pytest.raises(error), OneThread():
        raise error


def test_generators_restore_it_when_they_are_closed():
    def numbers():
        with OneThread():
            yield 1

    generator = numbers()
    assert next(generator) == 1
    assert counts() == {1}
    generator.close()


@pytest.mark.parametrize("interrupted", ["enter", "leave"])
def test_an_interrupt_while_the_numbers_are_being_set_restores_them(monkeypatch, interrupted):
    libraries, calls = threads._pools, []

    class Library:
        n_threads = 2

        def get_num_threads(self):
            return self.n_threads

        def set_num_threads(self, n_threads):
            calls.append(n_threads)
            if len(calls) == (2 if interrupted == "enter" else 3):
                raise KeyboardInterrupt
            self.n_threads = n_threads

    fakes = [Library(), Library()]
    monkeypatch.setattr(libraries, "_shared", fakes)
    monkeypatch.setattr(libraries, "_own", [])
    with pytest.raises(KeyboardInterrupt), OneThread():
        assert [each.n_threads for each in fakes] == [1, 1]
    assert [each.n_threads for each in fakes] == [2, 2]
    with OneThread():
        assert [each.n_threads for each in fakes] == [1, 1]
    assert [each.n_threads for each in fakes] == [2, 2]


@pytest.fixture
def library(monkeypatch):
    """The only BLAS library, with two threads."""

    class Library:
        n_threads = 2

        def get_num_threads(self):
            return self.n_threads

        def set_num_threads(self, n_threads):
            self.n_threads = n_threads

    pools = threads._Pools()
    monkeypatch.setattr(threads, "_pools", pools)
    pools._own, pools._shared = [], [Library()]
    return pools._shared[0]


def in_one_thread_with(event, step, library):
    """Call `event` before one of the lines of the module that are run; return their number."""
    n_steps, before = 0, sys.gettrace()

    def trace(frame, kind, _):
        nonlocal n_steps
        if frame.f_code.co_filename != threads.__file__:
            return None
        if kind == "line":
            n_steps += 1
            if n_steps == step:
                sys.settrace(before)
                event()
        return trace

    sys.settrace(trace)
    try:
        with OneThread():
            assert library.n_threads == 1
    finally:
        sys.settrace(before)
    return n_steps


def test_a_prediction_of_a_signal_handler_at_any_time_leaves_the_numbers_alone(library):
    def predict():
        with OneThread():
            pass

    for step in range(1, in_one_thread_with(None, 0, library) + 1):
        in_one_thread_with(predict, step, library)
        assert library.n_threads == 2, step


def test_an_interrupt_at_almost_any_time_restores_the_numbers(library):
    def interrupt():
        raise KeyboardInterrupt

    lost = 0
    for step in range(1, in_one_thread_with(None, 0, library) + 1):
        with pytest.raises(KeyboardInterrupt):
            in_one_thread_with(interrupt, step, library)
        if library.n_threads != 2:
            lost += 1
            threads._pools.restore_in_child()
    assert lost <= 1  # at the first line of `__exit__`, which no `try` can protect


def test_the_last_of_overlapping_contexts_restores_it():
    first, second = OneThread(), OneThread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert counts() == {1}
    second.__exit__(None, None, None)


def test_eight_threads_at_once():
    barrier, seen = threading.Barrier(8), []

    def limited(i):
        barrier.wait()
        for _ in range(200):
            with OneThread():
                seen.append(counts())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(limited, range(8)))
    assert len(seen) == 1600
    assert set().union(*seen) == {1}


def test_numbers_are_never_raised():
    with threadpool_limits(1, user_api="blas"):
        with OneThread():
            assert counts() == {1}
        assert counts() == {1}


def test_limits_of_the_user_inside_are_respected():
    with OneThread():
        with threadpool_limits(2, user_api="blas"):
            assert counts() == {2}
        assert counts() == {1}
    assert counts() == {2}
    with OneThread():
        LIBRARIES[0].set_num_threads(3)
    assert LIBRARIES[0].get_num_threads() == 3
    LIBRARIES[0].set_num_threads(2)


def test_numbers_of_each_thread_with_openmp(monkeypatch):
    """An OpenMP library has a number for each thread of Python: each restores its own."""

    class Library(threading.local):
        threading_layer = "openmp"
        n_threads = 2

        def get_num_threads(self):
            return self.n_threads

        def set_num_threads(self, n_threads):
            self.n_threads = n_threads

    library = Library()
    monkeypatch.setattr(threads._pools, "_shared", [])
    monkeypatch.setattr(threads._pools, "_own", [library])
    inside, leave = threading.Barrier(2), threading.Barrier(2)

    def other():
        with OneThread():
            inside.wait()
            leave.wait()
            found = library.n_threads
        return found, library.n_threads

    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(other)
        with OneThread():
            inside.wait()
            assert library.n_threads == 1
        assert library.n_threads == 2
        leave.wait()
        assert result.result() == (1, 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_has_its_threads_and_no_held_lock():
    inside, leave = threading.Event(), threading.Event()

    def other():
        with OneThread():
            inside.set()
            leave.wait()

    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(other)
        inside.wait()
        child = os.fork()
        if child == 0:
            is_right = counts() == {2}
            with OneThread():
                is_right &= counts() == {1}
            os._exit(0 if is_right and counts() == {2} else 1)
        leave.set()
        result.result()
    assert os.waitpid(child, 0)[1] == 0


def test_sizes(monkeypatch):
    def inside(*arguments):
        with suitable_threads(*arguments):
            return counts()

    monkeypatch.setattr(threads, "_n_cores", lambda: 2)
    assert inside(1, 4) == inside(LARGE_PRODUCT - 1, 4) == inside(LARGE_PRODUCT // 2 - 1, 8) == {1}
    assert inside(LARGE_PRODUCT, 4) == inside(LARGE_PRODUCT // 2, 8) == {2}
    assert inside(SERIAL_PRODUCT, 4, True) == {2}
    assert inside(SERIAL_PRODUCT + 1, 4, True) == {1}
    assert inside(LARGE_PRODUCT, 4, True) == {2}


def test_a_process_with_one_core_has_one_thread(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    with suitable_threads(LARGE_PRODUCT, 4):
        assert counts() == {1}
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    with suitable_threads(LARGE_PRODUCT, 4):
        assert counts() == {1}


# ---- fits and predictions ------------------------------------------------------------------------


class Watched(ReLU):
    """Records the numbers of threads at each call."""

    def __init__(self):
        object.__setattr__(self, "seen", set())  # the base class is frozen

    def forward(self, z, out):
        self.seen.update(counts())
        return super().forward(z, out)

    def __deepcopy__(self, memo):
        return self


def data(n_rows=300, n_features=5):
    X = np.random.default_rng(0).normal(size=(n_rows, n_features))
    return X, X[:, 0]


def model(watched, units=(50, 50), **parameters):
    parameters = {"max_iter": 2, "random_state": 0, "tol": 0, **parameters}
    return RegularizedMLPRegressor(units, activation=watched, **parameters)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_small_networks_train_with_one_thread(solver):
    watched = Watched()
    model(watched, solver=solver).fit(*data())
    assert watched.seen == {1}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_early_stopping_refit_and_partial_fit():
    watched, (X, y) = Watched(), data()
    model(watched, early_stopping=True, validation_fraction=0.4, refit=True).fit(X, y)
    model(watched).fit(X, y).partial_fit(X, y)
    assert watched.seen == {1}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_nothing_is_changed_where_no_thread_would_be_used():
    """The products of (50,) are too small, and its vectors too short."""
    watched = Watched()
    model(watched, (50,)).fit(*data())
    assert watched.seen == {2}
    watched.seen.clear()
    model(watched, (1000,), batch_size=10).fit(*data(n_features=20))  # 21 001 parameters
    assert watched.seen == {1}


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_wide_networks_keep_their_threads(solver, monkeypatch):
    monkeypatch.setattr(threads, "_n_cores", lambda: 2)
    watched = Watched()
    model(watched, (300, 300), solver=solver, max_iter=1, max_fun=2).fit(*data())
    assert 2 in watched.seen


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_predictions():
    X, y = data()
    watched = Watched()
    fitted = model(watched, dropout=0.1).fit(X, y)
    watched.seen.clear()
    fitted.predict(X)
    assert watched.seen == {1}
    watched.seen.clear()
    fitted.predict(X[:10])  # the BLAS does not use its threads
    assert watched.seen == {2}
    for use in (
        lambda: fitted.hidden_activations(X),
        lambda: fitted.predict_interval(X, method="model"),
        lambda: fitted.predict_mc(X),
        lambda: fitted.sample_y(X, 20),
    ):
        watched.seen.clear()
        use()
        assert watched.seen == {1}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_draws_do_not_limit_the_code_that_takes_them():
    X, y = data()
    fitted = RegularizedMLPClassifier((50, 50), dropout=0.1, max_iter=2).fit(X, y > 0)
    seen = set()

    class Loop:
        def __iter__(self):
            for rows, samples in fitted._monte_carlo(X, 10, 0)[1]:
                seen.update(counts())
                yield rows, samples

    assert len(list(Loop())) > 0
    assert seen == {2}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_sparse_inputs_do_not_count():
    """Products with sparse rows do not use threads, however wide they are."""
    from scipy.sparse import csr_array

    X = csr_array(1.0 * (np.random.default_rng(0).random((200, 5000)) < 0.001))
    watched = Watched()
    fitted = model(watched, (20, 100)).fit(X, np.arange(200.0))
    assert watched.seen == {1}
    watched.seen.clear()
    fitted.predict(X)
    assert watched.seen == {1}


def test_whitening(monkeypatch):
    X, seen = data(n_features=40)[0], []
    monkeypatch.setattr(np.linalg, "eigh", _watched(np.linalg.eigh, seen))
    scaler = WhiteningScaler().fit(X)
    assert seen == [{1}]
    scaler.transform(X)


def _watched(function, seen):
    def watched(*arguments, **options):
        seen.append(counts())
        return function(*arguments, **options)

    return watched


class Failing(Watched):
    """Raises an exception at a call within the first epoch."""

    def __init__(self, exception):
        super().__init__()
        object.__setattr__(self, "exception", exception)
        object.__setattr__(self, "calls", [])

    def forward(self, z, out):
        self.calls.append(None)
        if len(self.calls) == 6:
            raise self.exception
        return super().forward(z, out)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_error_in_a_fit_restores_the_threads():
    """As all tests do, by the fixture."""
    watched = Failing(RuntimeError)
    with pytest.raises(RuntimeError):
        model(watched, batch_size=110).fit(*data())
    assert watched.seen == {1}


def test_a_keyboard_interrupt_in_a_fit_restores_the_threads():
    watched = Failing(KeyboardInterrupt)
    with pytest.warns(UserWarning, match="interrupted"):
        model(watched, batch_size=110).fit(*data())
    assert watched.seen == {1}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fits_and_predictions_in_eight_threads():
    X, y = data()

    def fit_and_predict(seed):
        watched = Watched()
        fitted = model(watched, random_state=seed).fit(X, y)
        return watched.seen, fitted.predict(X)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(fit_and_predict, range(8)))
    assert set().union(*(seen for seen, _ in results)) == {1}
