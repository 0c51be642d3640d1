"""The rescue's own journal: the same chained record, in a file of its own, on other storage where that is wanted."""

import time
from pathlib import Path
from typing import Final

from interlock.errors import StorageError
from interlock.model.entry import Payload
from interlock.model.ids import identify
from interlock.model.record import Header
from interlock.storage.journal import open_journal
from interlock.storage.reserve import spend
from interlock.storage.sqlite.store import SqliteStore

FILE_NAME: Final = "rescue.db"
SCHEMA: Final = 1


def beside(directory: Path) -> Path:
    """Where the rescue's journal stands when nobody says otherwise: a directory next to the state directory."""
    directory = directory.resolve()
    return directory.with_name(f"{directory.name}-rescue")


class RescueRecord:
    """One writer; every act is on the disk before it is made. Raises StorageError, JournalDamaged."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE_NAME
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StorageError(f"{directory} cannot be made: {error.strerror}") from error
        self._store = SqliteStore(self.path)
        opened = open_journal(self._store)
        self._journal, self._ts = opened.journal, opened.ts
        self.state_id = identify("rescue", str(self.path), time.time_ns())
        if self._journal.head[0] == 0:
            self.write(Header(self.state_id, "paper", "wall", SCHEMA))

    def write(self, *payloads: Payload, cause: int = 0) -> tuple[int, bytes]:
        """Number and hash of the first, once all of them are durable."""
        first: tuple[int, bytes] | None = None
        self._ts = max(self._ts, time.time_ns())
        for payload in payloads:
            found = self._journal.append(self._ts, payload, cause=cause)
            first = first or found
        self._store.commit(self._journal.seal())
        return first or self._journal.head

    def close(self) -> None:
        self._store.close()


def open_record(directory: Path, state: Path) -> RescueRecord:
    """The journal in `directory`. On a full disk the emergency reserve of the state directory is given for it.

    Raises StorageError, JournalDamaged.
    """
    is_new = not (directory / FILE_NAME).exists()
    try:
        return RescueRecord(directory)
    except StorageError:
        if not spend(state):
            raise
    if is_new:                         # what there was no room for is no journal
        for path in directory.glob(FILE_NAME + "*"):
            path.unlink()
    return RescueRecord(directory)
