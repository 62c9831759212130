"""Results that a script keeps in a file: records of methods, sets and splits."""

import json
from pathlib import Path

from reporting import benchmark_parser, positive_int


def parser_of_results(doc, methods):
    """Return a parser with the options of a script that continues its results."""
    parser = benchmark_parser(doc)
    parser.add_argument("--data", type=Path, help="folder of sets")
    parser.add_argument("--sets", nargs="+", help="names of sets; all by default")
    parser.add_argument(
        "--methods", nargs="+", choices=methods, metavar="METHOD", help=", ".join(methods)
    )
    parser.add_argument("--rows", type=positive_int, help="upper bound of the training rows")
    parser.add_argument("--results", type=Path, help="file (JSON) with results, to be continued")
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    parser.add_argument("--from-json", type=Path, nargs="+", default=[], help="further results")
    return parser


def parse(parser, methods, quick):
    """Read the command line; `quick` are the values of a smoke run."""
    arguments = parser.parse_args()
    if arguments.quick:
        vars(arguments).update(quick)
    if arguments.methods is None:
        arguments.methods = [] if arguments.from_json else list(methods)
    if arguments.results is None and arguments.output is not None:
        arguments.results = arguments.output.with_suffix(".json")
    return arguments


def read(arguments):
    """Return the results that are there already.

    Parameters
    ----------
    arguments : argparse.Namespace
        With `results`, the file to be continued, or None; `from_json`, paths of further files;
        `rows`, the upper bound of the training rows; and `quick`, which reads no file to be
        continued.
    """
    raw = {"machines": [], "rows": None, "sets": {}, "records": []}
    paths = list(arguments.from_json)
    if arguments.results and arguments.results.exists() and not arguments.quick:
        paths.insert(0, arguments.results)
    for path in paths:
        add(raw, json.loads(path.read_text(encoding="utf-8")), path)
    if not raw["records"]:
        raw["rows"] = arguments.rows
    if arguments.rows not in (None, raw["rows"]):
        raise ValueError(f"the results were measured with --rows {raw['rows']}")
    return raw


def add(raw, other, path):
    """Add the results of a file."""
    if not raw["records"]:
        raw["rows"] = other["rows"]
    if raw["rows"] != other["rows"]:
        raise ValueError(f"{path} was measured with --rows {other['rows']}, not {raw['rows']}")
    raw["machines"] += [lines for lines in other["machines"] if lines not in raw["machines"]]
    raw["sets"] |= other["sets"]
    put(raw, other["records"])


def put(raw, records):
    """Add records; those of the same method, set and split are replaced."""
    known = {key(record): record for record in raw["records"]}
    known |= {key(record): record for record in records}
    raw["records"] = list(known.values())


def key(record):
    """What identifies a result."""
    return record["method"], record["set"], record["split"]
