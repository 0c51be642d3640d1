"""The journal in one SQLite file: a batch is one transaction, and is on the disk when `commit` returns.

Batches, the tape rows that precede them and a snapshot go in together, so that none is ever there without the others.
The head stands in a row of its own, moved by every commit: a batch missing at the end is noticed, a second writer too.
"""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from interlock.errors import JournalDamaged, StorageError
from interlock.model.tape import ROW_SIZE
from interlock.ports import Batch, StoredSnapshot
from interlock.storage.chain import Kept, KeptBatch
from interlock.storage.memory import SNAPSHOTS_KEPT, check_follows
from interlock.storage.sqlite import connection as doors
from interlock.storage.sqlite.wal import torn_bytes

_AT_ONCE: Final = 64                   # batches read in one go: a long read would keep the log from being folded in
_BATCHES: Final = "SELECT * FROM batches WHERE first_seq >= ? ORDER BY first_seq LIMIT ?"
_PIECES: Final = "SELECT * FROM tape WHERE first_row >= ? ORDER BY first_row LIMIT ?"


class SqliteStore(Kept):
    """`ports.Store` on SQLite. One writer thread; any other thread may read through it, between two commits.

    `durability` is "full" (synced before `commit` returns) or "none" (a replay's scratch file). `create` off refuses a
    path without a journal. Raises StorageError, and JournalDamaged for what is not whole.
    """

    def __init__(self, path: Path | str, *, read_only: bool = False, durability: str = "full", create: bool = True,
                 connect: doors.Connect = doors.connect) -> None:
        self.path = Path(path)
        self._connect = connect
        self._lock = threading.Lock()
        self._failure = "it was opened for reading" if read_only else ""
        self._read_only = read_only
        self._check_files(may_create=create and not read_only)
        if not self.path.exists():
            doors.create(self.path, connect)
        with doors.told(self.path, "looking at its log"):
            self.torn = torn_bytes(doors.beside(self.path, "-wal"))
        self._connection = (doors.open_reader(self.path, connect) if read_only
                            else doors.open_writer(self.path, durability, connect))
        if not read_only:
            try:
                self._head = self._read_head()
            except StorageError:
                self._connection.close()
                raise

    def _check_files(self, *, may_create: bool) -> None:
        draft = doors.beside(self.path, ".repairing")
        if draft.exists() and not self._read_only:
            raise StorageError(f"{draft} is there: a repair was interrupted; finish it with `interlock journal repair`")
        if self.path.exists():
            if not self.path.stat().st_size:
                raise JournalDamaged(f"{self.path} is empty, which a journal never is; put back a copy, or move it away"
                                     " to begin anew")
            return
        if doors.beside(self.path, "-wal").exists():
            raise JournalDamaged(f"{self.path} is missing and its log {self.path.name}-wal is there; put the file back")
        if not may_create:
            raise StorageError(f"{self.path}: expected a journal, found none")

    def commit(self, batch: Batch) -> None:
        """All or nothing, durable on return. Raises StorageError; afterwards whether it stands is not known, ask
        `resolve`. A store that failed once takes nothing more."""
        self._refuse_if_unfit()
        with self._lock:
            check_follows(batch, self._head)
            last_row = batch.first_row + len(batch.tape) // ROW_SIZE
            try:
                with doors.told(self.path, "commit"):
                    self._write(batch, last_row)
            except StorageError as error:
                self._failure = f"an earlier commit failed ({error})"
                raise
            self._head = (batch.last_seq, batch.head_hash, last_row)

    def _refuse_if_unfit(self) -> None:
        if self._failure:
            raise StorageError(f"{self.path}: nothing can be committed, {self._failure}; open the journal again")

    def _write(self, batch: Batch, last_row: int) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        if batch.records:
            execute("INSERT INTO batches VALUES (?, ?, ?, ?, ?)",
                    (batch.first_seq, batch.last_seq, batch.prev_hash, batch.head_hash, batch.records))
        if batch.tape:
            execute("INSERT INTO tape VALUES (?, ?)", (batch.first_row, batch.tape))
        if batch.snapshot is not None:
            snapshot = StoredSnapshot(batch.last_seq, batch.head_hash, last_row, batch.snapshot)
            execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?, ?)",
                    (snapshot.seq, snapshot.head_hash, last_row, snapshot.body, _digest(snapshot)))
            execute("DELETE FROM snapshots WHERE seq NOT IN (SELECT seq FROM snapshots ORDER BY seq DESC LIMIT ?)",
                    (SNAPSHOTS_KEPT,))
        self._move_head((batch.last_seq, batch.head_hash, last_row))
        execute("COMMIT")

    def _move_head(self, head: tuple[int, bytes, int]) -> None:
        execute = self._connection.execute
        execute("UPDATE head SET seq = ?, hash = ?, rows = ? WHERE seq = ? AND hash = ? AND rows = ?",
                head + self._head)
        if execute("SELECT changes()").fetchone()[0] != 1:
            execute("ROLLBACK")
            raise StorageError(f"{self.path}: expected its head at entry {self._head[0]}; another writer has moved it")

    def resolve(self, batch: Batch) -> bool:
        """After a failed commit: whether the batch stands, as a restart will find it. Ends the use of this store."""
        self.close()
        with doors.told(self.path, "reading back"):
            connection = doors.open_reader(self.path, self._connect)
            try:
                execute = connection.execute
                records = execute("SELECT records FROM batches WHERE first_seq = ?", (batch.first_seq,)).fetchone()
                tape = execute("SELECT rows FROM tape WHERE first_row = ?", (batch.first_row,)).fetchone()
                body = execute("SELECT body FROM snapshots WHERE seq = ?", (batch.last_seq,)).fetchone()
            finally:
                connection.close()
        return ((not batch.records or records == (batch.records,)) and (not batch.tape or tape == (batch.tape,))
                and (batch.snapshot is None or body == (batch.snapshot,)))

    def head(self) -> tuple[int, bytes, int]:
        """seq and hash of the last entry (0 and zeros if none), and the number of tape rows."""
        if self._read_only:
            return self._read_head()
        return self._head

    def _read_head(self) -> tuple[int, bytes, int]:
        found = self._fetch("SELECT seq, hash, rows FROM head", ())
        match found:
            case [(int() as seq, bytes() as head_hash, int() as rows)]:
                return seq, head_hash, rows
        raise JournalDamaged(f"{self.path}: expected its head, found {found!r}. {doors.WHAT_TO_DO}")

    def kept(self, from_seq: int = 1) -> Iterator[KeptBatch]:
        """As `Kept.kept`."""
        found = self._fetch("SELECT max(first_seq) FROM batches WHERE first_seq <= ?", (from_seq,))
        at = found[0][0] or 0
        while found := self._fetch(_BATCHES, (at, _AT_ONCE)):
            for row in found:
                match row:
                    case (int() as first, int() as last, bytes() as prev_hash, bytes() as head_hash, bytes() as body):
                        if last >= from_seq:
                            yield KeptBatch(first, last, prev_hash, head_hash, body)
                    case _:
                        raise JournalDamaged(f"{self.path}: the batch from entry {row[0]} on is none of ours")
            at = found[-1][0] + 1

    def rows(self, from_row: int = 0) -> Iterator[tuple[int, bytes]]:
        """As `Kept.rows`."""
        found = self._fetch("SELECT max(first_row) FROM tape WHERE first_row <= ?", (from_row,))
        at = found[0][0] or 0
        while found := self._fetch(_PIECES, (at, _AT_ONCE)):
            for first, rows in found:
                if not isinstance(rows, bytes):
                    raise JournalDamaged(f"{self.path}: the tape from row {first} on is none of ours")
                if first + len(rows) // ROW_SIZE > from_row:
                    yield first, rows
            at = found[-1][0] + 1

    def _fetch(self, sql: str, parameters: tuple[object, ...]) -> list[Any]:
        with self._lock, doors.told(self.path, "reading"):
            return list(self._connection.execute(sql, parameters).fetchall())

    def latest_snapshot(self) -> StoredSnapshot | None:
        """The newest one that is whole; what was passed over stands in `notes`."""
        self.notes = ()
        found = self._fetch("SELECT seq, head_hash, last_row, body, digest FROM snapshots ORDER BY seq DESC", ())
        for seq, head_hash, last_row, body, digest in found:
            snapshot = StoredSnapshot(seq, head_hash, last_row, body)
            if digest == _digest(snapshot):
                return snapshot
            self.notes += (f"the snapshot at entry {seq} is damaged and was passed over",)
        return None

    def cut_back(self, kept: KeptBatch) -> None:
        """As `Kept.cut_back`, in one transaction."""
        self._refuse_if_unfit()
        with self._lock, doors.told(self.path, "cutting back a torn tail"):
            execute = self._connection.execute
            execute("BEGIN IMMEDIATE")
            execute("DELETE FROM batches WHERE first_seq = ?", (kept.first_seq,))
            if kept.records:
                execute("INSERT INTO batches VALUES (?, ?, ?, ?, ?)",
                        (kept.first_seq, kept.last_seq, kept.prev_hash, kept.head_hash, kept.records))
            execute("DELETE FROM snapshots WHERE seq > ?", (kept.last_seq,))
            head = (kept.last_seq, kept.head_hash, self._head[2])
            self._move_head(head)
            execute("COMMIT")
            self._head = head

    def close(self) -> None:
        """Fold the log into the file and let go. Later commits are refused."""
        self._failure = self._failure or "it was closed"
        with self._lock, doors.told(self.path, "closing"):
            self._connection.close()


def _digest(snapshot: StoredSnapshot) -> bytes:
    head = f"{snapshot.seq} {snapshot.last_row} ".encode()
    return hashlib.sha256(head + bytes(snapshot.head_hash) + bytes(snapshot.body)).digest()
