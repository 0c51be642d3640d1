"""Numbers, chain and digest, against a plain reading of the format."""

import hashlib
import struct

import msgspec
import pytest
from tests.storage.chains import START, a_quote, a_record, a_sealed, an_alarm, fill

from interlock.errors import StorageError
from interlock.model import tape
from interlock.model.entry import GENESIS
from interlock.model.record import Stopped, TapeMark, Tick
from interlock.storage.chain import MARK
from interlock.storage.journal import Journal, Pending, open_journal
from interlock.storage.memory import MemoryStore


def test_records_are_what_the_format_says():
    journal = Journal(MemoryStore())

    seq, head_hash = journal.append(START, an_alarm(1), cause=0)
    second, _ = journal.append(START + 5, Tick(), cause=seq)
    batch = journal.seal()

    payload = msgspec.msgpack.encode(an_alarm(1))
    body = struct.pack("<IQqQB", 29 + 32 + len(payload) + 32, 1, START, 0, 0) + bytes(32) + payload
    assert head_hash == hashlib.sha256(body).digest()
    assert batch.records.startswith(body + head_hash)
    rest = batch.records[len(body) + 32:]
    assert struct.unpack_from("<IQqQB", rest) == (len(rest), second, START + 5, 1, 0)
    assert rest[29:61] == head_hash
    assert (batch.first_seq, batch.last_seq, batch.prev_hash, batch.head_hash) == (1, 2, GENESIS, rest[-32:])


def test_rows_are_named_by_the_entry_before_the_one_that_follows_them():
    store = MemoryStore()
    journal = Journal(store)
    assert [journal.tape(a_quote(number)) for number in range(3)] == [0, 1, 2]

    seq, _ = journal.append(START, an_alarm(1))
    journal.append(START, an_alarm(2))
    store.commit(journal.seal())

    payloads = [raw.decode().payload for raw in store.raw()]
    digest = hashlib.sha256(b"".join(tape.pack(a_quote(number)) for number in range(3))).hexdigest()
    assert seq == 2
    assert payloads == [TapeMark(3, 3, digest), an_alarm(1), an_alarm(2)]


def test_what_waits_is_counted_and_taken_once():
    journal = Journal(MemoryStore())
    journal.tape(a_quote(0))
    fill(journal, 2)

    pending = journal.pending
    batch = journal.seal(b"state")

    assert pending == Pending(3, 1, len(batch.records) + 64)
    assert (batch.snapshot, batch.tape) == (b"state", tape.pack(a_quote(0)))
    assert journal.pending == Pending(0, 0, 0)
    empty = journal.seal()
    assert (empty.first_seq, empty.last_seq, empty.records, empty.first_row) == (4, 3, b"", 1)


def test_the_digest_is_over_times_and_payloads_and_leaves_host_facts_out():
    store = MemoryStore()
    journal = Journal(store, with_digest=True)
    plain = hashlib.sha256()
    for number in range(1, 5):
        payload = msgspec.msgpack.encode(an_alarm(number))
        plain.update(struct.pack("<qI", START + number, len(payload)) + payload)

    fill(journal, 5)

    assert journal.head[0] == 5, "the fifth holds host facts"
    assert journal.digest() == plain.hexdigest()


@pytest.mark.parametrize("change", ["order", "one value", "one time"])
def test_the_digest_shows_every_change(change: str):
    def digest(*entries: tuple[int, int]) -> str:
        journal = Journal(MemoryStore(), with_digest=True)
        for ts, number in entries:
            journal.append(ts, an_alarm(number))
        return journal.digest()

    changed = {"order": ((1, 2), (1, 1)), "one value": ((1, 1), (1, 3)), "one time": ((1, 1), (2, 2))}[change]

    assert digest((1, 1), (1, 2)) != digest(*changed)


def test_a_continued_digest_is_the_whole_one():
    whole = Journal(MemoryStore(), with_digest=True)
    fill(whole, 9)
    store = MemoryStore()
    a_record(store, 1, entries=4)

    again = open_journal(store, with_digest=True).journal
    fill(again, 5)

    assert again.digest() == whole.digest()


def test_a_journal_keeps_no_digest_unless_asked():
    assert Journal(MemoryStore()).digest() == ""


def test_the_beginning_of_a_mark_is_that_of_no_other_entry():
    assert msgspec.msgpack.encode(TapeMark(1 << 40, 1 << 41, "x" * 64)).startswith(MARK)
    assert not msgspec.msgpack.encode(Tick()).startswith(MARK)


def test_the_last_mark_is_found_far_behind_the_end():
    store = MemoryStore()
    journal = a_record(store, 1, entries=1, rows=4)
    store.commit(a_sealed(journal, 5000))
    journal.tape(a_quote(4))
    store.commit(journal.seal(b"state"))

    again = Journal(store)
    again.append(START, an_alarm(0))
    store.commit(again.seal())

    mark = next(store.raw(5003)).decode().payload
    assert isinstance(mark, TapeMark)
    assert (mark.rows, mark.last_row) == (1, 5)


def test_a_batch_that_lies_about_its_reach_is_refused():
    store = MemoryStore()
    batch = a_sealed(Journal(store), 2)

    with pytest.raises(StorageError, match="cannot reach"):
        store.commit(msgspec.structs.replace(batch, last_seq=0))


def test_where_a_process_stopped_does_not_show_in_the_digest():
    whole, halted = (Journal(MemoryStore(), with_digest=True) for _ in range(2))
    for journal in (whole, halted):
        journal.append(START, an_alarm(1))
        journal.tape(a_quote(1))
        if journal is halted:
            journal.append(START + 1, Stopped("asked to"))
        journal.tape(a_quote(2))
        journal.append(START + 2, an_alarm(2))

    assert halted.digest() == whole.digest()
