"""The docstrings of all public objects, by numpydoc's validation.

numpydoc comes with the extra `docs`; what needs no more than scikit-learn is tested in
`estimators/test_base.py`.
"""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import skregnet

validation = pytest.importorskip("numpydoc.validate")

pytestmark = pytest.mark.user_defaults

API = Path(__file__).parent.parent / "docs" / "api.rst"
# Of scikit-learn's own test the exceptions: RT02 forbids names of returned values; GL01 and GL02
# are about where the text begins.
IGNORED = {"RT02", "GL01", "GL02"}
# Extended summary, See Also, Examples: asked for from the classes that users construct.
FOR_ESTIMATORS = {"ES01", "SA01", "EX01"}
# What only the estimators deal with.
INTERNAL = (
    *("skregnet._", "skregnet.data", "skregnet.network.layers", "skregnet.targets"),
    "skregnet.training",
)
# A method that overrides another has the parameters and returns what that one says.
INHERITED = {"GL08", "PR01", "RT01"}


def listed_objects():
    """Dotted names of what the page of the interface lists."""
    names, module = [], None
    for line in API.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"\.\. (?:currentmodule|automodule|module):: (\S+)", line):
            module = match[1]
        elif match := re.fullmatch(r"   ([A-Za-z]\w*)", line):
            names.append(f"{module}.{match[1]}")
    return names


def resolve(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def public_members(cls):
    """Names of the methods and properties that the package itself defines."""
    return [
        name
        for name, member in inspect.getmembers(cls)
        if not name.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, property))
        and defining_class(cls, name).__module__.partition(".")[0] == skregnet.__name__
    ]


def defining_class(cls, name):
    return next(base for base in cls.__mro__ if name in vars(base))


def overrides(cls, name):
    bases = defining_class(cls, name).__mro__[1:]
    return any(name in vars(base) and vars(base)[name].__doc__ for base in bases)


OBJECTS = listed_objects()
MEMBERS = [
    (name, member)
    for name in OBJECTS
    if inspect.isclass(resolve(name))
    for member in public_members(resolve(name))
]


def problems(name, ignored):
    errors = validation.validate(name)["errors"]
    return [f"{code}: {text}" for code, text in errors if code not in IGNORED | ignored]


@pytest.mark.parametrize("name", OBJECTS)
def test_objects(name):
    ignored = set() if name.rpartition(".")[2] in skregnet.__all__ else FOR_ESTIMATORS
    assert problems(name, ignored) == []


@pytest.mark.parametrize(("name", "member"), MEMBERS, ids=[".".join(pair) for pair in MEMBERS])
def test_members(name, member):
    ignored = set(FOR_ESTIMATORS)
    if overrides(resolve(name), member):
        ignored |= INHERITED
    assert problems(f"{name}.{member}", ignored) == []


def exported_objects():
    """The classes and functions in ``__all__`` of all public packages, by dotted name."""
    modules = [skregnet]
    for found in pkgutil.walk_packages(skregnet.__path__, "skregnet."):
        if not found.name.startswith(INTERNAL):
            modules.append(importlib.import_module(found.name))
    names = {
        f"{module.__name__}.{name}"
        for module in modules
        for name in vars(module).get("__all__", ())
    }
    objects = {name: resolve(name) for name in names}
    return {name: found for name, found in objects.items() if callable(found)}


def test_the_page_lists_all_exported_objects():
    exported, listed = exported_objects(), [resolve(name) for name in OBJECTS]
    assert [name for name, found in exported.items() if found not in listed] == []
    assert {"skregnet.uncertainty.mc_samples", "skregnet.optim.SGD"} < exported.keys()
    assert len(OBJECTS) > 40
    assert len(MEMBERS) > 40


class Incomplete:
    """Do something.

    Parameters
    ----------
    x : int
    """

    def __init__(self, x, y):
        self.x = x


def test_the_validation_finds_what_is_missing(monkeypatch):
    monkeypatch.setattr(skregnet, "Incomplete", Incomplete, raising=False)
    found = {problem[:4] for problem in problems("skregnet.Incomplete", set())}
    assert found == {"ES01", "PR01", "PR07", "SA01", "EX01"}
