"""The journal: numbers what happens, chains it, and hands over whole turns to be committed.

The digest of two runs must not depend on how their turns fell into batches, so market rows are named right before the
next entry and never at the end of a batch; rows that no entry has followed yet are named after a restart.
"""

import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from interlock.errors import JournalDamaged
from interlock.model import tape as rows
from interlock.model.entry import GENESIS, HOST, Entry, Payload, digest_bytes, digest_head, encode_payload, record
from interlock.model.money import Nanos
from interlock.model.record import TapeMark
from interlock.model.tape import ROW_SIZE, MarketMessage
from interlock.ports import Batch, StoredSnapshot
from interlock.storage.audit import Repair, Verification, repair, verify
from interlock.storage.chain import Kept, Walk, beginning, is_torn, unpack_mark
from interlock.storage.sqlite.connection import WHAT_TO_DO

__all__ = ["Journal", "Opened", "Pending", "Repair", "Verification", "open_journal", "recorded", "repair", "verify"]

_HOST: Final = frozenset(HOST)


class Pending(NamedTuple):
    """What waits in the open batch."""

    entries: int
    rows: int
    bytes: int


class Journal:
    """The one writer's end of a store. Appending touches no disk; what `seal` returns is committed by a Committer.

    `with_digest` keeps the running digest; on a store that holds entries already these are read once for it.
    """

    def __init__(self, store: Kept, *, with_digest: bool = False) -> None:
        self._seq, self._hash, self._row = store.head()
        self._digest = hashlib.sha256() if with_digest else None
        self._undigested: list[bytes] = []
        self.ts: Nanos = 0             # of the last entry appended here
        self._unmarked = self._row - _marked(store)
        self._row_hash = hashlib.sha256()
        if self._unmarked and store.keeps_tape:
            first = self._row - self._unmarked
            for at, piece in store.rows(first):
                self._row_hash.update(piece[max(0, first - at) * ROW_SIZE:])
        if self._digest and self._seq:
            for raw in store.raw():
                if not raw.is_host:
                    self._digest.update(digest_bytes(raw.ts, raw.payload))
        self._begin()

    def _begin(self) -> None:
        self._first_seq, self._prev_hash, self._first_row = self._seq + 1, self._hash, self._row
        self._records: list[bytes] = []
        self._rows: list[bytes] = []

    @property
    def head(self) -> tuple[int, bytes]:
        """seq and hash of the last entry, committed or not."""
        return self._seq, self._hash

    @property
    def row(self) -> int:
        """How many rows the tape has: the position at which the next one will stand."""
        return self._row

    @property
    def pending(self) -> Pending:
        """What the next `seal` will take."""
        return Pending(len(self._records), len(self._rows), sum(map(len, self._records)) + len(self._rows) * ROW_SIZE)

    def append(self, ts: Nanos, payload: Payload, *, cause: int = 0) -> tuple[int, bytes]:
        """Add an entry to the open batch; its seq and hash. Rows that came before it are named first, by an entry of
        their own; host facts wait for no row."""
        is_host = type(payload) in _HOST
        if self._unmarked and not is_host:     # where a process stopped must not show in the digest
            self._mark(ts)
        encoded = encode_payload(payload)
        self._seq = seq = self._seq + 1
        body, digest = record(seq, ts, cause, is_host, self._hash, encoded)
        self._hash, self.ts = digest, ts
        self._records.append(body)
        if self._digest is not None and not is_host:
            self._undigested += digest_head(ts, len(encoded)), encoded
        return seq, digest

    def _mark(self, ts: Nanos) -> None:
        mark = TapeMark(self._unmarked, self._row, self._row_hash.hexdigest())
        self._unmarked, self._row_hash = 0, hashlib.sha256()
        self.append(ts, mark)

    def tape(self, message: MarketMessage) -> int:
        """Add a market message to the tape; the number of its row, counted from 0."""
        row = rows.pack(message)
        self._rows.append(row)
        self._row_hash.update(row)
        self._unmarked += 1
        self._row += 1
        return self._row - 1

    def seal(self, snapshot: bytes | None = None) -> Batch:
        """Close the open batch and begin the next. `snapshot` is the state after all that was appended."""
        self._digest_all()
        batch = Batch(self._first_seq, self._seq, self._prev_hash, self._hash, b"".join(self._records), self._first_row,
                      b"".join(self._rows), snapshot)
        self._begin()
        return batch

    def digest(self) -> str:
        """SHA-256 over the canonical bytes of every entry that holds no host facts, hex; "" if none is kept."""
        self._digest_all()
        return self._digest.hexdigest() if self._digest else ""

    def _digest_all(self) -> None:
        """Take in what has waited: one long update costs far less than many short ones."""
        if self._digest is not None and self._undigested:
            self._digest.update(b"".join(self._undigested))
            self._undigested = []


class Opened(Struct, frozen=True):
    """A journal that may be written to, and what was found on the way."""

    journal: Journal
    snapshot: StoredSnapshot | None    # where the restart begins; None: at the first entry
    verified: int                      # entries that were checked now: all since the snapshot
    cut: int                           # bytes of torn tail that were dropped
    ts: Nanos                          # of the last entry, 0 if there is none
    notes: tuple[str, ...]             # what a person should know


def open_journal(store: Kept, *, with_digest: bool = False) -> Opened:
    """Check the record from the last snapshot on and open it for writing.

    A torn tail is cut back to the last whole entry and reported; any other damage raises JournalDamaged.
    """
    snapshot = store.latest_snapshot()
    from_seq = snapshot.seq if snapshot else 1
    walk = Walk(store, from_seq, with_digest=False)
    cut, notes = store.torn, store.notes
    try:
        walk.run()
    except JournalDamaged as error:
        torn = _cut_back(store, walk)
        if torn is None:
            raise JournalDamaged(f"{error}. {WHAT_TO_DO}") from error
        lost, size = torn
        note = f"the last batch ended early: cut back to entry {walk.seq}, {lost} entries are lost"
        opened = open_journal(store, with_digest=with_digest)
        return replace(opened, cut=opened.cut + size, notes=(*opened.notes, note))
    if snapshot is not None:
        _check_stands(store, snapshot)
    journal = Journal(store, with_digest=with_digest)
    journal.ts = walk.ts
    return Opened(journal, snapshot, walk.entries, cut, walk.ts, notes)


def _cut_back(store: Kept, walk: Walk) -> tuple[int, int] | None:
    """Cut the last batch back if it is torn; the entries and bytes lost. None: it is damaged in another way."""
    failed = walk.failed
    if failed is None or not walk.seq:
        return None
    if (failed.last_seq, failed.head_hash) != store.head()[:2]:
        return None
    whole, size = beginning(failed, walk.seq)
    if not is_torn(failed, failed.records[len(whole.records):], walk.seq, walk.head_hash):
        return None
    store.cut_back(whole)
    return failed.last_seq - walk.seq, size


def _check_stands(store: Kept, snapshot: StoredSnapshot) -> None:
    """Raises JournalDamaged unless the chain has the snapshot's head."""
    if snapshot.seq == 0:
        found = GENESIS
    else:
        found = next((raw.hash for raw in store.raw(snapshot.seq)), b"")
    if found != snapshot.head_hash:
        raise JournalDamaged(f"entry {snapshot.seq}: the snapshot that stands on it does not fit its hash")


def _marked(store: Kept) -> int:
    """How many rows the entries name so far. Marks are frequent, so they are looked for from the end."""
    seq, _, count = store.head()
    reach = 1024
    while count and seq:
        from_seq = max(1, seq - reach)
        found = 0
        for raw in store.raw(from_seq):
            if (mark := unpack_mark(raw.payload)) is not None:
                found = mark.last_row
        if found or from_seq == 1:
            return found
        reach *= 8
    return 0


def recorded(store: Kept, after: StoredSnapshot | None = None) -> Iterator[Entry | MarketMessage]:
    """The record as it was delivered: each market message where it came, then the entry that follows it.

    `after` a snapshot: what its state has not seen yet. Raises JournalDamaged.
    """
    at = after.last_row if after else 0
    messages = store.tape(at)
    for raw in store.raw(after.seq + 1 if after else 1):
        if (mark := unpack_mark(raw.payload)) is not None:
            named = mark.last_row - at
            at = mark.last_row
            for message in islice(messages, named):
                named -= 1
                yield message
            if named and store.keeps_tape:
                raise JournalDamaged(f"entry {raw.seq}: {named} of the rows that it names are missing")
        yield raw.decode()
    yield from messages
