"""One BLAS thread for products that are too small to gain from several.

OpenBLAS divides each product between its threads, and the caller waits for the last of them. If
another process occupies a core, or a container limits the CPU time, that thread may have to wait
for milliseconds until it runs. A product that takes microseconds then takes a hundred times as
long, whereas a second thread could at best halve its time.

The number of threads belongs to the process. While one thread of Python has reduced it, a large
product in another one also has a single thread; this is slower, but correct.
"""

import os
import threading
from contextlib import nullcontext

from threadpoolctl import ThreadpoolController

# OpenBLAS itself computes matrix products of at most this many multiplications on one thread
# (GEMM_MULTITHREAD_THRESHOLD in its interface/gemm.c). Its limit for products with vectors is
# lower, but here SciPy's gemm computes them up to this size.
SERIAL_PRODUCT = 1 << 18
# Products of fewer multiplications do not gain enough; in float64, whose multiplications take twice
# the time, half as many do. Measured on two idle cores, two threads against one: an epoch of
# (64, 64) with batches of 64 takes 1.17 times as long, in float64 1.12 times; (256, 256) with 256,
# whose products have 1 << 24, 0.81 times (0.72 to 1.05) and 0.62; (512, 512, 512) 0.65 and 0.62.
LARGE_PRODUCT = 1 << 24

_UNCHANGED = nullcontext()


def suitable_threads(n_multiplications, itemsize, only_products=False):
    """Return a context manager for computations whose largest product has so many multiplications.

    Inside, the BLAS has one thread, unless such a product gains from several and the process may
    use several cores. `itemsize` is that of the factors: 4 or 8 bytes. With `only_products` the
    BLAS keeps its threads if it does not use them for products of this size; otherwise it might for
    long vectors.
    """
    if _is_large(n_multiplications, itemsize):
        return _UNCHANGED
    if only_products and n_multiplications <= SERIAL_PRODUCT:
        return _UNCHANGED
    return OneThread()


def are_used(n_multiplications, itemsize):
    """Return whether several threads of the BLAS compute a product of so many multiplications."""
    return _is_large(n_multiplications, itemsize) and _pools.have_several()


def _is_large(n_multiplications, itemsize):
    return n_multiplications * itemsize >= 4 * LARGE_PRODUCT and _n_cores() > 1


def _n_cores():
    """Return the number of cores that the process may use, where the system tells it."""
    affinity = getattr(os, "sched_getaffinity", None)
    return (os.cpu_count() or 1) if affinity is None else len(affinity(0))


class OneThread:
    """Context manager inside which the BLAS has one thread.

    It can be nested and used in several threads at once. Threads are never added to those that the
    process had at the entry.
    """

    def __init__(self):
        self.own_counts = ()  # those of the calling thread alone

    def __enter__(self):
        try:
            _pools.enter(self)
            return self
        except BaseException:
            _pools.leave(self)
            raise

    def __exit__(self, *exception):
        try:
            _pools.leave(self)
        except KeyboardInterrupt:
            _pools.leave(self)
            raise


class _Pools:
    """The BLAS libraries of the process, NumPy's and SciPy's, and the contexts that limit them.

    The first context that is entered notes the numbers of threads, and the last one that is left
    restores them. If each one did so, the second of two overlapping ones would restore one thread.
    """

    def __init__(self):
        self._shared = self._own = None
        self._forget_users()

    def _forget_users(self):
        # A signal handler or a finaliser may interrupt a thread that holds the lock and predict.
        self.lock = threading.RLock()
        self._users = set()
        self._counts = []  # (library, number of threads) to restore

    def _find(self):
        """Find the libraries; this takes about 2 ms."""
        libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        # With OpenMP each thread of Python has its own number.
        own = [each for each in libraries if getattr(each, "threading_layer", "") == "openmp"]
        self._own, self._shared = own, [each for each in libraries if each not in own]

    def have_several(self):
        with self.lock:
            if self._shared is None:
                self._find()
            return bool(_several([*self._shared, *self._own]))

    def enter(self, user):
        with self.lock:
            if self._shared is None:
                self._find()
            is_first = not self._users
            # First, so that what interrupts this thread does not take the reduced numbers for those
            # to restore.
            self._users.add(user)
            if is_first:
                self._counts = _several(self._shared)
                self._counts = _reduced(self._counts)
                if not self._counts:
                    self._users.discard(user)
        if self._own:
            user.own_counts = _several(self._own)
            user.own_counts = _reduced(user.own_counts)

    def leave(self, user):
        """Take back what `enter` has done; a second call has no effect."""
        with self.lock:
            if self._users <= {user}:
                _restore(self._counts)
                self._counts = []
            self._users.discard(user)
        _restore(user.own_counts)
        user.own_counts = ()

    def restore_in_child(self):
        """Restore the numbers after a fork: the threads that would do so do not exist."""
        counts = self._counts
        self._forget_users()
        _restore(counts)


def _several(libraries):
    """Return (library, number of threads) of the libraries with more than one thread."""
    counts = [(library, library.get_num_threads()) for library in libraries]
    # The number is None if a library does not tell it.
    return [(library, count) for library, count in counts if count is not None and count > 1]


def _reduced(counts):
    """Set the numbers of threads to one; return the pairs for which this had an effect."""
    for library, _ in counts:
        library.set_num_threads(1)
    # Since threadpoolctl 3.8 it has no effect if the user has set a limit in another thread.
    return [(library, count) for library, count in counts if library.get_num_threads() == 1]


def _restore(counts):
    for library, count in counts:
        # Any other number was set meanwhile by the user, and is kept.
        if library.get_num_threads() != 1:
            continue
        # Only the thread that has set a number may change it, until it is released.
        release = getattr(library, "clear_controlling_thread", None)
        if release is not None:
            release(force=True)
        library.set_num_threads(count)
        if release is not None:
            release()


_pools = _Pools()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=lambda: _pools.lock.acquire(),
        after_in_parent=lambda: _pools.lock.release(),
        after_in_child=_pools.restore_in_child,
    )
