"""Settings that must be in place before the first import of NumPy or matplotlib.

An assignment by the caller's environment wins, so that the suite can also be run with several
threads or a window.
"""

import os

# Each pytest-xdist worker would otherwise start one BLAS thread per core and they would fight.
for _variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# No test needs a display.
os.environ.setdefault("MPLBACKEND", "Agg")
