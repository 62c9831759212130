"""A file that is replaced as a whole, so that no process can leave a part of it."""

import os
import secrets
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from glob import escape
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None

# Without locks, a temporary file that nobody has changed for so many seconds is taken as abandoned.
_ABANDONED_AFTER = 3600.0


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
            with self._temporary() as file:
                _write(file, [b"test"])
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
        with self._temporary() as file:
            _write(file, pieces)
            if fcntl is None:
                file.close()  # Windows renames no open file
            os.replace(file.name, self.path)
        _flush_folder(self.path.parent)

    def delete(self):
        self.path.unlink(missing_ok=True)

    def lock(self):
        """Return a `Lock` that says whether another process or thread works with the file."""
        return Lock(self.path.with_name(f".{self.path.name}.lock"))

    def error(self, error, what):
        """Return an OSError with the reason of another one, and a remedy."""
        reason = error.strerror or error
        remedy = "Give a path in a folder that exists and that can be written to."
        message = f"{self.name} cannot {what}: {reason}. {remedy}"
        return OSError(message) if error.errno is None else OSError(error.errno, message)

    @contextmanager
    def _temporary(self):
        """Give a new, open file in the same folder, which is deleted if it is still there."""
        file = self._locked_file()
        try:
            yield file
        finally:
            with suppress(OSError):
                os.unlink(file.name)
            with suppress(OSError):  # what is in its buffer may not fit on the disk
                file.close()

    def _locked_file(self):
        while True:
            name = f".{self.path.name}.{secrets.token_hex(8)}.tmp"
            file = open(self.path.with_name(name), "xb")
            if fcntl is None:
                return file
            with suppress(OSError):  # not every file system has locks
                fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:
                return file
            file.close()  # another process has deleted it before it was locked

    def _delete_abandoned(self):
        with suppress(OSError):
            for path in self.path.parent.glob(f".{escape(self.path.name)}.*.tmp"):
                with suppress(OSError):
                    _delete_if_abandoned(path)


class Lock:
    """A lock that is free again when its owner releases it, or is killed."""

    def __init__(self, path):
        self._path, self._file = path, None

    def take(self):
        """Return False if another one has the lock; True also where there are no locks."""
        if fcntl is None:
            return True
        try:
            while True:
                file = open(self._path, "ab")
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    file.close()
                    raise
                if os.fstat(file.fileno()).st_nlink:
                    self._file = file
                    return True
                file.close()  # its owner has just released it
        except BlockingIOError:
            return False
        except OSError:
            return True

    def release(self):
        if self._file is not None:
            with suppress(OSError):
                self._path.unlink()
            self._file.close()
            self._file = None


def _delete_if_abandoned(path):
    """Delete a temporary file that no living process has open."""
    if fcntl is None:
        if time.time() - path.stat().st_mtime > _ABANDONED_AFTER:
            path.unlink()
        return
    with open(path, "rb") as file:
        # Raises OSError if a writer holds the lock; the lock of a killed one is free.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()


def _write(file, pieces):
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
