"""The comparison with other libraries: what it says of skregnet is shown somewhere."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "comparison.rst").read_text(encoding="utf-8")
SHOWN = (DOCS / "comparison_tests.rst").read_text(encoding="utf-8")
LINK = re.compile(r":(doc|ref):`[^<`]+ <([^>]+)>`")
# What skregnet does not have needs no proof; a dash is a question that does not arise.
NOTHING = re.compile(r"no\b|–$|by scikit-learn's wrapper$")


def rows(page):
    """Yield the cells of each row of the tables that compare, the headings left out."""
    for table in re.split(r"(?m)^\.\. list-table::$", page)[1:]:
        options, _, body = table.partition("\n\n")
        if ":class: comparison" not in options:
            continue
        lines = body.splitlines()
        end = next((i for i, line in enumerate(lines) if line and not line.startswith("   ")), None)
        text = "\n".join(lines[:end])
        cells = [re.split(r"(?m)^     - ", row) for row in re.split(r"(?m)^   \* -[ \n]", text)[1:]]
        yield from ([cell.strip() for cell in row] for row in cells[1:])


ROWS = list(rows(PAGE))
LINKS = sorted({match.groups() for row in ROWS for match in LINK.finditer(row[1])})


def unproved(row):
    """Whether a cell of skregnet promises something without showing it."""
    return not NOTHING.match(row[1]) and not LINK.fullmatch(row[1])


def definition(path):
    """Return the node of a test ``file.py::name`` or ``file.py::Class.name``, or None."""
    file, _, name = path.partition("::")
    nodes = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    found = None
    for part in name.split("."):
        found = next((node for node in nodes if getattr(node, "name", None) == part), None)
        nodes = getattr(found, "body", [])
    return found


def test_every_row_has_all_libraries():
    assert len(ROWS) > 60
    assert {len(row) for row in ROWS} == {7}
    assert all(all(row) for row in ROWS)


def test_what_skregnet_has_is_shown():
    assert [row[0] for row in ROWS if unproved(row)] == []


def test_what_is_not_shown_is_found():
    page = PAGE.replace(":doc:`yes <user_guide/weights>`", "yes", 1)
    assert sum(map(unproved, rows(page))) == 1


@pytest.mark.parametrize(("role", "target"), LINKS)
def test_links_lead_somewhere(role, target):
    if role == "doc":
        assert (DOCS / f"{target}.rst").is_file()
    else:
        file, _, name = target.partition("::")
        assert f".. literalinclude:: ../{file}\n   :pyobject: {name}\n" in SHOWN
        assert definition(target) is not None
        assert name.rpartition(".")[2].startswith("test_")


def test_a_test_that_is_not_there_is_found():
    assert definition("tests/parity/test_comparison.py::test_nothing") is None
    assert definition("tests/parity/test_comparison.py::definition.test_nothing") is None


def test_versions_are_those_that_were_asked():
    checks = (DOCS / "benchmarks" / "checks.md").read_text(encoding="utf-8")
    versions = re.findall(r"\b(\d+\.\d+\.\d+)\b", PAGE.partition("*Own code*")[0])
    assert len(versions) >= 5
    assert all(f" {version}" in checks for version in versions)
