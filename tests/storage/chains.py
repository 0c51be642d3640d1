"""Small records for the tests of this room: entries whose content says their number, and rows likewise."""

import random
from pathlib import Path

from interlock.model.market import Provenance, Quote
from interlock.model.record import Alarm, Stopped
from interlock.ports import Batch
from interlock.storage.journal import Journal
from interlock.storage.memory import MemoryStore
from interlock.storage.sqlite.store import SqliteStore

START = 1_700_000_000_000_000_000


def an_alarm(number: int, length: int = 0) -> Alarm:
    """An entry's payload; different for each number, `length` bytes of text that does not compress away."""
    return Alarm(f"key-{number}", "warning", random.Random(number).randbytes(length // 2).hex())


def a_quote(number: int) -> Quote:
    ts = START + number
    return Quote("MNQ", 80_000 + number, 80_002 + number, 5, 7, ts, ts + 1, Provenance.SIMULATED)


def fill(journal: Journal, entries: int, *, rows: int = 0, length: int = 0) -> None:
    """Append `entries` alarms, each after `rows` rows; without rows every fifth is an entry of host facts."""
    for _ in range(entries):
        number = journal.head[0] + 1
        for _ in range(rows):
            journal.tape(a_quote(journal.row))
        if number % 5 == 0 and not rows:
            journal.append(START + number, Stopped(f"host {number}"))
        else:
            journal.append(START + number, an_alarm(number, length))


def a_sealed(journal: Journal, entries: int = 1, *, rows: int = 0, length: int = 0,
             snapshot: bytes | None = None) -> Batch:
    fill(journal, entries, rows=rows, length=length)
    return journal.seal(snapshot)


def a_record(store: MemoryStore | SqliteStore, batches: int, entries: int = 2, *, rows: int = 0) -> Journal:
    """Commit so many batches to a store."""
    journal = Journal(store)
    for _ in range(batches):
        store.commit(a_sealed(journal, entries, rows=rows))
    return journal


def a_file(directory: Path, batches: int = 3, entries: int = 2, *, rows: int = 0) -> Path:
    """A closed journal file."""
    path = directory / "journal.db"
    store = SqliteStore(path, durability="none")
    a_record(store, batches, entries, rows=rows)
    store.close()
    return path
