"""Tests and documentation are computed with one thread of the BLAS.

Several threads wait for each other where the cores are busy.
"""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info

ROOT = Path(__file__).parent.parent
VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def blas_threads():
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


@pytest.mark.skipif(
    any(os.environ[name] != "1" for name in VARIABLES), reason="the caller wants several threads"
)
def test_this_process_and_those_that_it_starts_have_one_thread():
    assert blas_threads() <= {1}
    program = f"import os; print(*(os.environ[name] for name in {VARIABLES}))"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["1"] * len(VARIABLES)


def test_the_documentation_is_built_with_one_thread(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = ROOT / "docs" / "conf.py"
    runpy.run_path(str(path))
    assert [os.environ[name] for name in VARIABLES] == ["1"] * len(VARIABLES)
    text = path.read_text(encoding="utf-8")
    assert text.index("os.environ.setdefault") < text.index("import skregnet")
