"""The floors of the package, read from its imports with `ast`.

A module imports only from strictly lower floors, or from its own folder, without cycles.
Dotted names are relative to the package: ``network.layers``; the package itself is ``""``.
"""

import ast
import graphlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "skregnet"

# The longest matching prefix counts; half a floor orders the modules of one folder.
FLOORS = {
    "_version": 0,
    "_warnings": 0,
    "kernels": 0,
    "_sklearn_compat": 0,
    "functions": 1,
    "functions.losses": 1.5,
    "data": 1,
    "network.layers": 2,
    "network": 2.5,
    "optim": 2,
    "preprocessing": 3,
    "targets": 4,
    "training": 4,
    "uncertainty": 4,
    "model": 5,
    "fitting": 6,
    "interop": 7,
    "estimators": 8,
    "inspection.layers": 9,
    "inspection.displays": 9.3,
    "inspection": 9.5,
}
# Read by type checkers only, never imported.
TYPES = "_typing"
# Allowed by the order of the floors, but not meant: predicting does not need the machinery of
# training.
FORBIDDEN = {("network.network", "network.backprop")}

# The lowest floor at which each foreign package may be imported.
FOREIGN = {
    "numpy": 0,
    "scipy": 0,
    "sklearn": 0,
    "joblib": 6,
    "threadpoolctl": 0,
    "matplotlib": 9,
}
# The numerical half knows no scikit-learn, nor the door to it.
WITHOUT_SKLEARN = ("_warnings", "kernels", "functions", "network", "optim", "training")
# Private attributes of scikit-learn's objects, which only `_sklearn_compat` names.
SKLEARN_PRIVATE = {
    "_best_coefs",
    "_best_intercepts",
    "_callback_fit_ctx",
    "_get_doc_link",
    "_get_param_names",
    "_init_callback_context",
    "_label_binarizer",
    "_no_improvement_count",
    "_optimizer",
    "_parent_callback_ctx",
    "_skl_callbacks",
    "_skl_callbacks_to_teardown",
}
# Not needed by most users of the package, who would wait for them at its import.
ONLY_INSIDE_FUNCTIONS = {"matplotlib", "sklearn.neural_network"}

MAX_MODULE_LINES = 600
MAX_FUNCTION_LINES = 70


class Import(NamedTuple):
    """One imported thing: its absolute module, the name taken from it, and where."""

    module: str
    name: str
    line: int
    in_function: bool


class Module(NamedTuple):
    """One source file and what was read from it."""

    name: str
    is_package: bool
    tree: ast.Module
    n_lines: int  # without the docstrings of its classes

    @property
    def folder(self):
        return self.name if self.is_package else self.name.rpartition(".")[0]

    @property
    def label(self):
        return f"skregnet.{self.name}".rstrip(".")


def read_modules(root):
    """Every module under `root`, by its dotted name."""
    modules = {}
    for path in sorted(root.rglob("*.py")):
        parts = list(path.relative_to(root).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source)
        n_lines = len(source.splitlines()) - class_documentation_lines(tree)
        modules[name] = Module(name, is_package, tree, n_lines)
    return modules


def class_documentation_lines(tree):
    """Lines of the docstrings of classes.

    By scikit-learn's convention that of an estimator describes each of its parameters and
    attributes: it grows with the interface and makes no module hard to follow.
    """
    documented = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and ast.get_docstring(node) is not None
    ]
    return sum(node.body[0].end_lineno - node.body[0].lineno + 1 for node in documented)


def floor_of(name):
    """Floor of a module, or None where it stands on no floor."""
    parts = name.split(".")
    prefixes = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((FLOORS[prefix] for prefix in prefixes if prefix in FLOORS), None)


def imports_of(module):
    """All imports that run, relative ones made absolute, with their depth."""
    found = []

    def absolute(node):
        if node.level == 0:
            return node.module
        base = ["skregnet", *filter(None, module.folder.split("."))]
        base = base[: len(base) - node.level + 1]
        return ".".join([*base, node.module] if node.module else base)

    def visit(node, in_function):
        if isinstance(node, ast.Import):
            found.extend(Import(a.name, "", node.lineno, in_function) for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = absolute(node)
            found.extend(Import(source, a.name, node.lineno, in_function) for a in node.names)
        in_function |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in node.orelse if is_typing else ast.iter_child_nodes(node):
            visit(child, in_function)

    visit(module.tree, False)
    return found


def own_target(imported, modules):
    """Module of the package that an import reaches, or None for a foreign import."""
    if imported.module.partition(".")[0] != "skregnet":
        return None
    source = imported.module.removeprefix("skregnet").removeprefix(".")
    submodule = f"{source}.{imported.name}".lstrip(".")
    return submodule if imported.name and submodule in modules else source


def breaks_floors(module, target):
    """Reason why `module` may not import the package's module `target`, or None."""
    if target == "":
        return "imports the package itself, which imports everything"
    floor, target_floor = floor_of(module.name), floor_of(target)
    if target_floor is None:
        return f"imports {target}, which is on no floor"
    same_folder = module.folder != "" and f"{target}.".startswith(f"{module.folder}.")
    if target_floor > floor or (target_floor == floor and not same_folder):
        return f"is on floor {floor} and imports {target} of floor {target_floor}"
    if target == "_sklearn_compat" and is_numerical(module):
        return "imports _sklearn_compat, but knows no scikit-learn"
    for source, forbidden in FORBIDDEN:
        if f"{module.name}.".startswith(f"{source}.") and f"{target}.".startswith(f"{forbidden}."):
            return f"must not import {target}"
    return None


def is_numerical(module):
    """Whether the module belongs to the half of the package that knows no scikit-learn."""
    return module.name.partition(".")[0] in WITHOUT_SKLEARN


def breaks_foreign(module, imported):
    """Reason why `module` may not import this foreign thing, or None."""
    root = imported.module.partition(".")[0]
    if root == "threadpoolctl" and module.name != "kernels.threads":
        return "imports threadpoolctl, as only kernels.threads may"
    if root in sys.stdlib_module_names:
        return None
    what = f"{imported.module}.{imported.name}".rstrip(".")
    if root not in FOREIGN:
        return f"imports {what}, which is not a dependency"
    floor = floor_of(module.name)
    if module.name and floor < FOREIGN[root]:
        return f"is on floor {floor} and imports {what}"
    is_late = any(f"{what}.".startswith(f"{late}.") for late in ONLY_INSIDE_FUNCTIONS)
    if is_late and not imported.in_function:
        return f"imports {what} outside a function"
    if root == "sklearn" and is_numerical(module):
        return f"imports {what}, but knows no scikit-learn"
    if root == "sklearn" and module.name != "_sklearn_compat" and "._" in what:
        return f"imports {what}, which is private"
    return None


def private_attributes(module):
    """(line, name) of each private name of scikit-learn: ``sklearn. ... ._name``, or a known one.

    Known names count as an attribute of any object, and as a string, for ``getattr``.
    """
    aliases = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for a in node.names:
                aliases[a.asname or a.name.partition(".")[0]] = a.name
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            aliases.update({a.asname or a.name: f"{node.module}.{a.name}" for a in node.names})
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and node.value in SKLEARN_PRIVATE:
            yield node.lineno, node.value
        # A dunder, such as __name__, is Python's and not private.
        elif isinstance(node, ast.Attribute) and re.match("_(?!_)", node.attr):
            base = node.value
            while isinstance(base, ast.Attribute):
                base = base.value
            root = aliases.get(base.id, "") if isinstance(base, ast.Name) else ""
            if root.startswith("sklearn") or node.attr in SKLEARN_PRIVATE:
                yield node.lineno, ast.unparse(node)


def import_violations(modules):
    """Sentences, one for each import or module that breaks a rule."""
    found = []
    for module in modules.values():
        if module.name == TYPES:
            continue
        if module.name and floor_of(module.name) is None:
            found.append(f"{module.label} is on no floor")
            continue
        for imported in imports_of(module):
            target = own_target(imported, modules)
            if target is None:
                reason = breaks_foreign(module, imported)
            else:
                reason = breaks_floors(module, target) if module.name else None
            if reason:
                found.append(f"{module.label}:{imported.line} {reason}")
        if module.name != "_sklearn_compat":
            found.extend(
                f"{module.label}:{line} uses {what}, which is private"
                for line, what in private_attributes(module)
            )
    return found


def import_cycle(modules):
    """One cycle of imports as a list of module names, or an empty list."""
    graph = {
        module.name: {own_target(imported, modules) for imported in imports_of(module)} - {None}
        for module in modules.values()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def body_lines(function):
    """Lines of a function from its first statement after the docstring to its end."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return function.end_lineno - body[0].lineno + 1 if body else 0


def length_violations(modules):
    """Sentences, one for each module or function that is too long."""
    found = []
    for module in modules.values():
        if module.n_lines >= MAX_MODULE_LINES:
            found.append(f"{module.label} has {module.n_lines} lines")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                n_lines = body_lines(node)
                if n_lines >= MAX_FUNCTION_LINES:
                    found.append(f"{module.label}.{node.name} has {n_lines} lines")
    return found


# ---- the package ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def package():
    return read_modules(PACKAGE)


def test_every_floor_is_inhabited(package):
    """Guards the tests below against reading an empty or a wrong folder."""
    assert set(range(10)) <= {floor_of(name) for name in package}


def test_imports_respect_the_floors(package):
    assert import_violations(package) == []


def test_no_import_cycle(package):
    assert import_cycle(package) == []


DOCS = PACKAGE.parent / "docs"


def whole_floors():
    """Floor of each folder and top module; half a floor orders the modules of a folder."""
    floors = {}
    for name, floor in FLOORS.items():
        part = name.partition(".")[0]
        floors[part] = min(floor, floors.get(part, floor))
    return floors


def test_the_drawing_shows_the_floors():
    text = (DOCS / "_static" / "architecture.svg").read_text(encoding="utf-8")
    boxes = re.findall(r'data-module="(\w+)" data-floor="(\d+)" data-y="(\d+)"', text)
    drawn = {name: int(floor) for name, floor, _ in boxes}
    assert drawn == whole_floors()
    from_the_top = [drawn[name] for name, _, y in sorted(boxes, key=lambda box: int(box[2]))]
    assert from_the_top == sorted(from_the_top, reverse=True)


def test_the_page_shows_the_floors_and_all_modules(package):
    """In the last column of its table, names in double backticks are modules."""
    pattern = r"^   \* - (\d)\n     - ``(\w+)(?:/|\.py)``\n     - (.*(?:\n       .*)*)"
    rows = re.findall(pattern, page(), re.MULTILINE)
    assert {name: int(floor) for floor, name, _ in rows} == whole_floors()
    for _, folder, text in rows:
        modules = {name.split(".")[1] for name in package if name.startswith(f"{folder}.")}
        assert set(re.findall(r"``(\w+)``", text)) == modules, folder


def test_the_page_names_what_exists(package):
    defined = {
        node.name
        for module in package.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    _, text = page().split("Compute, then publish\n---")
    assert set(re.findall(r"``(\w+/[\w/]+\.py)``", text)) >= {"fitting/fit.py", "training/loop.py"}
    for path in re.findall(r"``((?!tests)\w+/[\w/]+\.py)``", text):
        assert (PACKAGE / path).is_file(), path
    # Methods, and functions that are called; parameters of a constructor have neither.
    for name in re.findall(r"``([A-Z]\w+(?:\.\w+)?|\w+(?=\(\)))(?:\(\))?``", text):
        assert set(name.split(".")) <= defined | CONSTANTS, name


# Names on the page that are neither functions nor classes of the package.
CONSTANTS = {"PARAMETER_CONSTRAINTS", "SCALERS", "SPARSE_SCALERS", "SeedSequence", "RandomState"}
CONSTANTS |= {"True", "False", "None"}


def page():
    return (DOCS / "architecture.rst").read_text(encoding="utf-8")


@pytest.mark.slow
def test_import_loads_nothing_that_is_needed_later_only():
    # What scikit-learn itself loads, such as pandas, is not counted.
    program = (
        "import sys, sklearn.utils, sklearn.model_selection, sklearn.preprocessing\n"
        "before = set(sys.modules)\n"
        "import skregnet\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    loaded = run.stdout.split()
    assert "skregnet.interop.to_sklearn" in loaded
    late = (*ONLY_INSIDE_FUNCTIONS, "pandas", "polars", f"skregnet.{TYPES}")
    assert [name for name in loaded if f"{name}.".startswith(tuple(f"{n}." for n in late))] == []


def test_modules_and_functions_are_short(package):
    assert length_violations(package) == []


# ---- the checker ---------------------------------------------------------------------------------

SOUND = {
    "__init__.py": "from skregnet.estimators import MLP\nfrom .network.layers import Dense\n",
    "_sklearn_compat.py": (
        "import sklearn\nfrom sklearn.utils._tags import x\nx = sklearn._config\ny = x._optimizer\n"
    ),
    "functions/__init__.py": "from skregnet.functions.activations import relu\n",
    "functions/activations.py": "import math\nimport numpy as np\nfrom scipy.special import erf\n",
    "functions/losses.py": "from .activations import relu\n",
    "network/__init__.py": "from .network import Network\n",
    "network/layers.py": "from ..functions.activations import relu\n",
    "network/network.py": "from . import layers\n",
    "network/backprop.py": "from skregnet.network.network import Network\n",
    "optim/__init__.py": "",
    "optim/sgd.py": "from skregnet.functions import losses\n",
    "training/__init__.py": "",
    "training/loop.py": "from ..network import backprop\nfrom skregnet.optim.sgd import SGD\n",
    "uncertainty.py": "from .network.network import Network\n",
    "estimators/__init__.py": "from .base import MLP\n",
    "estimators/base.py": (
        "import joblib\nfrom sklearn.base import BaseEstimator\n"
        "from skregnet._sklearn_compat import x\nfrom skregnet import uncertainty\n"
        "from ..training.loop import train\ny = BaseEstimator.__name__.lower()\n"
    ),
    "inspection/__init__.py": "",
    "inspection/display.py": (
        "from sklearn.utils import Bunch\nfrom skregnet.estimators.base import MLP\n"
        "def plot():\n    import matplotlib.pyplot as plt\n"
        "def export():\n    from sklearn.neural_network import MLPRegressor\n"
        "if TYPE_CHECKING:\n    from matplotlib.axes import Axes\n    from .._typing import X\n"
    ),
}


def write_tree(root, files):
    for name, source in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return read_modules(root)


def test_checker_accepts_a_sound_tree(tmp_path):
    modules = write_tree(tmp_path / "skregnet", SOUND)
    assert import_violations(modules) == []
    assert import_cycle(modules) == []
    assert length_violations(modules) == []


@pytest.mark.parametrize(
    ("path", "source", "message"),
    [
        ("functions/losses.py", "from skregnet.network import layers\n", "of floor 2"),
        ("functions/losses.py", "import skregnet.optim.sgd\n", "of floor 2"),
        ("functions/losses.py", "from ..optim import sgd\n", "of floor 2"),
        ("functions/losses.py", "from .. import training\n", "of floor 4"),
        ("functions/losses.py", "def f():\n    from ..optim.sgd import SGD\n", "of floor 2"),
        ("functions/losses.py", "class A:\n    import skregnet.training\n", "of floor 4"),
        ("network/__init__.py", "from ..estimators import MLP\n", "of floor 8"),
        ("network/layers.py", "from .network import Network\n", "of floor 2.5"),
        ("network/layers.py", "from . import backprop\n", "of floor 2.5"),
        ("network/network.py", "from .backprop import Backprop\n", "must not import network.back"),
        ("optim/sgd.py", "from ..network.layers import Dense\n", "of floor 2"),
        ("training/loop.py", "from ..uncertainty import sample\n", "of floor 4"),
        ("uncertainty.py", "from .training.loop import train\n", "of floor 4"),
        ("training/loop.py", "from .._sklearn_compat import x\n", "knows no scikit-learn"),
        ("_sklearn_compat.py", "from .estimators.base import MLP\n", "of floor 8"),
        ("estimators/base.py", "from ..inspection import display\n", "of floor 9"),
        ("estimators/base.py", "from skregnet import __version__\n", "imports the package itself"),
        ("estimators/base.py", "import skregnet\n", "imports the package itself"),
        ("helpers.py", "", "skregnet.helpers is on no floor"),
        ("optim/sgd.py", "from .._typing import Floats\n", "_typing, which is on no floor"),
        ("optim/sgd.py", "if TYPE_CHECKING:\n    a = 1\nelse:\n    import sklearn\n", "sklearn"),
        ("attic/old.py", "", "skregnet.attic.old is on no floor"),
        ("estimators/base.py", "from ..attic import old\n", "which is on no floor"),
        ("training/loop.py", "from sklearn.utils import shuffle\n", "knows no scikit-learn"),
        ("optim/sgd.py", "import sklearn\n", "knows no scikit-learn"),
        ("estimators/base.py", "from sklearn.utils._tags import x\n", "_tags.x, which is private"),
        ("estimators/base.py", "import sklearn._loss\n", "sklearn._loss, which is private"),
        ("estimators/base.py", "from sklearn.utils import _x\n", "_x, which is private"),
        ("inspection/display.py", "import sklearn.utils\nsklearn.utils._x()\n", "utils._x, which"),
        ("inspection/display.py", "from sklearn import utils as u\nu._x.y()\n", "uses u._x, which"),
        (
            "estimators/base.py",
            "def f(x):\n    x.y._optimizer.t\n",
            "uses x.y._optimizer, which",
        ),
        ("estimators/base.py", "x = [].f()._label_binarizer\n", "._label_binarizer, which is priv"),
        ("estimators/base.py", "getattr(x, '_skl_callbacks')\n", "uses _skl_callbacks, which is"),
        ("estimators/base.py", "def f():\n    import matplotlib\n", "floor 8 and imports matplot"),
        ("inspection/display.py", "import matplotlib.pyplot as plt\n", "outside a function"),
        ("inspection/display.py", "class A:\n    import matplotlib\n", "outside a function"),
        ("estimators/base.py", "from sklearn.neural_network import A\n", "outside a function"),
        ("estimators/base.py", "from sklearn import neural_network\n", "outside a function"),
        ("training/loop.py", "import joblib\n", "floor 4 and imports joblib"),
        ("training/loop.py", "import threadpoolctl\n", "as only kernels.threads may"),
        ("inspection/display.py", "def f():\n    import pandas\n", "not a dependency"),
        ("__init__.py", "import torch\n", "not a dependency"),
    ],
)
def test_checker_refuses_an_import(tmp_path, path, source, message):
    modules = write_tree(tmp_path / "skregnet", SOUND | {path: source})
    (violation,) = import_violations(modules)
    assert message in violation


@pytest.mark.parametrize(
    "changed",
    [
        {"functions/a.py": "from .b import x\n", "functions/b.py": "from .a import y\n"},
        {
            "functions/a.py": "from .b import x\n",
            "functions/b.py": "def f():\n    from . import a\n",
        },
        {"functions/activations.py": "from skregnet.functions import relu\n"},
        {
            "optim/sgd.py": "from .a import x\n",
            "optim/a.py": "from .b import x\n",
            "optim/b.py": "from . import sgd\n",
        },
    ],
)
def test_checker_refuses_a_cycle(tmp_path, changed):
    modules = write_tree(tmp_path / "skregnet", SOUND | changed)
    assert import_violations(modules) == []
    assert len(import_cycle(modules)) >= 3


def test_checker_refuses_a_long_module(tmp_path):
    documented = 'class A:\n    """Title.\n' + "\n" * MAX_MODULE_LINES + '    """\n'
    files = {
        "a.py": "\n" * MAX_MODULE_LINES,
        "b.py": "\n" * (MAX_MODULE_LINES - 1),
        "c.py": documented,
    }
    assert length_violations(write_tree(tmp_path, files)) == ["skregnet.a has 600 lines"]


def test_checker_refuses_a_long_function(tmp_path):
    head = 'def {}(\n    x,\n):\n    """Title.\n' + "\n" * 50 + '    """\n'
    long = head.format("long") + "    x = 1\n" * MAX_FUNCTION_LINES
    short = head.format("short") + "    x = 1\n" * (MAX_FUNCTION_LINES - 1)
    only_docstring = head.format("only_docstring")
    modules = write_tree(tmp_path, {"a.py": long + short + only_docstring})
    assert length_violations(modules) == ["skregnet.a.long has 70 lines"]
