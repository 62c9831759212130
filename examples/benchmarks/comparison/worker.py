"""Checks one library in a process of its own: ``python worker.py NAME FILE [--quick]``."""

import importlib.metadata
import json
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from comparison import load


def main(name, path, *options):
    """Write versions and answers as JSON; what a library prints does not matter."""
    try:
        library, versions = load(name)
        from comparison.checks import run
    except (importlib.metadata.PackageNotFoundError, ImportError) as error:
        result = {"error": f"{type(error).__name__}: {error}"}
    else:
        versions |= {each: importlib.metadata.version(each) for each in ("scikit-learn", "numpy")}
        answers = run(library, quick="--quick" in options)
        result = {"versions": versions | {"Python": platform.python_version()}, "answers": answers}
    Path(path).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
