"""Results that a script keeps in a file: records of methods, sets and splits."""

import json


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
