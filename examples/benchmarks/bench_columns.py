"""Categories, rare values, words: what the inputs of a network make of the columns of a table.

Run it by hand; ``--quick`` is a smoke run::

    python examples/benchmarks/bench_columns.py --adult adult.data \
        --output docs/benchmarks/columns.md

small
    Hand-made tables with few or rare categories and missing values, and categories that occur only
    in prediction.
adult
    The training part of Adult (https://doi.org/10.24432/C5XW20), which is not bundled: ``--adult``
    takes the file ``adult.data``, also compressed. By default it is looked for in the folder
    ``data`` beside this script.
many
    A column of 1000 or 5000 categories.
text
    Paragraphs from the docstrings of installed packages; the package is to be told.
time
    Time of a fit of categories, and of the same columns of zeros and ones.

``--from-json`` takes the parts that are not selected by ``--parts`` from an earlier run.
"""

import json
import time
import warnings
from pathlib import Path

import columns_adult
import columns_many
import columns_small
import columns_text
import columns_time
from reporting import Report, benchmark_parser, describe_machine, progress
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

PARTS = {
    "small": columns_small,
    "adult": columns_adult,
    "many": columns_many,
    "text": columns_text,
    "time": columns_time,
}
ADULT = Path(__file__).parent / "data" / "adult.data"
# Warnings about what a hand-made table is meant to show, or about another library's parameter.
EXPECTED = [
    "Found unknown categories",
    "All categories in",
    "X was constant in training",
    "Early stopping goes by only",
    r".*TargetEncoder\.random_state",
]


def parse_arguments():
    """Read the command line."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument(
        "--adult",
        type=Path,
        default=ADULT if ADULT.exists() else None,
        help="the file adult.data of the data set Adult",
    )
    parser.add_argument("--from-json", type=Path, help="raw numbers of the other parts")
    arguments = parser.parse_args()
    if arguments.parts is None:
        arguments.parts = [] if arguments.from_json else list(PARTS)
    return arguments


def measure(arguments):
    """Return the raw numbers of each part."""
    raw = {"machine": describe_machine(blas=False), "parts": {}}
    if arguments.from_json:
        raw = json.loads(arguments.from_json.read_text(encoding="utf-8"))
    for name in arguments.parts:
        progress(name)
        start = time.perf_counter()
        figures = PARTS[name].measure(arguments)
        raw["parts"][name] = {
            "machine": describe_machine(blas=False),
            "minutes": round((time.perf_counter() - start) / 60, 2),
            "figures": figures,
        }
    return raw


def write(raw, report):
    """Write a table for each part."""
    minutes = sum(part["minutes"] for part in raw["parts"].values())
    report(*raw["machine"], f"- in one thread, {minutes:.1f} minutes in all")
    for name, module in PARTS.items():
        if name in raw["parts"]:
            part = raw["parts"][name]
            report("", f"### {module.TITLE}", "")
            if part["machine"] != raw["machine"]:
                report(*part["machine"])
            module.write(part["figures"], report)


def main():
    """Measure and write."""
    arguments = parse_arguments()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", category=ConvergenceWarning)
        for message in EXPECTED:
            warnings.filterwarnings("ignore", message=message)
        raw = measure(arguments)
    report = Report(arguments.output)
    write(raw, report)
    if arguments.quick:
        report("", "A smoke run on little data: the figures mean nothing.")
    report.write(raw)


if __name__ == "__main__":
    main()
