"""What the pictures claim is tested with the functions that draw them."""

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture
def example():
    """Return the imports, functions, classes and CONSTANTS of an example, without running it."""

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
