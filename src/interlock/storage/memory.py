"""The store without a disk: for replay, and for tests of what stands on a store."""

from collections.abc import Iterator

from interlock.errors import StorageError
from interlock.model.entry import GENESIS
from interlock.model.tape import ROW_SIZE
from interlock.ports import Batch, StoredSnapshot
from interlock.storage.chain import Kept, KeptBatch

SNAPSHOTS_KEPT = 2


class MemoryStore(Kept):
    """Batches in a list. With `keeps_tape` off rows are counted and thrown away; `keeps_records` is so for entries."""

    def __init__(self, *, keeps_tape: bool = True, keeps_records: bool = True) -> None:
        self.keeps_tape = keeps_tape
        self._keeps_records = keeps_records
        self._head: tuple[int, bytes, int] = (0, GENESIS, 0)
        self._batches: list[KeptBatch] = []
        self._tape: list[tuple[int, bytes]] = []
        self._snapshots: list[StoredSnapshot] = []
        self._is_closed = False

    def commit(self, batch: Batch) -> None:
        """As `ports.Store.commit`."""
        if self._is_closed:
            raise StorageError("this store is closed; open it again")
        check_follows(batch, self._head)
        last_row = batch.first_row + len(batch.tape) // ROW_SIZE
        if batch.records and self._keeps_records:
            self._batches.append(
                KeptBatch(batch.first_seq, batch.last_seq, batch.prev_hash, batch.head_hash, batch.records))
        if batch.tape and self.keeps_tape:
            self._tape.append((batch.first_row, batch.tape))
        if batch.snapshot is not None:
            kept = [snapshot for snapshot in self._snapshots if snapshot.seq != batch.last_seq]
            self._snapshots = [*kept, StoredSnapshot(batch.last_seq, batch.head_hash, last_row, batch.snapshot)]
            del self._snapshots[:-SNAPSHOTS_KEPT]
        self._head = (batch.last_seq, batch.head_hash, last_row)

    def head(self) -> tuple[int, bytes, int]:
        """seq and hash of the last entry (0 and zeros if none), and the number of tape rows."""
        return self._head

    def kept(self, from_seq: int = 1) -> Iterator[KeptBatch]:
        """As `Kept.kept`."""
        return (batch for batch in tuple(self._batches) if batch.last_seq >= from_seq)

    def rows(self, from_row: int = 0) -> Iterator[tuple[int, bytes]]:
        """As `Kept.rows`."""
        return ((first, rows) for first, rows in tuple(self._tape) if first + len(rows) // ROW_SIZE > from_row)

    def latest_snapshot(self) -> StoredSnapshot | None:
        """The newest one, None if there is none."""
        return self._snapshots[-1] if self._snapshots else None

    def cut_back(self, kept: KeptBatch) -> None:
        """As `Kept.cut_back`."""
        self._batches.pop()
        if kept.records:
            self._batches.append(kept)
        self._snapshots = [snapshot for snapshot in self._snapshots if snapshot.seq <= kept.last_seq]
        self._head = (kept.last_seq, kept.head_hash, self._head[2])

    def close(self) -> None:
        """Later commits are refused; what was kept can still be read."""
        self._is_closed = True


def check_follows(batch: Batch, head: tuple[int, bytes, int]) -> None:
    """Raises StorageError unless the batch begins where the record ends."""
    seq, head_hash, rows = head
    if (batch.first_seq, batch.prev_hash, batch.first_row) != (seq + 1, head_hash, rows):
        raise StorageError(f"expected a batch that follows entry {seq} and row {rows}, found one from entry "
                           f"{batch.first_seq} and row {batch.first_row} on; another writer may be at work")
    if batch.records:
        is_sound = batch.last_seq > seq
    else:
        is_sound = (batch.last_seq, batch.head_hash) == (seq, head_hash)
    if not is_sound or len(batch.tape) % ROW_SIZE:
        raise StorageError(f"a batch of {len(batch.records)} bytes and {len(batch.tape)} bytes of tape cannot reach "
                           f"from entry {batch.first_seq} to {batch.last_seq}")
