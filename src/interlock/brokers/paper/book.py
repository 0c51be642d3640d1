"""The venue's own book: a SQLite file of its own, written by transactions of its own, or nothing at all for a replay.

A transaction holds all that one request, one market message or one due act has changed, and is committed before any
report of it is sent. WAL with synchronous NORMAL: what was committed survives the end of the process, not of the
machine; a venue that forgets is something reconcile has to find.
"""

import os
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec
from msgspec import Struct

from interlock.brokers.paper.rows import AccountRow, ExecutionRow, OrderRow, PositionRow
from interlock.errors import StorageError

Row = AccountRow | OrderRow | ExecutionRow | PositionRow
T = TypeVar("T", AccountRow, OrderRow, ExecutionRow, PositionRow)

_TABLES: Final[dict[type[Struct], tuple[str, str]]] = {
    AccountRow: ("accounts", "name"),
    OrderRow: ("orders", "account, client_order_id"),
    ExecutionRow: ("executions", "account, execution_id"),
    PositionRow: ("positions", "account, symbol"),
}


class Book(Protocol):
    """Where the venue keeps what it must not forget."""

    def save(self, row: Row) -> None:
        """Insert or replace; stands after `commit`."""
        ...

    def commit(self) -> None: ...

    def rows(self, kind: type[T]) -> Iterator[T]:
        """All committed rows of a table, in the order of their first insertion."""
        ...

    def close(self) -> None: ...


class NoBook:
    """Remembers nothing: the venue's memory is enough for a replay."""

    def save(self, row: Row) -> None:
        pass

    def commit(self) -> None:
        pass

    def rows(self, kind: type[T]) -> Iterator[T]:  # noqa: ARG002  # the door's signature
        return iter(())

    def close(self) -> None:
        pass


class SqliteBook:
    """The file. One venue writes it; anybody may open it read-only beside it.

    Raises StorageError; once it has failed it takes nothing more, because the venue's memory is then ahead of it.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)
        self._is_open = False                      # a transaction
        self._failure: StorageError | None = None
        self._insert = {kind: _insert(kind) for kind in _TABLES}
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))    # what an account holds is its owner's business
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute("PRAGMA locking_mode=NORMAL")
            for kind, (table, key) in _TABLES.items():
                columns = ", ".join(f'"{name}"' for name in kind.__struct_fields__)
                self._db.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns}, PRIMARY KEY ({key}))")
        except (sqlite3.Error, OSError) as e:
            raise StorageError(f"paper book {self.path}: cannot be opened: {e}") from e

    def save(self, row: Row) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            if not self._is_open:
                self._db.execute("BEGIN IMMEDIATE")
                self._is_open = True
            self._db.execute(self._insert[type(row)], [_plain(value) for value in msgspec.structs.astuple(row)])
        except sqlite3.Error as e:
            self._failure = StorageError(f"paper book {self.path}: cannot be written: {e}")
            raise self._failure from e

    def commit(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._is_open:
            try:
                self._db.execute("COMMIT")
            except sqlite3.Error as e:
                self._failure = StorageError(f"paper book {self.path}: cannot be committed: {e}")
                raise self._failure from e
            self._is_open = False

    def rows(self, kind: type[T]) -> Iterator[T]:
        table, _ = _TABLES[kind]
        names = kind.__struct_fields__
        try:
            for values in self._db.execute(f"SELECT {', '.join(names)} FROM {table} ORDER BY rowid"):
                yield msgspec.convert(dict(zip(names, values, strict=True)), kind, strict=False)
        except (sqlite3.Error, msgspec.ValidationError) as e:
            raise StorageError(f"paper book {self.path}: table {table} cannot be read: {e}") from e

    def close(self) -> None:
        self._db.close()                           # what is not committed is rolled back


def _insert(kind: type[Struct]) -> str:
    """An upsert that keeps the rowid, so that reading follows the order of first insertion."""
    table, key = _TABLES[kind]
    names = kind.__struct_fields__
    keys = key.split(", ")
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
    return (f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) "
            f"ON CONFLICT ({key}) DO UPDATE SET {changes}")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)                          # with its exponent: what is read again is what was written
    if isinstance(value, Enum):
        return value.value
    return value
