"""What a file needs to be there after a power cut: its bytes synced, and its name synced in its directory."""

import errno
import os
from pathlib import Path

from interlock.errors import StorageError

PRIVATE = 0o600


def sync_directory(directory: Path) -> None:
    """Make creations and renames inside `directory` durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make the bytes of a file durable that somebody else has written."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def rename(source: Path, target: Path) -> None:
    """Give a synced file its final name, durably; what had the name before is gone at the same instant."""
    os.replace(source, target)
    sync_directory(target.parent)


def replace(path: Path, body: bytes) -> None:
    """Write `body` under `path` so that a crash leaves the old content or the new one, whole. Raises StorageError."""
    draft = path.with_name(path.name + ".new")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE)
        try:
            written = os.write(handle, body)
            if written != len(body):
                raise StorageError(f"{path}: {written} of {len(body)} bytes could be written; free space and try again")
            os.fsync(handle)
        finally:
            os.close(handle)
        rename(draft, path)
    except OSError as error:
        what_to_do = "; free some space on that disk" if error.errno == errno.ENOSPC else ""
        raise StorageError(f"{path} cannot be written: {error.strerror}{what_to_do}") from error
