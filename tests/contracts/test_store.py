"""What every store promises, whatever it is made of."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.storage.chains import START, a_quote, a_record, a_sealed, an_alarm, fill

from interlock.errors import StorageError
from interlock.model.entry import GENESIS
from interlock.model.record import Stopped, TapeMark
from interlock.ports import Batch, Store
from interlock.simulation.disk import Disk, SimStore
from interlock.storage.journal import Journal, open_journal, recorded, verify
from interlock.storage.memory import MemoryStore
from interlock.storage.sqlite.store import SqliteStore

AnyStore = MemoryStore | SqliteStore


@pytest.fixture(params=["memory", "sqlite", "simulated"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AnyStore]:
    makers: dict[str, Callable[[], AnyStore]] = {
        "memory": MemoryStore, "sqlite": lambda: SqliteStore(tmp_path / "journal.db"), "simulated": lambda: SimStore(Disk())}
    made = makers[request.param]()
    yield made
    made.close()


def test_a_new_store_has_nothing_in_it(store: AnyStore):
    door: Store = store

    assert door.head() == (0, GENESIS, 0)
    assert list(door.batches()) == []
    assert list(door.raw()) == []
    assert list(door.tape()) == []
    assert door.latest_snapshot() is None


def test_what_was_committed_is_read_back_whole_and_in_order(store: AnyStore):
    journal = Journal(store)
    first, second = a_sealed(journal, 3), a_sealed(journal, 2)

    store.commit(first)
    store.commit(second)

    assert list(store.batches()) == [(1, GENESIS, first.records), (4, first.head_hash, second.records)]
    assert [raw.seq for raw in store.raw()] == [1, 2, 3, 4, 5]
    assert [raw.decode().payload for raw in store.raw(2)][:2] == [an_alarm(2), an_alarm(3)]
    assert store.head() == (5, second.head_hash, 0)


@pytest.mark.parametrize(("from_seq", "expected"), [(1, [1, 3, 5]), (2, [1, 3, 5]), (3, [3, 5]), (6, [5]), (7, [])])
def test_reading_begins_with_the_batch_that_holds_the_entry(store: AnyStore, from_seq: int, expected: list[int]):
    a_record(store, batches=3, entries=2)

    assert [first for first, _, _ in store.batches(from_seq)] == expected
    assert [raw.seq for raw in store.raw(from_seq)] == list(range(from_seq, 7))


@pytest.mark.parametrize("from_row", [0, 1, 3, 4, 9, 12])
def test_the_tape_is_read_from_any_row_on(store: AnyStore, from_row: int):
    a_record(store, batches=4, entries=1, rows=3)

    assert list(store.tape(from_row)) == [a_quote(number) for number in range(from_row, 12)]
    assert store.head()[2] == 12


def test_rows_alone_are_a_batch_and_move_no_entry(store: AnyStore):
    journal = a_record(store, batches=1, entries=1)
    journal.tape(a_quote(0))

    store.commit(journal.seal())

    assert (store.head()[0], store.head()[2]) == (1, 1)
    assert list(store.tape()) == [a_quote(0)]
    assert len(list(store.batches())) == 1


def test_the_newest_snapshot_stands_on_the_head_it_was_taken_at(store: AnyStore):
    journal = Journal(store)
    for body in (b"one", b"two", b"three"):
        store.commit(a_sealed(journal, 2, rows=1, snapshot=body))
    store.commit(a_sealed(journal, 1))

    found = store.latest_snapshot()

    assert found is not None
    assert (found.body, found.last_row) == (b"three", 6)
    raw = next(store.raw(found.seq))
    assert raw.hash == found.head_hash


def test_a_snapshot_may_be_taken_again_without_a_new_entry(store: AnyStore):
    journal = Journal(store)
    store.commit(a_sealed(journal, 1, snapshot=b"early"))

    journal.tape(a_quote(0))
    store.commit(journal.seal(b"late"))

    found = store.latest_snapshot()
    assert found is not None
    assert (found.body, found.seq, found.last_row) == (b"late", 1, 1)


def test_a_batch_that_does_not_follow_is_refused_and_changes_nothing(store: AnyStore):
    journal = Journal(store)
    first, second, third = (a_sealed(journal, 1, rows=1) for _ in range(3))
    store.commit(first)
    before = store.head()

    for wrong in (first, third, Batch(2, 2, GENESIS, b"x" * 32, second.records, 1, b"")):
        with pytest.raises(StorageError, match="expected a batch that follows entry"):
            store.commit(wrong)

    assert store.head() == before
    store.commit(second)
    assert verify(store).ok


def test_a_closed_store_takes_nothing_more(store: AnyStore):
    batch = a_sealed(Journal(store))
    store.close()

    with pytest.raises(StorageError, match="open"):
        store.commit(batch)


def test_a_journal_is_continued_where_it_stands(store: AnyStore):
    a_record(store, batches=2, entries=2, rows=1)

    opened = open_journal(store)
    store.commit(a_sealed(opened.journal, 2, rows=1))

    assert (opened.verified, opened.cut, opened.notes, opened.snapshot) == (8, 0, (), None)
    assert opened.ts == START + 7
    assert verify(store).ok
    assert verify(store).entries == 12


def test_only_what_followed_the_snapshot_is_checked_at_the_opening(store: AnyStore):
    journal = a_record(store, batches=10, entries=2)
    store.commit(a_sealed(journal, 1, snapshot=b"state"))
    store.commit(a_sealed(journal, 4))

    opened = open_journal(store)

    assert opened.snapshot is not None
    assert opened.snapshot.body == b"state"
    assert opened.verified == 5, "the batch that the snapshot stands on, and what followed"


def test_rows_that_no_entry_had_followed_are_named_after_a_restart(store: AnyStore):
    journal = a_record(store, batches=1, entries=1, rows=2)
    for number in (2, 3, 4):
        journal.tape(a_quote(number))
    store.commit(journal.seal(b"state"))

    again = open_journal(store).journal
    again.tape(a_quote(5))
    fill(again, 1)
    store.commit(again.seal())

    marks = [payload for raw in store.raw() if isinstance(payload := raw.decode().payload, TapeMark)]
    assert [(mark.rows, mark.last_row) for mark in marks] == [(2, 2), (4, 6)]
    assert verify(store).ok


def test_the_record_is_delivered_again_in_the_order_it_was_lived(store: AnyStore):
    journal = Journal(store)
    journal.tape(a_quote(0))
    journal.append(START, an_alarm(1))
    store.commit(journal.seal(b"after one"))
    journal.tape(a_quote(1))
    journal.tape(a_quote(2))
    store.commit(journal.seal(b"after three rows"))
    journal.append(START, an_alarm(2))
    journal.tape(a_quote(3))
    store.commit(journal.seal())

    def told(item: object) -> object:
        return getattr(item, "payload", item)

    whole = [told(item) for item in recorded(store) if not isinstance(told(item), TapeMark)]
    rest = [told(item) for item in recorded(store, store.latest_snapshot()) if not isinstance(told(item), TapeMark)]

    assert whole == [a_quote(0), an_alarm(1), a_quote(1), a_quote(2), an_alarm(2), a_quote(3)]
    assert rest == [an_alarm(2), a_quote(3)]


def test_two_stores_of_the_same_life_have_the_same_digest(tmp_path: Path):
    def digest(make: Callable[[], AnyStore], per_batch: int) -> str:
        store = make()
        journal = Journal(store, with_digest=True)
        for number in range(30):
            journal.tape(a_quote(number))
            journal.append(START + number, an_alarm(number))
            journal.append(START + number, Stopped(f"{store} in process {per_batch}"))
            if number % per_batch == 0:
                store.commit(journal.seal(b"state" if per_batch == 7 else None))
        store.commit(journal.seal())
        assert journal.digest() == verify(store).digest
        store.close()
        return journal.digest()

    assert digest(MemoryStore, 3) == digest(lambda: SqliteStore(tmp_path / "journal.db", durability="none"), 7)
