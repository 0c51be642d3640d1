"""Damage is found wherever it lies; only a tail that was begun and not finished is cut; nothing is ever rewritten."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.storage.chains import a_file, a_quote, a_record, a_sealed, fill

from interlock.errors import JournalDamaged, StorageError
from interlock.model.tape import ROW_SIZE
from interlock.storage import audit, files
from interlock.storage.chain import KeptBatch
from interlock.storage.journal import Journal, open_journal, repair, verify
from interlock.storage.memory import MemoryStore
from interlock.storage.sqlite.store import SqliteStore


def a_memory(batches: int = 5) -> MemoryStore:
    store = MemoryStore()
    a_record(store, batches, entries=2, rows=1)
    return store


@contextmanager
def opened_by_hand(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as connection, connection:
        yield connection


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_flipped_bit_of_a_record_is_found(data: st.DataObject):
    store = a_memory()
    number = data.draw(st.integers(0, 4), label="batch")
    kept = store._batches[number]
    bit = data.draw(st.integers(0, len(kept.records) * 8 - 1), label="bit")
    flipped = bytearray(kept.records)
    flipped[bit // 8] ^= 1 << bit % 8
    store._batches[number] = KeptBatch(kept.first_seq, kept.last_seq, kept.prev_hash, kept.head_hash, bytes(flipped))

    found = verify(store)

    assert not found.ok
    assert found.damage is not None
    assert kept.first_seq - 1 <= found.entries <= kept.last_seq - 1, "all before the damage is sound, nothing behind it"


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_any_flipped_bit_of_a_named_row_is_found(data: st.DataObject):
    store = a_memory()
    number = data.draw(st.integers(0, 4), label="piece")
    first, rows = store._tape[number]
    bit = data.draw(st.integers(0, len(rows) * 8 - 1), label="bit")
    flipped = bytearray(rows)
    flipped[bit // 8] ^= 1 << bit % 8
    store._tape[number] = (first, bytes(flipped))

    assert not verify(store).ok


@pytest.mark.parametrize("column", ["first_seq", "last_seq", "prev_hash", "head_hash"])
@pytest.mark.parametrize("number", range(3))
def test_what_stands_beside_the_records_is_checked_too(tmp_path: Path, column: str, number: int):
    path = a_file(tmp_path)
    change = f"{column} + 1" if column.endswith("seq") else f"x'{'5a' * 32}'"
    with opened_by_hand(path) as connection:
        connection.execute(f"UPDATE batches SET {column} = {change} WHERE first_seq = ?", (1 + 2 * number,))

    assert not verify(path).ok


@given(st.permutations(range(5)).filter(lambda order: order != sorted(order)))
@settings(max_examples=60, deadline=None)
def test_batches_in_another_order_are_found(order: list[int]):
    store = a_memory()
    store._batches = [store._batches[number] for number in order]

    assert not verify(store).ok


@pytest.mark.parametrize("number", range(5))
def test_a_missing_batch_is_found_at_the_end_too(number: int):
    store = a_memory()
    del store._batches[number]

    found = verify(store)

    assert not found.ok
    assert found.damage is not None
    assert f"{number * 4 + 1}" in found.damage or f"entry {number * 4}" in found.damage


@pytest.mark.parametrize("number", range(5))
def test_a_missing_piece_of_tape_is_found(number: int):
    store = a_memory()
    del store._tape[number]

    assert not verify(store).ok


def test_rows_missing_at_the_end_are_found_though_no_entry_names_them():
    store = MemoryStore()
    journal = a_record(store, 1, rows=1)
    journal.tape(a_quote(2))
    store.commit(journal.seal())
    assert verify(store).ok

    del store._tape[-1]

    assert not verify(store).ok


def test_a_replay_that_keeps_no_tape_is_not_damaged():
    store = MemoryStore(keeps_tape=False)
    a_record(store, 3, rows=2)

    assert verify(store).ok
    assert store.head()[2] == 12


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_damage_before_the_last_batch_refuses_to_start(tmp_path: Path, number: int):
    path = a_file(tmp_path, batches=5)
    with opened_by_hand(path) as connection:
        connection.execute("UPDATE batches SET records = substr(records, 1, length(records) - 7) WHERE first_seq = ?",
                           (1 + 2 * number,))
    store = SqliteStore(path)

    with pytest.raises(JournalDamaged, match=rf"entry {2 + 2 * number}.*interlock journal verify"):
        open_journal(store)

    store.close()


@pytest.mark.parametrize("left", [0, 3, 60, 61, 200, 401])
def test_a_last_batch_that_ends_early_is_cut_to_its_last_whole_entry(left: int):
    store = a_memory(batches=3)
    kept = store._batches[-1]
    sizes = _sizes(kept.records)
    whole = max(count for count in range(len(sizes) + 1) if sum(sizes[:count]) <= left)
    store._batches[-1] = KeptBatch(kept.first_seq, kept.last_seq, kept.prev_hash, kept.head_hash, kept.records[:left])
    assert left < len(kept.records)

    opened = open_journal(store)

    assert opened.journal.head[0] == kept.first_seq - 1 + whole
    assert opened.cut == left - sum(sizes[:whole])
    assert f"{kept.last_seq - opened.journal.head[0]} entries are lost" in opened.notes[0]
    assert verify(store).ok
    store.commit(a_sealed(opened.journal, 2, rows=1))
    assert verify(store).ok


def _sizes(records: bytes) -> list[int]:
    """The lengths of the records, from their own length fields."""
    sizes = []
    while records:
        sizes.append(int.from_bytes(records[:4], "little"))
        records = records[sizes[-1]:]
    return sizes


def test_a_cut_is_durable_and_takes_the_snapshot_above_it_away(tmp_path: Path):
    path = tmp_path / "journal.db"
    store = SqliteStore(path)
    journal = Journal(store)
    store.commit(a_sealed(journal, 2, snapshot=b"early"))
    store.commit(a_sealed(journal, 3, snapshot=b"late"))
    store.close()
    with opened_by_hand(path) as connection:
        connection.execute("UPDATE batches SET records = substr(records, 1, length(records) - 1) WHERE first_seq = 3")

    store = SqliteStore(path)
    opened = open_journal(store)
    store.close()

    assert opened.snapshot is not None
    assert opened.snapshot.body == b"early"
    assert verify(path).ok
    assert verify(path).entries == 4


def test_a_last_record_that_was_changed_and_not_cut_short_is_no_torn_tail():
    store = a_memory()
    kept = store._batches[-1]
    records = kept.records[:-40] + bytes(8) + kept.records[-32:]
    store._batches[-1] = KeptBatch(kept.first_seq, kept.last_seq, kept.prev_hash, kept.head_hash, records)

    with pytest.raises(JournalDamaged, match="content does not fit its hash"):
        open_journal(store)


def test_a_record_whose_only_batch_is_torn_at_its_first_entry_is_not_begun_anew():
    store = MemoryStore()
    a_record(store, 1)
    kept = store._batches[0]
    store._batches[0] = KeptBatch(1, kept.last_seq, kept.prev_hash, kept.head_hash, kept.records[:50])

    with pytest.raises(JournalDamaged):
        open_journal(store)


def test_a_damaged_snapshot_is_passed_over_for_the_one_before_it_and_said_so(tmp_path: Path):
    path = tmp_path / "journal.db"
    store = SqliteStore(path)
    journal = Journal(store)
    store.commit(a_sealed(journal, 2, snapshot=b"early"))
    store.commit(a_sealed(journal, 2, snapshot=b"late"))
    store.close()
    with opened_by_hand(path) as connection:
        connection.execute("UPDATE snapshots SET body = x'6c617465ff' WHERE seq = 4")

    store = SqliteStore(path)
    opened = open_journal(store)
    store.close()

    assert opened.snapshot is not None
    assert opened.snapshot.body == b"early"
    assert opened.notes == ("the snapshot at entry 4 is damaged and was passed over",)


def test_a_snapshot_that_does_not_stand_on_the_chain_refuses_to_start():
    store = a_memory(batches=2)
    journal = Journal(store)
    store.commit(a_sealed(journal, 1, snapshot=b"state"))
    store._snapshots[-1] = type(store._snapshots[-1])(store._snapshots[-1].seq, b"x" * 32, 2, b"state")

    with pytest.raises(JournalDamaged, match="snapshot"):
        open_journal(store)


class TestRepair:
    def test_the_readable_prefix_takes_the_name_and_the_damaged_file_is_kept(self, tmp_path: Path):
        path = a_file(tmp_path, batches=5, rows=2)
        sound = verify(path)
        with opened_by_hand(path) as connection:
            (records,) = connection.execute("SELECT records FROM batches WHERE first_seq = 9").fetchone()
            damaged = records[:-33] + bytes([records[-33] ^ 1]) + records[-32:]
            connection.execute("UPDATE batches SET records = ? WHERE first_seq = 9", (damaged,))
        before = path.read_bytes()
        assert not verify(path).ok

        report = repair(path, now=lambda: 1_700_000_000_000_000_000)

        assert report.kept_as == tmp_path / "journal.db.damaged-20231114T221320Z"
        assert report.kept_as.read_bytes() == before
        assert (report.entries, report.lost) == (11, 9)
        assert "entry 12" in report.damage
        after = verify(path)
        assert (after.ok, after.entries, sound.entries) == (True, 11, 20)
        with closing(SqliteStore(path)) as store:
            store.commit(a_sealed(open_journal(store).journal, 2, rows=1))
        assert verify(path).ok

    def test_nothing_is_done_to_a_sound_journal(self, tmp_path: Path):
        path = a_file(tmp_path)

        with pytest.raises(StorageError, match="sound"):
            repair(path)

        assert verify(path).ok
        assert [file.name for file in tmp_path.iterdir() if "damaged" in file.name] == []

    def test_a_journal_without_one_readable_entry_is_left_alone(self, tmp_path: Path):
        path = a_file(tmp_path, batches=1)
        with opened_by_hand(path) as connection:
            connection.execute("UPDATE batches SET records = zeroblob(90)")
        before = path.read_bytes()

        with pytest.raises(JournalDamaged, match="not one entry"):
            repair(path)

        assert path.read_bytes() == before

    def test_a_head_that_cannot_be_read_costs_no_entry(self, tmp_path: Path):
        path = a_file(tmp_path)
        with opened_by_hand(path) as connection:
            connection.execute("DELETE FROM head")
        with pytest.raises(JournalDamaged, match="head"):
            SqliteStore(path)

        assert repair(path).entries == 6
        assert verify(path).ok

    @pytest.mark.parametrize("power_cut_at", range(1, 6))
    def test_an_interrupted_repair_lets_nobody_write_and_is_finished_by_the_next(
            self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, power_cut_at: int):
        path = a_damaged_file_with_a_log(tmp_path)
        steps = Steps(power_cut_at)
        with monkeypatch.context() as patch:
            patch.setattr(audit, "os", SimpleNamespace(link=steps.of(os.link), replace=steps.of(os.replace)))
            patch.setattr(audit, "rename", steps.of(files.rename))
            with pytest.raises(KeyboardInterrupt):
                repair(path)

        if power_cut_at > 1:
            with pytest.raises(StorageError, match="interlock journal repair"):
                SqliteStore(path)
        assert repair(path).entries == 4
        assert verify(path).ok
        assert any(file.name.startswith("journal.db.damaged") and file.suffix.endswith("-wal")
                   for file in tmp_path.iterdir()), "its log is kept with it"


class Steps:
    """Lets so many steps pass less one; at that one the power goes."""

    def __init__(self, number: int) -> None:
        self._left = number

    def of(self, step: Callable[..., None]) -> Callable[..., None]:
        def taken(*names: Path) -> None:
            self._left -= 1
            if self._left == 0:
                raise KeyboardInterrupt
            step(*names)
        return taken


def a_damaged_file_with_a_log(directory: Path) -> Path:
    """As a crash leaves it: six entries, the last two damaged, and that damage still in the log."""
    made = a_file(directory)
    path = directory / "crashed" / "journal.db"
    path.parent.mkdir()
    with opened_by_hand(made) as connection:
        connection.execute("UPDATE batches SET records = zeroblob(99) WHERE first_seq = 5")
        connection.commit()
        for suffix in ("", "-wal"):
            shutil.copy(files_beside(made, suffix), files_beside(path, suffix))
    for suffix in ("", "-wal"):
        files_beside(path, suffix).replace(files_beside(made, suffix))
    return made


def files_beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def test_every_byte_of_the_file_may_be_wrong_and_no_entry_is_made_up(tmp_path: Path):
    path = tmp_path / "journal.db"
    store = SqliteStore(path, durability="none")
    journal = Journal(store)
    fill(journal, 4, rows=1)
    store.commit(journal.seal())
    store.close()
    body = path.read_bytes()
    with closing(SqliteStore(path, read_only=True)) as whole:
        true = [raw.hash for raw in whole.raw()]
    assert len(true) == 8
    assert len(body) % ROW_SIZE == 0

    for at in range(0, len(body), 97):
        path.write_bytes(body[:at] + bytes([body[at] ^ 0xFF]) + body[at + 1:])
        try:
            found = verify(path)
            with closing(SqliteStore(path, read_only=True)) as damaged:
                read = [raw.hash for _, raw in zip(range(found.entries), damaged.raw(), strict=False)]
        except StorageError:
            continue
        assert read == true[:len(read)]
