"""The power goes at every point of a run, and the disk is left in every state that it may be left in."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.storage.chains import a_sealed
from tests.storage.recording import SUFFIXES, Recorder, State, permitted, states

from interlock.errors import StorageError
from interlock.storage import files
from interlock.storage.journal import Journal, open_journal, verify
from interlock.storage.sqlite import connection
from interlock.storage.sqlite.store import SqliteStore

Script = Callable[[SqliteStore, Journal, Callable[[], None]], None]


@pytest.fixture
def directory() -> Iterator[Path]:
    """In memory where there is such a place: thousands of files are made."""
    memory = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield path
    shutil.rmtree(path)


def six_appends(store: SqliteStore, journal: Journal, acknowledge: Callable[[], None]) -> None:
    """Six batches of one entry and a row each, and a snapshot in the fourth; the log is folded in on the way."""
    for number in range(6):
        store.commit(a_sealed(journal, 1, rows=1, snapshot=b"state" * 50 if number == 3 else None))
        acknowledge()


def long_batches(store: SqliteStore, journal: Journal, acknowledge: Callable[[], None]) -> None:
    """Batches of several pages, so that a transaction can be torn in its middle."""
    for _ in range(3):
        store.commit(a_sealed(journal, 3, length=3000))
        acknowledge()


def an_orderly_end(store: SqliteStore, journal: Journal, acknowledge: Callable[[], None]) -> None:
    """Two batches, and the store is closed: the log is folded in and deleted."""
    for _ in range(2):
        store.commit(a_sealed(journal, 1))
        acknowledge()
    store.close()


SCRIPTS: tuple[Script, ...] = (six_appends, long_batches, an_orderly_end)


def a_run(directory: Path, script: Script, synchronous: str, checkpoint: int = 14) -> tuple[dict[str, bytes], Recorder]:
    """Run the script on the recording layer: the files at its start, and what was asked of the disk since."""
    path = directory / "journal.db"
    SqliteStore(path).close()
    start = {"": path.read_bytes()}
    recorder = Recorder(path, f"recorder-{script.__name__}-{synchronous}-{checkpoint}")
    recorder.checkpoint = checkpoint
    recorder.synchronous = synchronous
    store = SqliteStore(path, connect=recorder.connect)
    journal = Journal(store)
    script(store, journal, lambda: recorder.acknowledge(store.head()[0]))
    store.close()
    return start, recorder


def recovered(directory: Path, state: State) -> tuple[int, list[bytes], bool]:
    """Open the state as a desk does: last entry, the records of each batch, and whether all of it is sound and can be
    continued."""
    path = directory / "crashed.db"
    for suffix in (*SUFFIXES, "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    for suffix, body in zip(SUFFIXES, state.files, strict=True):
        if body is not None:
            path.with_name(path.name + suffix).write_bytes(body)
    store = SqliteStore(path, durability="none")
    try:
        opened = open_journal(store)
        found = [records for _, _, records in store.batches()]
        head = store.head()[0]
        is_sound = verify(store).ok
        store.commit(a_sealed(opened.journal, 1, rows=1))
        return head, found, is_sound and verify(store).ok
    finally:
        store.close()


@pytest.mark.parametrize("checkpoint", [1, 5, 14, 1000])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_no_acknowledged_entry_is_lost_and_nothing_is_half_there(directory: Path, script: Script, checkpoint: int):
    start, recorder = a_run(directory, script, "", checkpoint)
    whole = SqliteStore(directory / "journal.db", read_only=True)
    batches = [records for _, _, records in whole.batches()]
    whole.close()
    count = 0

    for state in states(start, recorder):
        head, found, is_sound = recovered(directory, state)

        assert found == batches[:len(found)], "the result is a prefix of whole batches"
        assert head >= state.acknowledged, f"entry {state.acknowledged} was acknowledged, the record ends at {head}"
        assert is_sound
        count += 1

    assert count > 50
    assert recorder.acknowledged[-1][1] > 0


def test_the_same_trial_with_a_sync_less_per_commit_loses_acknowledged_entries(directory: Path):
    start, recorder = a_run(directory, six_appends, "NORMAL")

    lost = sum(recovered(directory, state)[0] < state.acknowledged for state in states(start, recorder))

    assert lost > 10, "the trial has teeth"


def test_a_journal_that_was_made_is_there_and_one_that_was_not_can_be_made(directory: Path,
                                                                           monkeypatch: pytest.MonkeyPatch):
    path = directory / "journal.db"
    recorder = Recorder(path, "recorder-creation")

    def renamed(source: Path, target: Path) -> None:
        recorder.note("rename", str(source))
        files.rename(source, target)
        recorder.note("rename is durable", str(source))

    def synced(file: Path) -> None:
        recorder.note("sync", str(file))
        files.sync_file(file)

    monkeypatch.setattr(connection, "rename", renamed)
    monkeypatch.setattr(connection, "sync_file", synced)
    SqliteStore(path, connect=recorder.connect).close()
    monkeypatch.undo()
    kinds = [op.kind for op in recorder.ops]
    count = 0

    for length in range(len(recorder.ops) + 1):
        log = [op for op in recorder.ops[:length] if op.file == ".new"]
        is_renamed, is_durable = "rename" in kinds[:length], "rename is durable" in kinds[:length]
        for body in permitted(None, log):
            names = [path] if is_durable else [path, connection.beside(path, ".new")] if is_renamed else [
                connection.beside(path, ".new")]
            for name in names:
                for leftover in directory.iterdir():
                    leftover.unlink()
                if body is not None:
                    name.write_bytes(body)
                store = SqliteStore(path, durability="none", create=not is_durable)
                store.commit(a_sealed(Journal(store)))
                store.close()
                count += 1

    assert count > len(recorder.ops)


def test_a_store_that_cannot_have_its_commits_synced_refuses_to_open(directory: Path):
    recorder = Recorder(directory / "journal.db", "recorder-refused")

    class Deaf:
        """An engine that answers 1 whatever it is told."""

        def __init__(self, path: Path, mode: str) -> None:
            self._engine = recorder.connect(path, mode)
            self.close = self._engine.close

        def execute(self, sql: str, parameters: tuple[object, ...] = ()) -> object:
            return self._engine.execute("SELECT 1" if sql == "PRAGMA synchronous" else sql, parameters)

    SqliteStore(directory / "journal.db").close()

    with pytest.raises(StorageError, match="expected synchronous 2"):
        SqliteStore(directory / "journal.db", connect=Deaf)    # type: ignore[arg-type]
