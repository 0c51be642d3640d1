"""What SQLite adds to the contract: files, rights, settings, errors, and what an error leaves behind."""

import os
import shutil
import sqlite3
import stat
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.storage.chains import a_file, a_quote, a_record, a_sealed, fill

from interlock.errors import JournalDamaged, StorageError
from interlock.storage.journal import Journal, open_journal, verify
from interlock.storage.sqlite import connection as doors
from interlock.storage.sqlite.store import SqliteStore
from interlock.storage.sqlite.wal import torn_bytes

NOBODY = 65534


@contextmanager
def unprivileged() -> Iterator[None]:
    """Rights are not asked of root; be somebody else for a moment."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that nobody else than the test's user of the moment may enter."""
    path = Path(tempfile.mkdtemp())
    yield path
    path.chmod(0o700)
    shutil.rmtree(path)


def hand_over(directory: Path, mode: int) -> None:
    for path in (directory, *directory.iterdir()):
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
    directory.chmod(mode)


def test_its_files_are_for_their_owner_alone(tmp_path: Path):
    with closing(SqliteStore(tmp_path / "journal.db")) as store:
        a_record(store, 1)

        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}

    assert modes == {"journal.db": 0o600, "journal.db-wal": 0o600, "journal.db-shm": 0o600}


def test_an_empty_file_is_damage_and_never_a_beginning(tmp_path: Path):
    path = tmp_path / "journal.db"
    path.touch()

    with pytest.raises(JournalDamaged, match="empty"):
        SqliteStore(path)

    assert path.stat().st_size == 0


def test_a_log_without_its_file_is_damage_and_is_not_thrown_away(tmp_path: Path):
    path = tmp_path / "journal.db"
    log = tmp_path / "journal.db-wal"
    log.write_bytes(b"log")

    with pytest.raises(JournalDamaged, match="missing"):
        SqliteStore(path)

    assert log.read_bytes() == b"log"


@pytest.mark.parametrize("read_only", [True, False])
def test_no_journal_is_made_where_one_is_expected(tmp_path: Path, read_only: bool):
    with pytest.raises(StorageError, match="expected a journal, found none"):
        SqliteStore(tmp_path / "journal.db", read_only=read_only, create=False)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("sql", "message"), [
    ("PRAGMA application_id = 7", "expected the application id"),
    ("PRAGMA user_version = 2", "expected schema 1, found 2"),
    ("DROP TABLE tape", "expected the tables"),
    ("ALTER TABLE batches ADD COLUMN more", "expected the tables"),
])
def test_what_is_no_journal_of_ours_is_refused(tmp_path: Path, sql: str, message: str):
    path = a_file(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql)

    for read_only in (False, True):
        with pytest.raises(StorageError, match=message):
            SqliteStore(path, read_only=read_only)


def test_a_text_file_is_no_journal(tmp_path: Path):
    path = tmp_path / "journal.db"
    path.write_text("orders, orders, orders\n" * 200)

    with pytest.raises(JournalDamaged, match="interlock journal verify"):
        SqliteStore(path)


def test_a_reader_beside_a_running_writer_sees_each_commit(tmp_path: Path):
    with closing(SqliteStore(tmp_path / "journal.db")) as store:
        journal = a_record(store, 1)
        with closing(SqliteStore(tmp_path / "journal.db", read_only=True)) as reader:
            assert reader.head()[0] == 2

            store.commit(a_sealed(journal, 3))

            assert reader.head()[0] == 5
            assert [raw.seq for raw in reader.raw()] == [1, 2, 3, 4, 5]
            assert verify(tmp_path / "journal.db").ok


def test_a_reader_cannot_write(tmp_path: Path):
    path = a_file(tmp_path)
    with closing(SqliteStore(path, read_only=True)) as reader:
        batch = a_sealed(Journal(reader))

        with pytest.raises(StorageError, match="opened for reading"):
            reader.commit(batch)


def test_a_reader_beside_a_writer_needs_no_right_to_write_the_directory(open_directory: Path):
    path = open_directory / "journal.db"
    with closing(SqliteStore(path)) as store:
        a_record(store, 2)
        hand_over(open_directory, 0o500)
        with unprivileged(), closing(SqliteStore(path, read_only=True)) as reader:
            assert [raw.seq for raw in reader.raw()] == [1, 2, 3, 4]
        open_directory.chmod(0o700)


def test_a_closed_journal_in_a_directory_that_cannot_be_written_is_read_as_it_stands(open_directory: Path):
    path = a_file(open_directory)
    hand_over(open_directory, 0o500)

    with unprivileged():
        found = verify(path)

    assert (found.ok, found.entries) == (True, 6)


def test_a_log_whose_index_is_missing_and_cannot_be_made_is_said_so(open_directory: Path):
    path = a_crashed_file(open_directory)
    hand_over(open_directory, 0o500)

    with unprivileged(), pytest.raises(StorageError, match=r"copy .* to a directory that can be written"):
        SqliteStore(path, read_only=True)


def a_crashed_file(directory: Path) -> Path:
    """A journal and its log as a killed process leaves them, four entries, without the index."""
    path = directory / "journal.db"
    with tempfile.TemporaryDirectory() as made, closing(SqliteStore(Path(made) / "journal.db")) as store:
        a_record(store, 2)
        for suffix in ("", "-wal"):
            shutil.copy(doors.beside(store.path, suffix), doors.beside(path, suffix))
    return path


def test_what_a_killed_process_left_is_read_where_the_directory_can_be_written(tmp_path: Path):
    path = a_crashed_file(tmp_path)

    found = verify(path)

    assert (found.ok, found.entries, found.cut) == (True, 4, 0)


def test_the_log_of_a_killed_process_is_copied_and_begun_anew_before_anything_is_added(tmp_path: Path):
    path = a_crashed_file(tmp_path)
    log = doors.beside(path, "-wal")
    assert log.stat().st_size > 0

    with closing(SqliteStore(path)) as store:
        assert log.stat().st_size == 0
        log.write_bytes(b"")           # nothing of what was acknowledged stands in it any more
        assert store.head()[0] == 4

    assert verify(path).entries == 4


def test_a_full_disk_says_so_and_the_batch_does_not_stand(tmp_path: Path):
    def small(path: Path, mode: str) -> doors.Connection:
        connection = doors.connect(path, mode)
        connection.execute("PRAGMA max_page_count = 12").fetchone()
        return connection

    store = SqliteStore(tmp_path / "journal.db", connect=small)
    journal = a_record(store, 1)
    before = store.head()
    batch = a_sealed(journal, 1, length=100_000)

    with pytest.raises(StorageError, match="Free space on the disk"):
        store.commit(batch)
    with pytest.raises(StorageError, match="an earlier commit failed"):
        store.commit(a_sealed(journal))

    assert store.resolve(batch) is False
    with closing(SqliteStore(tmp_path / "journal.db")) as again:
        assert again.head() == before
        again.commit(a_sealed(open_journal(again).journal))


class Failing:
    """A real connection whose COMMIT answers with an error, after or before it was done."""

    def __init__(self, path: Path, mode: str, *, is_done: bool) -> None:
        self._connection = doors.connect(path, mode)
        self._is_done = is_done
        self._commits = 0

    def execute(self, sql: str, parameters: tuple[object, ...] = ()) -> Any:
        if sql == "COMMIT":
            self._commits += 1
            if self._commits == 2:
                if self._is_done:
                    self._connection.execute(sql)
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
                error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
                raise error
        return self._connection.execute(sql, parameters)

    def close(self) -> None:
        self._connection.close()


@pytest.mark.parametrize("is_done", [True, False])
@pytest.mark.parametrize("what", ["entries", "rows", "snapshot"])
def test_an_error_of_a_commit_does_not_say_whether_it_stands_and_reading_back_does(
        tmp_path: Path, is_done: bool, what: str):
    path = tmp_path / "journal.db"
    SqliteStore(path).close()
    made = iter([True])

    def connect(at: Path, mode: str) -> Any:
        return Failing(at, mode, is_done=is_done) if next(made, False) else doors.connect(at, mode)

    store = SqliteStore(path, connect=connect)
    journal = a_record(store, 1, entries=1, rows=1)
    before = store.head()
    if what == "entries":
        fill(journal, 2)
    elif what == "rows":
        journal.tape(a_quote(1))
    batch = journal.seal(b"state" if what == "snapshot" else None)
    after = (batch.last_seq, batch.head_hash, batch.first_row + len(batch.tape) // 64)

    with pytest.raises(StorageError, match=r"SQLITE_IOERR_FSYNC.*Look at the disk"):
        store.commit(batch)

    assert store.resolve(batch) is is_done
    with closing(SqliteStore(path)) as again:
        assert again.head() == (after if is_done else before)
        assert (again.latest_snapshot() is not None) is (is_done and what == "snapshot")


@pytest.mark.process
def test_what_was_acknowledged_outlives_a_killed_process(tmp_path: Path):
    code = ("import sys\nfrom interlock.storage.journal import Journal\n"
            "from interlock.storage.sqlite.store import SqliteStore\nfrom tests.storage.chains import a_sealed\n"
            "store = SqliteStore(sys.argv[1])\njournal = Journal(store)\n"
            "while True:\n    store.commit(a_sealed(journal, 3, rows=2))\n    print(store.head()[0], flush=True)")
    path, acknowledged = tmp_path / "journal.db", 0
    for round_ in range(4):
        with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE,
                              env={**os.environ, "PYTHONPATH": os.pathsep.join(["src", "."])}) as process:
            assert process.stdout is not None
            for _ in range(10 + 7 * round_):
                acknowledged = int(process.stdout.readline())
            process.kill()
            acknowledged = max([acknowledged, *map(int, process.stdout.read().split(b"\n")[:-1])])

        found = verify(path)
        assert found.ok
        assert found.entries >= acknowledged > 0


def test_a_second_writer_is_noticed_at_its_first_commit(tmp_path: Path):
    path = tmp_path / "journal.db"
    with closing(SqliteStore(path)) as one, closing(SqliteStore(path)) as two:
        late = a_sealed(Journal(two), 1)
        one.commit(a_sealed(Journal(one), 1))

        with pytest.raises(StorageError):
            two.commit(late)

        assert verify(path).ok
        assert verify(path).entries == 1


def test_a_file_that_another_program_holds_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doors, "_WAIT_S", 0.05)
    path = tmp_path / "journal.db"
    with closing(SqliteStore(path)) as store, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StorageError, match="Another program held the file"):
            store.commit(a_sealed(Journal(store)))


def test_only_the_last_two_snapshots_are_kept(tmp_path: Path):
    with closing(SqliteStore(tmp_path / "journal.db", durability="none")) as store:
        journal = Journal(store)
        for number in range(5):
            store.commit(a_sealed(journal, 1, snapshot=f"state {number}".encode()))

        found = store._fetch("SELECT body FROM snapshots ORDER BY seq", ())

    assert found == [(b"state 3",), (b"state 4",)]


def test_it_may_be_read_from_other_threads_while_it_is_written(tmp_path: Path):
    with closing(SqliteStore(tmp_path / "journal.db", durability="none")) as store:
        journal = a_record(store, 1)
        heads: list[int] = []
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                heads.append(sum(1 for _ in store.raw()))

        reader = threading.Thread(target=read)
        reader.start()
        for _ in range(200):
            store.commit(a_sealed(journal, 2))
        done.set()
        reader.join()

    assert heads == sorted(heads)
    assert all(head % 2 == 0 for head in heads), "whole batches are seen, or nothing of them"


def test_bytes_behind_the_last_commit_are_counted_before_sqlite_drops_them(tmp_path: Path):
    path = a_crashed_file(tmp_path)
    log = doors.beside(path, "-wal")
    body = log.read_bytes()
    page_size = struct.unpack_from(">I", body, 8)[0]
    frame = page_size + 24
    assert (len(body) - 32) % frame == 0
    last = len(body) - frame
    commits = [at for at in range(32, len(body), frame) if struct.unpack_from(">I", body, at + 4)[0]]
    before_last = commits[-2] + frame

    assert torn_bytes(log) == 0
    for kept in (last + 1, last + 24, last + frame - 1, last):
        log.write_bytes(body[:kept])
        assert torn_bytes(log) == kept - before_last
    log.write_bytes(body[:-9] + b"\xff" + body[-8:])
    assert torn_bytes(log) == len(body) - before_last, "a commit whose page does not fit its checksum is none"
    with closing(SqliteStore(path)) as store:
        opened = open_journal(store)
        assert (store.head()[0], opened.cut) == (2, len(body) - before_last)


def test_no_log_is_no_torn_tail(tmp_path: Path):
    assert torn_bytes(tmp_path / "journal.db-wal") == 0
