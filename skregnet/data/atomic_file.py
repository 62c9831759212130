"""A file that is replaced as a whole, so that no process can leave a part of it."""

import itertools
import os
import socket
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from glob import escape
from pathlib import Path

# A temporary file that nobody has changed for so many seconds belongs to no process that writes.
_ABANDONED_AFTER = 3600.0
_numbers = itertools.count()
_own_temporary_files = set()


@dataclass(frozen=True)
class AtomicFile:
    """A file that is replaced as a whole: whenever the process ends, it is the old or the new one.

    Error messages begin with `name`, what the user has given.
    """

    path: Path
    name: str

    def check_writeable(self):
        """Raise OSError if the file cannot be written, and delete what killed writers have left."""
        self._delete_abandoned()
        try:
            if self.path.exists() and not self.path.is_file():
                raise OSError("it is no regular file")
            with self._temporary() as temporary:
                _write_new(temporary, [b"test"])
        except OSError as error:
            raise self.error(error, "be written") from error

    def read(self):
        """Return the bytes of the file, or None if there is none."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self.error(error, "be read") from error

    def write(self, pieces):
        """Replace the content by pieces of bytes."""
        with self._temporary() as temporary:
            _write_new(temporary, pieces)
            os.replace(temporary, self.path)
        _flush_folder(self.path.parent)

    def delete(self):
        self.path.unlink(missing_ok=True)

    def error(self, error, what):
        reason = error.strerror or error
        remedy = "Give a path in a folder that exists and that can be written to."
        message = f"{self.name} cannot {what}: {reason}. {remedy}"
        return OSError(message) if error.errno is None else OSError(error.errno, message)

    @contextmanager
    def _temporary(self):
        """Give the path of a new file in the same folder, which is deleted if it is still there."""
        path = self.path.with_name(f"{self._prefix}{os.getpid()}.{next(_numbers)}.tmp")
        _own_temporary_files.add(path)
        try:
            yield path
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            _own_temporary_files.discard(path)

    @property
    def _prefix(self):
        return f".{self.path.name}.{socket.gethostname()}."

    def _delete_abandoned(self):
        with suppress(OSError):
            for path in self.path.parent.glob(f".{escape(self.path.name)}.*.tmp"):
                with suppress(OSError):
                    if path not in _own_temporary_files and self._is_abandoned(path):
                        path.unlink()

    def _is_abandoned(self, path):
        if time.time() - path.stat().st_mtime > _ABANDONED_AFTER:
            return True
        pid = path.name.removeprefix(self._prefix).partition(".")[0]
        if os.name != "posix" or not path.name.startswith(self._prefix) or not pid.isdigit():
            return False
        if int(pid) == os.getpid():
            return True  # of an earlier process with the same number
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass
        return False


def _write_new(path, pieces):
    with open(path, "xb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder):
    """Make the new name of a file survive a power failure; not possible on Windows."""
    if os.name != "posix":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
