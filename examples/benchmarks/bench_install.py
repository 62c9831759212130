"""Download and disk size of each library with all dependencies.

Run it by hand; it needs a network connection. ``--quick`` is a smoke run that installs nothing::

    python examples/benchmarks/bench_install.py --output install.md

pip installs each library into a fresh, empty environment, which is deleted afterwards. The download
size is the sum of the wheels; the size on disk is the sum of all files that pip lists, including
compiled bytecode. PyTorch and TensorFlow have builds of very different size: ``--torch`` and
``--tensorflow`` select one, for example ``--torch torch==2.13.0+cpu``.
"""

import platform
import sys
import tempfile
from pathlib import Path

from comparison.environments import add_options, create, measure, pip, requirements
from reporting import Report, benchmark_parser, progress

MEGABYTE = 1e6
HEADINGS = ["library", "selected dependencies", "distributions", "download, MB", "on disk, MB"]
SHOWN = ("scikit-learn", "numpy", "scipy", "matplotlib", "pandas", "torch", "tensorflow-cpu")
SHOWN += ("tensorflow", "keras", "pytorch-lightning")


def install(needed):
    """Install into a fresh environment; return the download size and the measured environment.

    Parameters
    ----------
    needed : list of str
        Requirements.
    """
    with tempfile.TemporaryDirectory() as folder:
        wheels, environment = Path(folder) / "wheels", Path(folder) / "environment"
        pip("wheel", "--wheel-dir", wheels, *needed)
        files = sorted(wheels.glob("*.whl"))
        python = create(environment)
        pip("--python", python, "install", "--no-index", "--no-deps", *files)
        return {"download": sum(file.stat().st_size for file in files), **measure(python)}


def row(name, found):
    """Return the table cells of a library."""
    versions = {key.lower().replace("_", "-"): value for key, value in found["versions"].items()}
    others = [f"{key} {versions[key]}" for key in SHOWN if key in versions and key != name]
    download = f"{found['download'] / MEGABYTE:.0f}" if "download" in found else ""
    size = f"{found['bytes'] / MEGABYTE:.0f}"
    return [
        f"{name} {versions.get(name, '')}".strip(),
        ", ".join(others),
        str(len(versions)),
        download,
        size,
    ]


def parse_arguments():
    """Read the command line."""
    parser = benchmark_parser(__doc__)
    add_options(parser)
    libraries = list(requirements("torch", "tensorflow"))
    parser.add_argument("--only", nargs="+", choices=libraries, default=libraries)
    return parser.parse_args()


def main():
    """Print the report."""
    arguments = parse_arguments()
    report = Report(arguments.output)
    report(f"- {platform.system()} {platform.machine()}, Python {platform.python_version()}")
    report("- PyTorch and TensorFlow are CPU builds if the version says so")
    raw = {}
    needed = requirements(arguments.torch, arguments.tensorflow)
    if arguments.quick:
        report("- a smoke run: all packages installed here, needed or not")
        raw["skregnet"] = measure(sys.executable)
    for name in [] if arguments.quick else arguments.only:
        progress(name)
        raw[name] = install(needed[name])
    report.table(HEADINGS, [row(name, found) for name, found in raw.items()], n_left=2)
    report.write()


if __name__ == "__main__":
    main()
