"""A file format for arrays and plain values: data only, versioned and with a checksum.

A file begins with a line that names the format and its version, and a line with the SHA-256 digest
of all that follows: the length of a header (eight bytes, little-endian), the header, and the bytes
of the arrays. The header is JSON. It holds the kind of the file, the version of the package that
wrote it, the dtypes and shapes of the arrays, and a tree of values that refers to them.

Reading executes no code of the file. Objects are made of the classes that the caller names, and
their attributes are set to values of the tree.
"""

import hashlib
import json
import math
import re
from dataclasses import fields, is_dataclass

import numpy as np

_FORMAT, _VERSION = b"skregnet data ", 1
_DIGEST_LINE = hashlib.sha256().digest_size * 2 + 1
_PLAIN_DTYPE = re.compile(r"[<|][biuf]\d+")
_BIT_GENERATORS = {
    cls.__name__: cls
    for cls in (
        np.random.SFC64,
        np.random.PCG64,
        np.random.PCG64DXSM,
        np.random.MT19937,
        np.random.Philox,
    )
}


class UnknownValueError(TypeError):
    """A value that the format has no place for."""


class DamagedFileError(ValueError):
    """Bytes that are no whole, unchanged file of the format."""


def pack(value, kind, version, classes=()):
    """Return a value as a list of pieces of bytes, which `unpack` reads.

    Parameters
    ----------
    value : object
        None, booleans, numbers, strings, arrays of these, generators of random numbers, and lists,
        tuples, sets, dicts and instances of `classes` that hold such values.
    kind, version : str
        What the value is, and the version of the package.
    classes : sequence of type
        Named tuples, dataclasses, and classes with the state that ``__getstate__`` returns.

    Returns
    -------
    pieces : list of bytes-like
        To be written one after the other.

    Raises
    ------
    UnknownValueError
        If the value holds anything else.
    """
    packer = _Packer(classes)
    tree = packer.tree(value)
    header = {
        "kind": kind,
        "version": version,
        "arrays": [[array.dtype.str, array.shape] for array in packer.arrays],
        "objects": packer.objects,
        "tree": tree,
    }
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    body = [len(text).to_bytes(8, "little"), text]
    body += [memoryview(array.reshape(-1)).cast("B") for array in packer.arrays if array.size]
    digest = hashlib.sha256()
    for piece in body:
        digest.update(piece)
    return [_FORMAT + b"%d\n" % _VERSION, digest.hexdigest().encode() + b"\n", *body]


def unpack(data, kind, classes=()):
    """Return the value and the version of the package that `pack` was given.

    Parameters
    ----------
    data : bytes
        A whole file.
    kind : str
        What the value must be.
    classes : sequence of type
        Those of the objects in it.

    Returns
    -------
    value, version : object, str
        Arrays are writeable copies.

    Raises
    ------
    DamagedFileError
        If it is no file of this format and kind, or if any of its bytes has changed.
    """
    first, _, rest = data.partition(b"\n")
    number = first.removeprefix(_FORMAT)
    if not first.startswith(_FORMAT) or not number.isdigit():
        raise DamagedFileError("it is no file of skregnet")
    if number != b"%d" % _VERSION:
        raise DamagedFileError(
            f"it has version {int(number)} of the format, and this version of skregnet reads only "
            f"{_VERSION}"
        )
    body = memoryview(rest)[_DIGEST_LINE:]
    if rest[:_DIGEST_LINE] != hashlib.sha256(body).hexdigest().encode() + b"\n":
        raise DamagedFileError("it is incomplete or was changed: its checksum is wrong")
    try:
        end = 8 + int.from_bytes(body[:8], "little")
        header = json.loads(bytes(body[8:end]))
        if header["kind"] != kind:
            raise DamagedFileError(f"it holds a {header['kind']}, not a {kind}")
        arrays = _arrays(header["arrays"], body[end:])
        unpacker = _Unpacker(arrays, classes)
        for description in header["objects"]:
            unpacker.add_object(*description)
        return unpacker.value(header["tree"]), header["version"]
    except DamagedFileError:
        raise
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise DamagedFileError(f"its content is not that of a {kind} ({error!r})") from error


def _arrays(descriptions, data):
    arrays, start = [], 0
    for dtype, shape in descriptions:
        if not _PLAIN_DTYPE.fullmatch(dtype):
            raise DamagedFileError(f"it has an array of type {dtype!r}")
        dtype, size = np.dtype(dtype), math.prod(shape)
        stop = start + size * dtype.itemsize
        values = np.frombuffer(data[start:stop], dtype, size) if size else np.empty(0, dtype)
        arrays.append(values.reshape(shape).astype(dtype.newbyteorder("=")))
        start = stop
    if start != len(data):
        raise DamagedFileError("it has more bytes than its arrays")
    return arrays


def _is_numeric(value):
    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"


class _Packer:
    """Turns values into trees of JSON; objects and arrays that occur twice are kept once."""

    def __init__(self, classes):
        self._classes = {cls: cls.__qualname__ for cls in classes}
        self.arrays, self.objects = [], []
        self._places, self._alive = {}, []  # by id, and what keeps the ids valid

    def tree(self, value):
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if type(value) in self._classes:
            return {"object": self._place(value, self._object)}
        if isinstance(value, np.generic) and value.dtype.kind in "biuf":
            return {"scalar": self._array(np.asarray(value))}
        make = self._MAKERS.get(type(value))
        if make is None:
            raise UnknownValueError(
                f"a {type(value).__module__}.{type(value).__qualname__} cannot be written: it is "
                "neither an array nor a plain value"
            )
        return make(self, value)

    def _place(self, value, add):
        if id(value) not in self._places:
            place = add(value)
            self._places[id(value)] = place
            self._alive.append(value)
        return self._places[id(value)]

    def _object(self, value):
        state = {name: self.tree(each) for name, each in _state_of(value).items()}
        self.objects.append([self._classes[type(value)], state])
        return len(self.objects) - 1

    def _array(self, value):
        value = np.asarray(value, value.dtype.newbyteorder("<"), order="C")
        self.arrays.append(value)
        return len(self.arrays) - 1

    def _array_or_objects(self, value):
        if _is_numeric(value):
            return {"array": self._place(value, self._array)}
        if value.dtype != object or value.ndim != 1:
            raise UnknownValueError(f"an array of type {value.dtype} cannot be written")
        return {"objects": self._trees(value)}

    def _list(self, value):
        # The curves of a run have an array for each epoch.
        if len(value) > 1 and all(map(_is_numeric, value)):
            if len({(array.dtype, array.shape) for array in value}) == 1:
                return {"rows": self._array(np.stack(value))}
        return self._trees(value)

    def _trees(self, values):
        return [self.tree(each) for each in values]

    def _dict(self, value):
        if not all(type(name) is str for name in value):
            raise UnknownValueError("a dict with keys that are no strings cannot be written")
        return {"dict": {name: self.tree(each) for name, each in value.items()}}

    def _generator(self, value):
        bits = value.bit_generator
        seed, name = bits.seed_seq, type(bits).__name__
        if _BIT_GENERATORS.get(name) is not type(bits) or type(seed) is not np.random.SeedSequence:
            raise UnknownValueError(f"a generator with the bit generator {name} cannot be written")
        parts = (bits.state, seed.entropy, seed.spawn_key, seed.pool_size, seed.n_children_spawned)
        return {"generator": [name, *map(self.tree, parts)]}

    _MAKERS = {
        np.ndarray: _array_or_objects,
        list: _list,
        tuple: lambda self, value: {"tuple": self._trees(value)},
        set: lambda self, value: {"set": self._trees(sorted(value))},
        frozenset: lambda self, value: {"frozenset": self._trees(sorted(value))},
        dict: _dict,
        np.random.Generator: _generator,
    }


class _Unpacker:
    """Turns trees of JSON back into values."""

    def __init__(self, arrays, classes):
        self._arrays, self._objects = arrays, []
        self._classes = {cls.__qualname__: cls for cls in classes}

    def add_object(self, name, state):
        state = {key: self.value(each) for key, each in state.items()}
        self._objects.append(_object_of(self._classes[name], state))

    def value(self, tree):
        if isinstance(tree, list):
            return self._values(tree)
        if not isinstance(tree, dict):
            return tree
        ((kind, content),) = tree.items()
        return self._MAKERS[kind](self, content)

    def _values(self, trees):
        return [self.value(each) for each in trees]

    def _object_array(self, trees):
        values = np.empty(len(trees), object)
        values[:] = self._values(trees)
        return values

    def _generator(self, parts):
        name, *parts = parts
        state, entropy, spawn_key, pool_size, n_children = self._values(parts)
        seed = np.random.SeedSequence(
            entropy, spawn_key=spawn_key, pool_size=pool_size, n_children_spawned=n_children
        )
        bits = _BIT_GENERATORS[name](seed)
        bits.state = state
        return np.random.Generator(bits)

    _MAKERS = {
        "float": lambda self, text: float(text),
        "array": lambda self, place: self._arrays[place],
        "rows": lambda self, place: list(self._arrays[place]),
        "scalar": lambda self, place: self._arrays[place][()],
        "object": lambda self, place: self._objects[place],
        "objects": _object_array,
        "tuple": lambda self, trees: tuple(self._values(trees)),
        "set": lambda self, trees: set(self._values(trees)),
        "frozenset": lambda self, trees: frozenset(self._values(trees)),
        "dict": lambda self, content: {name: self.value(each) for name, each in content.items()},
        "generator": _generator,
    }


def _state_of(value):
    """Return the attributes of an object by name."""
    if isinstance(value, tuple):
        return value._asdict()
    if is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return value.__getstate__()


def _object_of(cls, state):
    if issubclass(cls, tuple):
        return cls(**state)
    if is_dataclass(cls) and state.keys() != {each.name for each in fields(cls)}:
        raise DamagedFileError(f"it has another {cls.__name__} than this version of skregnet")
    made = object.__new__(cls)
    restore = getattr(made, "__setstate__", None)
    if restore is not None:
        restore(state)
    else:
        for name, value in state.items():
            object.__setattr__(made, name, value)
    return made
