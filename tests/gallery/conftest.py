"""What the pictures claim is tested with the functions that draw them."""

import ast
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "examples"


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.user_defaults)


@pytest.fixture(scope="session")
def example():
    """Return the imports, functions, classes and CONSTANTS of an example, without running it."""

    @cache
    def load(name):
        path = EXAMPLES / f"{name}.py"
        tree = ast.parse(path.read_text(encoding="utf-8"))
        tree.body = [node for node in tree.body if _is_definition(node)]
        names = {"__file__": str(path), "__name__": name}
        exec(compile(tree, path, "exec"), names)
        return SimpleNamespace(**names)

    return load


def _is_definition(node):
    if isinstance(node, ast.Assign):
        return all(isinstance(each, ast.Name) and each.id.isupper() for each in node.targets)
    return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
