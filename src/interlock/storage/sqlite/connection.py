"""Opening a journal file, and what SQLite's errors mean for a desk."""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import quote

from interlock.errors import JournalDamaged, StorageError
from interlock.storage.files import PRIVATE, rename, sync_file

APPLICATION_ID: Final = 0x494C4A31      # "ILJ1"
SCHEMA: Final = 1
TABLES: Final = {
    "batches": "CREATE TABLE batches (first_seq INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL, "
               "prev_hash BLOB NOT NULL, head_hash BLOB NOT NULL, records BLOB NOT NULL)",
    "tape": "CREATE TABLE tape (first_row INTEGER PRIMARY KEY, rows BLOB NOT NULL)",
    "snapshots": "CREATE TABLE snapshots (seq INTEGER PRIMARY KEY, head_hash BLOB NOT NULL, last_row INTEGER NOT NULL, "
                 "body BLOB NOT NULL, digest BLOB NOT NULL)",
    "head": "CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL, "
            "rows INTEGER NOT NULL)",
}
_SYNCHRONOUS: Final = {"full": ("FULL", 2), "none": ("OFF", 0)}
_WAIT_S: Final = 5.0
WHAT_TO_DO: Final = ("Look with `interlock journal verify`; `interlock journal repair` copies what is readable and "
                     "keeps the damaged file")


class Cursor(Protocol):
    """What the store uses of a cursor."""

    def fetchone(self) -> Any: ...
    def fetchall(self) -> Any: ...


class Connection(Protocol):
    """What the store uses of a connection, so that tests may put another engine's file layer underneath."""

    def execute(self, sql: str, parameters: tuple[object, ...] = (), /) -> Cursor: ...
    def close(self) -> None: ...


Connect: TypeAlias = Callable[[Path, str], Connection]
"""Opens a path in a mode of SQLite's URIs: ro, rw, rwc, or immutable."""


def connect(path: Path, mode: str) -> Connection:
    """The standard library's connection, usable from any one thread at a time."""
    options = "mode=ro&immutable=1" if mode == "immutable" else f"mode={mode}"
    return sqlite3.connect(f"file:{quote(str(path))}?{options}", uri=True, timeout=_WAIT_S, isolation_level=None,
                           check_same_thread=False)


@contextmanager
def told(path: Path, doing: str) -> Iterator[None]:
    """Turn SQLite's errors into ours; the message says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise _ours(path, doing, error) from error
    except UnicodeDecodeError as error:
        raise JournalDamaged(f"{path}: {doing} failed: {error}. {WHAT_TO_DO}") from error
    except OSError as error:
        raise StorageError(f"{path}: {doing} failed: {error.strerror}") from error


def _ours(path: Path, doing: str, error: sqlite3.Error) -> StorageError:
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    what = f"{path}: {doing} failed: {error}"
    match primary:
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return JournalDamaged(f"{what}. {WHAT_TO_DO}")
        case sqlite3.SQLITE_FULL:
            return StorageError(f"{what}. Free space on the disk of {path.parent}, then start again")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StorageError(f"{what}. Another program held the file for {_WAIT_S:.0f} s; end it, then start again")
        case sqlite3.SQLITE_IOERR:
            name = getattr(error, "sqlite_errorname", "SQLITE_IOERR")
            return StorageError(f"{what} ({name}). Look at the disk (dmesg, smartctl) before you start again")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN:
            return StorageError(f"{what}. {_why_not_opened(path)}")
    return StorageError(what)


def _why_not_opened(path: Path) -> str:
    if beside(path, "-wal").exists() and not beside(path, "-shm").exists():
        return (f"Its log {path.name}-wal is there without {path.name}-shm, and none can be made in this directory: "
                f"copy {path.name} and {path.name}-wal to a directory that can be written, and look there")
    return f"Look at the owner and the rights of {path} and its directory"


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def create(path: Path, connect: Connect) -> None:
    """A new, empty journal under its name, durably. It is made whole under another name first, so that an empty or
    half-made file under the journal's own name is always damage and never a beginning."""
    draft = beside(path, ".new")
    with told(path, "creating the journal"):
        for leftover in (draft, beside(draft, "-wal"), beside(draft, "-journal"), beside(draft, "-shm")):
            leftover.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE))
        connection = connect(draft, "rw")
        try:
            for sql in (f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {SCHEMA}",
                        "PRAGMA journal_mode = WAL", "BEGIN IMMEDIATE", *TABLES.values(),
                        "INSERT INTO head VALUES (1, 0, zeroblob(32), 0)", "COMMIT"):
                connection.execute(sql).fetchall()
        finally:
            connection.close()
        sync_file(draft)               # whatever this build of SQLite does by default
        rename(draft, path)


def open_writer(path: Path, durability: str, connect: Connect) -> Connection:
    """A connection that commits as asked, or none: what SQLite was told is read back."""
    name, number = _SYNCHRONOUS[durability]
    with told(path, "opening the journal"):
        connection = connect(path, "rw")
        try:
            found = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            if found != "wal":
                raise StorageError(f"{path}: expected journal_mode wal, found {found}; a network file system cannot "
                                   "hold a journal")
            for sql in (f"PRAGMA synchronous = {name}", "PRAGMA fullfsync = ON", "PRAGMA checkpoint_fullfsync = ON",
                        "PRAGMA secure_delete = OFF", "PRAGMA trusted_schema = OFF", "PRAGMA cell_size_check = ON",
                        f"PRAGMA journal_size_limit = {64 << 20}"):
                connection.execute(sql).fetchall()
            found = connection.execute("PRAGMA synchronous").fetchone()[0]
            if found != number:
                raise StorageError(f"{path}: expected synchronous {number} ({name}), SQLite says {found}")
            check_schema(path, connection)
            _begin_log_anew(path, connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _begin_log_anew(path: Path, connection: Connection) -> None:
    """Copy what the last process left in the log into the file, by fresh writes that are synced, before anything is added.

    After a sync that failed, the log's pages may stand in the page cache alone, where they look whole: what was appended
    behind them would be lost with them in a power cut.
    """
    is_busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    if is_busy:
        raise StorageError(f"{path}: another program reads the journal and keeps its log from being closed; end it, then start "
                           "again")


def open_reader(path: Path, connect: Connect) -> Connection:
    """A read-only connection, beside a running writer too. A file without a log in a directory that cannot be written
    (a backup, a read-only disk) is read as it stands."""
    log = beside(path, "-wal")
    has_log = log.exists() and log.stat().st_size > 0
    may_write = os.access(path.parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
    mode = "ro" if has_log or may_write else "immutable"
    with told(path, "opening the journal for reading"):
        connection = connect(path, mode)
        try:
            connection.execute("PRAGMA trusted_schema = OFF").fetchall()
            check_schema(path, connection)
        except BaseException:
            connection.close()
            raise
        return connection


def check_schema(path: Path, connection: Connection) -> None:
    """Raises StorageError for another program's file or another schema, JournalDamaged for tables that are not ours."""
    found = connection.execute("PRAGMA application_id").fetchone()[0]
    if found != APPLICATION_ID:
        raise StorageError(f"{path}: expected the application id {APPLICATION_ID:#x} of a journal, found {found:#x}")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA:
        raise StorageError(f"{path}: expected schema {SCHEMA}, found {version}; use the build that wrote it")
    listed: Iterable[tuple[str, str]] = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
    tables = dict(listed)
    if tables != TABLES:
        raise JournalDamaged(f"{path}: expected the tables {', '.join(TABLES)} as they were made, "
                             f"found {', '.join(tables) or 'none'}")
