"""What each library downloads and puts on the disk, with all that it depends on.

Run it by hand; it needs a connection. ``--quick`` only shows that it works and installs nothing::

    python examples/benchmarks/bench_install.py --output install.md

Each library is installed by pip into a fresh, empty environment that is deleted afterwards. The
download is the sum of the wheels; the size on disk is the sum of all files that pip lists, those of
the compiled bytecode included. PyTorch and TensorFlow come in builds of very different size:
``--torch`` and ``--tensorflow`` say which, such as ``--torch torch==2.13.0+cpu``.
"""

import platform
import sys
import tempfile
from pathlib import Path

from comparison.environments import add_options, create, measure, pip, requirements
from reporting import Report, benchmark_parser, progress

MEGABYTE = 1e6
HEADINGS = ["library", "with, among others", "distributions", "download, MB", "on disk, MB"]
SHOWN = ("scikit-learn", "numpy", "scipy", "matplotlib", "pandas", "torch", "tensorflow-cpu")
SHOWN += ("tensorflow", "keras", "pytorch-lightning")


def install(needed):
    """Install into a fresh environment; return what was downloaded and what is there then.

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
    """Return the cells of a library."""
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
    report("- PyTorch and TensorFlow without support of a GPU, where the version says so")
    raw = {}
    needed = requirements(arguments.torch, arguments.tensorflow)
    if arguments.quick:
        report("- a smoke run: everything that is installed here, whether it is needed or not")
        raw["skregnet"] = measure(sys.executable)
    for name in [] if arguments.quick else arguments.only:
        progress(name)
        raw[name] = install(needed[name])
    report.table(HEADINGS, [row(name, found) for name, found in raw.items()], n_left=2)
    report.write()


if __name__ == "__main__":
    main()
