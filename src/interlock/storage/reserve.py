"""The emergency reserve: room on the disk that is ours already, so that a kill can be recorded on a full one."""

import os
from pathlib import Path
from typing import Final

from interlock.errors import StorageError
from interlock.storage.files import PRIVATE, sync_directory

SIZE: Final = 4 << 20
FILE_NAME: Final = "reserve.ballast"


class Reserve:
    """A ballast file in the state directory. Made whole at start, freed by `spend`, made whole again by `refill`.

    Raises StorageError at start when there is no room for it: a disk that full is no place to trade from.
    """

    def __init__(self, directory: Path | str, size: int = SIZE) -> None:
        self.path = Path(directory) / FILE_NAME
        self._size = size
        self.refill()

    @property
    def is_full(self) -> bool:
        """Whether the room is set aside: blocks, not only a length."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return False
        return found.st_size == self._size and found.st_blocks * 512 >= self._size

    def spend(self) -> int:
        """Free the room; how many bytes. Raises StorageError when the file system does not let us."""
        return _spend(self.path)

    def refill(self) -> None:
        """Set the room aside again. Raises StorageError naming what is missing; then what fits is given back."""
        if self.is_full:
            return
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
            try:
                self._fill(handle)
                os.fsync(handle)
            finally:
                os.close(handle)
            sync_directory(self.path.parent)
        except OSError as error:
            self.path.unlink(missing_ok=True)
            raise StorageError(f"{self.path}: expected room for a reserve of {self._size} bytes, found "
                               f"{_free(self.path.parent)}: {error.strerror}. Free space on that disk") from error

    def _fill(self, handle: int) -> None:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(handle, 0, self._size)
            return
        left = self._size - os.lseek(handle, 0, os.SEEK_END)
        while left > 0:
            left -= os.write(handle, bytes(min(left, 1 << 16)))


def spend(directory: Path | str) -> int:
    """Free the reserve of a directory from outside, without asking that it be whole: how many bytes; 0 where there is none.

    Raises StorageError when the file system does not let us.
    """
    path = Path(directory) / FILE_NAME
    return _spend(path) if path.exists() else 0


def _spend(path: Path) -> int:
    try:
        freed = path.stat().st_size
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(handle, 0)
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise StorageError(f"{path}: the reserve cannot be freed: {error.strerror}") from error
    return freed


def _free(directory: Path) -> str:
    found = os.statvfs(directory)
    return f"{found.f_bavail * found.f_frsize} bytes free"
