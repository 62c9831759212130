"""Digests of values: equal ones for equal parameters and data, also in another process."""

import functools
import hashlib
import types
from dataclasses import fields, is_dataclass

import numpy as np
from scipy.sparse import issparse

from ..data.source import Source, row_chunks

_BLOCK_ELEMENTS = 1 << 20


def digest_of(*values):
    """Return the hexadecimal SHA-256 digest of values.

    Arrays count with their numbers, whatever their memory layout, and are read in blocks. Functions
    count with their code. Of other objects, the class and the attributes count.
    """
    writer = _Writer()
    for value in values:
        writer.add(value)
    return writer.hash.hexdigest()


class _Writer:
    """Writes a description of values, which tells different ones apart, into a hash."""

    def __init__(self):
        self.hash = hashlib.sha256()
        self._open = {}  # objects that hold the current one, by id

    def add(self, value):
        if isinstance(value, np.bool | np.number | np.str_):
            value = value.item()
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            self._text(type(value).__name__, repr(value))
        elif isinstance(value, np.dtype | type | types.BuiltinFunctionType | np.ufunc):
            self._text("name", getattr(value, "__module__", ""), _name(value))
        elif id(value) in self._open:
            self._text("again", str(self._open[id(value)]))
        else:
            self._open[id(value)] = len(self._open)
            self._add_parts(value)
            del self._open[id(value)]

    def _text(self, *texts):
        for text in texts:
            data = text.encode(errors="surrogatepass")
            self.hash.update(b"%d:" % len(data))
            self.hash.update(data)

    def _all(self, name, values):
        values = list(values)
        self._text(name, str(len(values)))
        for value in values:
            self.add(value)

    def _add_parts(self, value):
        if isinstance(value, np.ndarray):
            self._array(np.asarray(value))
        elif isinstance(value, Source):
            self._rows(value)
        elif issparse(value):
            self._all("sparse", [value.format, value.shape, *_parts_of_sparse(value)])
        elif isinstance(value, list | tuple):
            self._all(_type_name(value), value)
        elif isinstance(value, set | frozenset):
            self._all("set", sorted(map(digest_of, value)))
        elif isinstance(value, dict):
            self._all("dict", [part for item in value.items() for part in item])
        elif isinstance(value, range):
            self._text("range", repr(value))
        elif isinstance(value, np.random.RandomState):
            self._all("RandomState", [value.get_state(legacy=False)])
        elif isinstance(value, np.random.Generator):
            self._all("Generator", [value.bit_generator.state])
        elif isinstance(value, functools.partial):
            self._all("partial", [value.func, value.args, value.keywords])
        elif isinstance(value, types.MethodType):
            self._all("method", [value.__func__, value.__self__])
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, types.CodeType):
            names = value.co_names, value.co_varnames, value.co_freevars
            self._all("code", [value.co_code, value.co_consts, *names])
        else:
            self._object(value)

    def _array(self, array):
        self._text("array", array.dtype.str, str(array.shape))
        if array.dtype.hasobject:
            for value in array.ravel().tolist():
                self.add(value)
        elif array.ndim == 0:
            self.hash.update(array.tobytes())
        else:
            self._blocks(array)

    def _rows(self, source):
        self._text("array", source.dtype.str, str(source.shape))
        self._blocks(source)

    def _blocks(self, array):
        n_columns = int(np.prod(array.shape[1:], dtype=object))
        for rows in row_chunks(len(array), n_columns, _BLOCK_ELEMENTS):
            block = np.ascontiguousarray(array[rows])
            if block.dtype.kind in "biufc":
                self.hash.update(memoryview(block.reshape(-1)).cast("B"))
            else:
                self.hash.update(block.tobytes())

    def _function(self, function):
        cells = [_content(cell) for cell in function.__closure__ or ()]
        name = (function.__module__, function.__qualname__)
        defaults = (function.__defaults__, function.__kwdefaults__)
        self._all("function", [*name, function.__code__, defaults, cells])

    def _object(self, value):
        self._text("object", type(value).__module__, type(value).__qualname__)
        if hasattr(value, "get_params") and not isinstance(value, type):
            self.add(value.get_params(deep=False))
        elif is_dataclass(value):
            self.add({each.name: getattr(value, each.name) for each in fields(value)})
        elif isinstance(value, types.GeneratorType | map | zip | filter):
            pass  # it can be read only once
        else:
            try:
                self.add(value.__getstate__())
            except TypeError:  # it cannot be pickled
                self.add(getattr(value, "__dict__", None))


def _parts_of_sparse(value):
    names = ("data", "indices", "indptr", "row", "col", "offsets")
    return [getattr(value, name) for name in names if hasattr(value, name)]


def _type_name(value):
    return "list" if isinstance(value, list) else "tuple"


def _name(value):
    return getattr(value, "__qualname__", None) or str(value)


def _content(cell):
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None
