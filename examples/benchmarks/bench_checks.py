"""The same checks on the estimators of several libraries.

``--quick`` checks only the libraries that are installed here, without the longest check::

    python examples/benchmarks/bench_checks.py --output checks.md

Each library runs in its own process and its own environment. Missing environments are created with
pip in the folder ``--environments`` and kept. ``comparison/checks.py`` has the checks, and the
other modules of that folder create the estimators.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from comparison import LIBRARIES
from comparison.environments import add_options, create, interpreter, pip, requirements
from reporting import Report, benchmark_parser, progress

WORKER = Path(__file__).with_name("comparison") / "worker.py"
SKLEARN = "scikit-learn"


def python_of(name, folder, needed):
    """Return the interpreter of the environment of a library; install the library if needed.

    Parameters
    ----------
    name : str
        Name of the library.
    folder : Path
        Folder of the environments.
    needed : dict of list of str
        Requirements by library.
    """
    library = name if name in needed else {"RealMLP": "pytabkit"}.get(name, SKLEARN)
    environment = folder / library
    if not interpreter(environment).exists():
        progress(f"installing {library}")
        python = create(environment)
        pip("--python", python, "install", *needed[library], "pandas")
    return interpreter(environment)


def ask(name, python, quick):
    """Return versions and answers of one library, or None if it is not installed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.json"
        command = [str(python), str(WORKER), name, str(path), *(["--quick"] if quick else [])]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", env={**os.environ, **threads}
        )
        if not path.exists():
            raise RuntimeError(f"the checks of {name} failed:\n{done.stderr}")
        result = json.loads(path.read_text(encoding="utf-8"))
    if "error" in result:
        progress(f"{name} is left out: {result['error']}")
        return None
    return result


def parse_arguments():
    """Read the command line."""
    parser = benchmark_parser(__doc__)
    add_options(parser)
    parser.add_argument("--environments", type=Path, default=Path(".venv-peers"))
    parser.add_argument("--only", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    return parser.parse_args()


def main():
    """Print the report."""
    arguments = parse_arguments()
    report = Report(arguments.output)
    needed = requirements(arguments.torch, arguments.tensorflow)
    answers = {}
    for name in arguments.only:
        python = sys.executable
        if not arguments.quick:
            python = python_of(name, arguments.environments.resolve(), needed)
        progress(name)
        found = ask(name, python, arguments.quick)
        if found is not None:
            answers[name] = found["answers"]
            versions = ", ".join(f"{each} {text}" for each, text in found["versions"].items())
            report(f"- {name}: {versions}")
    headings = dict.fromkeys(heading for each in answers.values() for heading in each)
    rows = [[each, *(found[each] for found in answers.values())] for each in headings]
    report.table(["", *answers], rows)
    report.write()


if __name__ == "__main__":
    main()
