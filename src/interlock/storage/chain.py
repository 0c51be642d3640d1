"""A kept chain, whoever keeps it: how it is read, and how it is checked entry by entry.

The chain finds what was changed, moved or left out in the middle. What is missing at the end is found by the head,
which a store keeps apart from the batches; what is missing on the tape, by the marks in the chain.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from interlock.errors import JournalDamaged
from interlock.model import tape as rows
from interlock.model.entry import (
    GENESIS,
    HASH_SIZE,
    HEAD_SIZE,
    Raw,
    digest_bytes,
    encode_payload,
    records,
)
from interlock.model.record import TapeMark
from interlock.model.tape import ROW_SIZE, MarketMessage
from interlock.ports import Batch, StoredSnapshot

_REST: Final = msgspec.msgpack.encode({"rows": 0, "last_row": 0, "digest": ""})[1:]
MARK: Final = encode_payload(TapeMark(0, 0, "")).removesuffix(_REST)
"""How the payload of every TapeMark begins, so that marks are told from other entries without decoding any."""

_mark_decoder = msgspec.msgpack.Decoder(TapeMark)


class KeptBatch(Struct, frozen=True):
    """One committed batch as it is kept; the columns beside the records say what they must hold."""

    first_seq: int
    last_seq: int
    prev_hash: bytes
    head_hash: bytes
    records: bytes


class Kept(ABC):
    """What every store has: batches and rows as they were committed; the reading doors of `ports.Store` use them."""

    keeps_tape: bool = True            # False: rows are counted and thrown away
    torn: int = 0                      # bytes behind the last commit that the engine underneath dropped
    notes: tuple[str, ...] = ()        # what was passed over while reading, for a person

    @abstractmethod
    def commit(self, batch: Batch) -> None: ...

    @abstractmethod
    def head(self) -> tuple[int, bytes, int]: ...

    @abstractmethod
    def latest_snapshot(self) -> StoredSnapshot | None: ...

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def kept(self, from_seq: int = 1) -> Iterator[KeptBatch]:
        """The batches, oldest first, beginning with the one that holds `from_seq`."""

    @abstractmethod
    def rows(self, from_row: int = 0) -> Iterator[tuple[int, bytes]]:
        """(number of the first row, rows) of each piece of tape, beginning with the one that holds `from_row`."""

    @abstractmethod
    def cut_back(self, kept: KeptBatch) -> None:
        """Replace the last batch by its own beginning; without records it is removed."""

    def batches(self, from_seq: int = 1) -> Iterator[tuple[int, bytes, bytes]]:
        """(first_seq, prev_hash, records) of each batch, oldest first, beginning with the one that holds `from_seq`."""
        for batch in self.kept(from_seq):
            yield batch.first_seq, batch.prev_hash, batch.records

    def raw(self, from_seq: int = 1) -> Iterator[Raw]:
        """Checked records from `from_seq` on. Raises JournalDamaged."""
        seq, prev_hash = 0, b""
        for batch in self.kept(from_seq):
            if seq and (batch.first_seq != seq + 1 or batch.prev_hash != prev_hash):
                raise JournalDamaged(f"entry {seq + 1}: expected the batch that follows entry {seq}, found one from "
                                     f"entry {batch.first_seq} on")
            for raw in records(batch.records, prev_hash=batch.prev_hash, first_seq=batch.first_seq):
                if raw.seq >= from_seq:
                    yield raw
            seq, prev_hash = batch.last_seq, batch.head_hash

    def tape(self, from_row: int = 0) -> Iterator[MarketMessage]:
        """The market messages from row `from_row` on (rows count from 0). Raises JournalDamaged."""
        expected = None
        for first, piece in self.rows(from_row):
            if expected is not None and first != expected:
                raise JournalDamaged(f"tape: expected row {expected}, found row {first}")
            expected = first + len(piece) // ROW_SIZE
            try:
                yield from rows.unpack(piece[max(0, from_row - first) * ROW_SIZE:])
            except ValueError as error:
                raise JournalDamaged(f"tape: the rows from {first} on cannot be read: {error}") from error


def unpack_mark(payload: bytes) -> TapeMark | None:
    """The mark that a payload holds, None if it holds anything else."""
    return _mark_decoder.decode(payload) if payload.startswith(MARK) else None


class Walk:
    """Reads a chain and its tape, checks all of it, and remembers how far both were sound.

    Begin at 1, or at the seq of a snapshot: then the batch that holds it is the first to be checked.
    """

    def __init__(self, store: Kept, from_seq: int = 1, *, with_digest: bool = True) -> None:
        self.entries = 0               # that were checked
        self.seq = 0                   # of the last sound entry
        self.head_hash = GENESIS
        self.ts = 0
        self.marked: int | None = 0 if from_seq <= 1 else None     # rows that are named so far; None: not known yet
        self.failed: KeptBatch | None = None           # begins where it must, and is not sound
        self._is_begun = from_seq <= 1
        self._store = store
        self._from_seq = from_seq
        self._digest = hashlib.sha256() if with_digest else None
        self._tape = _Tape(store)

    @property
    def digest(self) -> str:
        """Over the entries read so far, "" without one."""
        return self._digest.hexdigest() if self._digest else ""

    def batches(self, until: int) -> Iterator[KeptBatch]:
        """Each sound batch, up to the one that holds `until`. Raises JournalDamaged at the first that is not."""
        for batch in self._store.kept(self._from_seq):
            if batch.first_seq > until:
                break
            if not self._is_begun:
                self.seq, self.head_hash, self._is_begun = batch.first_seq - 1, batch.prev_hash, True
            self._check(batch)
            self.failed = None
            yield batch

    def run(self) -> None:
        """Check all there is, head included. Raises JournalDamaged."""
        head = self._store.head()
        for _ in self.batches(head[0]):
            pass
        self.finish(head)

    def finish(self, head: tuple[int, bytes, int]) -> None:
        """Check that what was read reaches the head. Raises JournalDamaged."""
        seq, head_hash, count = head
        if (self.seq, self.head_hash) != (seq, head_hash):
            raise JournalDamaged(f"expected the chain to end with entry {seq}, found its end after entry {self.seq}")
        if self._store.keeps_tape and self.marked is not None:
            self._tape.take(self.marked, count)

    def _check(self, batch: KeptBatch) -> None:
        expected = self.seq + 1
        if batch.first_seq != expected or batch.prev_hash != self.head_hash:
            raise JournalDamaged(f"entry {expected}: expected the batch that follows entry {self.seq}, "
                                 f"found one from entry {batch.first_seq} on")
        self.failed = batch
        update = self._digest.update if self._digest else None
        for raw in records(batch.records, prev_hash=self.head_hash, first_seq=expected):
            payload = raw.payload
            if payload.startswith(MARK):
                self._check_mark(raw)
            if update and not raw.is_host:
                update(digest_bytes(raw.ts, payload))
            self.entries += 1
            self.seq, self.head_hash, self.ts = raw.seq, raw.hash, raw.ts
        if (batch.last_seq, batch.head_hash) != (self.seq, self.head_hash):
            raise JournalDamaged(f"entry {self.seq + 1}: its batch should reach entry {batch.last_seq}, "
                                 f"found its end after entry {self.seq}")

    def _check_mark(self, raw: Raw) -> None:
        mark = _mark_decoder.decode(raw.payload)
        first = mark.last_row - mark.rows
        if self.marked is not None and first != self.marked:
            raise JournalDamaged(f"entry {raw.seq}: expected it to name rows from {self.marked} on, found {first}")
        if self._store.keeps_tape:
            found = hashlib.sha256(self._tape.take(first, mark.last_row)).hexdigest()
            if found != mark.digest:
                raise JournalDamaged(f"entry {raw.seq}: the tape rows {first} to {mark.last_row - 1} do not fit it")
        self.marked = mark.last_row


class _Tape:
    """The rows of a store, taken piece after piece in ascending order."""

    def __init__(self, store: Kept) -> None:
        self._store = store
        self._pieces: Iterator[tuple[int, bytes]] | None = None
        self._at = 0                   # number of the first row in `_waiting`
        self._waiting = b""

    def take(self, first: int, end: int) -> bytes:
        """The rows from `first` up to `end`, which begin where the last call ended. Raises JournalDamaged."""
        if first == end:
            return b""
        is_first = self._pieces is None
        if self._pieces is None:
            self._pieces, self._at = self._store.rows(first), first
        while len(self._waiting) < (end - first) * ROW_SIZE:
            have = self._at + len(self._waiting) // ROW_SIZE
            at, piece = next(self._pieces, (have, b""))
            if is_first and at < have:
                at, piece, is_first = have, piece[(have - at) * ROW_SIZE:], False
            if at != have or not piece or len(piece) % ROW_SIZE or end < first:
                raise JournalDamaged(f"tape: expected rows up to {end - 1}, found them up to {have - 1}")
            self._waiting += piece
        size = (end - first) * ROW_SIZE
        taken, self._waiting, self._at = self._waiting[:size], self._waiting[size:], end
        return taken


def beginning(batch: KeptBatch, last_seq: int) -> tuple[KeptBatch, int]:
    """The batch up to entry `last_seq`, which must be sound, and the number of bytes that are left out.

    Without a sound entry its records are empty and its last_seq is that of the entry before it.
    """
    at, head_hash, view = 0, batch.prev_hash, memoryview(batch.records)
    for _ in range(last_seq - batch.first_seq + 1):
        at += int.from_bytes(view[at:at + 4], "little")
        head_hash = bytes(view[at - HASH_SIZE:at])
    kept = KeptBatch(batch.first_seq, max(last_seq, batch.first_seq - 1), batch.prev_hash, head_hash, bytes(view[:at]))
    return kept, len(batch.records) - at


def is_torn(batch: KeptBatch, rest: bytes, seq: int, head_hash: bytes) -> bool:
    """Whether `rest`, the bytes behind the last sound entry, is a record that was begun and not finished, or nothing.

    A record that is all there and does not fit its hash was changed, not torn.
    """
    if batch.last_seq <= seq:
        return False
    if len(rest) < HEAD_SIZE:
        return True
    length, found = int.from_bytes(rest[:4], "little"), int.from_bytes(rest[4:12], "little")
    return length > len(rest) and found == seq + 1 and rest[HEAD_SIZE - HASH_SIZE:HEAD_SIZE] == head_hash
