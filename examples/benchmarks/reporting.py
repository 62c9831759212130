"""Shared code of the benchmark scripts: machine description, tables, report and options."""

import argparse
import importlib
import importlib.metadata
import json
import math
import os
import platform
import re
import statistics
import sys
import time
from pathlib import Path

from threadpoolctl import threadpool_info

# Distributions whose versions a report lists, if they are installed.
LIBRARIES = {
    "skregnet": "skregnet",
    "scikit-learn": "scikit-learn",
    "NumPy": "numpy",
    "SciPy": "scipy",
    "PyTorch": "torch",
    "JAX": "jax",
    "CatBoost": "catboost",
    "LightGBM": "lightgbm",
    "pytabkit": "pytabkit",
    "MAPIE": "mapie",
    "NGBoost": "ngboost",
}


def cpu_name():
    """Return the name of the processor if the system provides it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def library_versions():
    """Return the versions of the installed libraries, by name."""
    versions = {}
    for name, distribution in LIBRARIES.items():
        try:
            versions[name] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def in_words(n_threads):
    """Return a number of threads as text."""
    return "1 thread" if n_threads == 1 else f"{n_threads} threads"


def blas_names():
    """Return the loaded BLAS libraries, each with its kernel and number of threads."""
    importlib.import_module("scipy.linalg")  # loads SciPy's BLAS in addition to NumPy's
    names = set()
    for info in threadpool_info():
        if info["user_api"] == "blas":
            threads = in_words(info["num_threads"])
            kernel = info.get("architecture")
            detail = f"{kernel}, {threads}" if kernel else threads
            names.add(f"{info['internal_api']} {info.get('version')} ({detail})")
    return sorted(names)


def describe_machine(blas=True):
    """Return lines about the hardware and the versions, as a Markdown list.

    Parameters
    ----------
    blas : bool
        Whether to list the BLAS libraries of this process.
    """
    versions = ", ".join(f"{name} {version}" for name, version in library_versions().items())
    lines = [
        f"- {cpu_name()}, {os.cpu_count()} logical cores, {platform.system()}",
        f"- Python {platform.python_version()}, {versions}",
    ]
    if blas:
        lines.append(f"- BLAS: {', '.join(blas_names()) or 'unknown'}")
    return lines


def describe_blas(names):
    """Return lines about the BLAS of several libraries, as a Markdown list.

    Parameters
    ----------
    names : dict of str
        BLAS by library; libraries with the same BLAS share a line.
    """
    libraries = {}
    for library, blas in names.items():
        libraries.setdefault(blas, []).append(library)
    return [f"- {', '.join(names)}: {blas}" for blas, names in libraries.items()]


def spread(values, digits):
    """Return the median with the smallest and the largest value, as text."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def figures(values):
    """Return the number of decimals that gives about three significant figures of the median."""
    middle = abs(statistics.median(values))
    return max(0, 2 - math.floor(math.log10(middle))) if middle else 0


def geometric_mean(values):
    """Return the geometric mean of positive numbers."""
    return math.exp(statistics.fmean(math.log(value) for value in values))


def table_lines(headings, rows, n_left=1):
    """Return the lines of a Markdown table, aligned also as plain text.

    The first `n_left` columns are aligned left, the others right.
    """
    texts = [[str(cell) for cell in row] for row in [headings, *rows]]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    rule = ["---" if i < n_left else "---:" for i in range(len(widths))]
    widths = [max(width, len(mark)) for width, mark in zip(widths, rule, strict=True)]
    texts.insert(1, rule)
    lines = []
    for row in texts:
        cells = [
            text.ljust(width) if i < n_left else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


class Report:
    """Lines that are printed immediately and written to a file at the end.

    Parameters
    ----------
    output : Path or None
        The Markdown file. Raw numbers and pictures are saved next to it, with other suffixes.
    """

    def __init__(self, output=None):
        self.output = output
        self.lines = []
        self._gap = False

    def __call__(self, *lines):
        """Add lines. No line, or an empty line, adds an empty line before the next one, if any."""
        for line in lines or ("",):
            if not line:
                self._gap = bool(self.lines)
                continue
            if self._gap:
                self._add("")
                self._gap = False
            self._add(line)

    def _add(self, line):
        self.lines.append(line)
        print(line, flush=True)

    def table(self, headings, rows, n_left=1):
        """Add a table between empty lines."""
        self("", *table_lines(headings, rows, n_left), "")

    def write(self, raw=None):
        """Write the report, and the raw numbers as JSON next to it."""
        if self.output is None:
            return
        self.output.write_text("\n".join(self.lines) + "\n", encoding="utf-8")
        if raw is not None:
            write_raw(raw, self.output.with_suffix(".json"))


def write_raw(raw, path):
    """Write raw numbers as JSON, with each innermost list or dictionary on one line."""
    text = json.dumps(raw, indent=1)
    text = re.sub(r"([\[{])\n\s*([^\[\]{}]*?)\n\s*([\]}])", _in_a_line, text)
    path.write_text(text + "\n", encoding="utf-8")


def _in_a_line(match):
    return match[1] + re.sub(r"\n\s*", " ", match[2]) + match[3]


def measure_and_show(arguments, measure, write, draw):
    """Measure, or read raw numbers with ``--from-json``; write the report and the picture.

    Parameters
    ----------
    arguments : argparse.Namespace
        With `from_json` and `output`.
    measure : callable() -> dict
        Returns the raw numbers.
    write : callable(raw, report)
        Adds the lines of the report.
    draw : callable(raw, path)
        Draws the picture.
    """
    start = time.perf_counter()
    if arguments.from_json:
        raw = json.loads(arguments.from_json.read_text(encoding="utf-8"))
    else:
        raw = measure()
        raw["minutes"] = (time.perf_counter() - start) / 60
        progress(f"took {raw['minutes']:.1f} minutes")
    report = Report(arguments.output)
    write(raw, report)
    report.write(raw)
    if arguments.output:
        draw(raw, arguments.output.with_suffix(".png"))


def progress(text):
    """Print the current measurement to standard error."""
    print(f"{text} ...", file=sys.stderr, flush=True)


def benchmark_parser(description):
    """Return a command line parser with the options of all scripts."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument(
        "--quick",
        action="store_true",
        help="smoke run on little data with meaningless figures",
    )
    parser.add_argument("--output", type=Path, help="write the report to this file as well")
    return parser


def positive_int(text):
    """Parse an option value of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value
