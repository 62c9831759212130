"""Fresh virtual environments, one for each library."""

import json
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

# Sums over all distributions of the environment that runs it; the files are those that pip lists.
MEASURE = """
import importlib.metadata, json
distributions = list(importlib.metadata.distributions())
files = {file.locate().resolve() for each in distributions for file in each.files or ()}
size = sum(file.stat().st_size for file in files if file.is_file())
versions = {each.metadata["Name"]: each.version for each in distributions}
print(json.dumps({"bytes": size, "versions": versions}))
"""


def requirements(torch, tensorflow):
    """What pip is asked for, by library.

    Parameters
    ----------
    torch, tensorflow : str
        Requirements of PyTorch and TensorFlow, which come in several builds.
    """
    return {
        "skregnet": [str(ROOT)],
        "scikit-learn": ["scikit-learn"],
        "skorch": ["skorch", torch],
        "pytabkit": ["pytabkit", torch],
        "scikeras": ["scikeras", tensorflow],
    }


def add_options(parser):
    """Add the options that say which builds are installed."""
    parser.add_argument("--torch", default="torch", help="requirement of PyTorch")
    parser.add_argument("--tensorflow", default="tensorflow-cpu", help="requirement of TensorFlow")


def pip(*arguments):
    """Run pip; what it says is shown only where it fails."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(f"pip failed:\n{done.stderr}")


def create(folder):
    """Make an empty environment and return its interpreter."""
    venv.create(folder, with_pip=False, clear=True)
    return interpreter(folder)


def interpreter(folder):
    """Path of the interpreter of an environment."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def measure(python):
    """Bytes on disk and versions of all the distributions that an interpreter sees."""
    done = subprocess.run(
        [str(python), "-I", "-c", MEASURE], capture_output=True, check=True, encoding="utf-8"
    )
    return json.loads(done.stdout)
