"""Looking at a record as a whole: is it sound, and if it is not, what can still be read of it."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from interlock.errors import JournalDamaged, StorageError
from interlock.model.tape import ROW_SIZE
from interlock.ports import Batch
from interlock.storage.chain import Kept, KeptBatch, Walk, beginning
from interlock.storage.files import rename, sync_directory, sync_file
from interlock.storage.sqlite.connection import beside
from interlock.storage.sqlite.store import SqliteStore

_ALL: Final = (1 << 63) - 1


class Verification(Struct, frozen=True):
    """What a reading of the whole record found. `entries` and `digest` cover all that is sound."""

    entries: int
    ok: bool
    damage: str | None                 # where, and what was expected there
    digest: str
    cut: int                           # bytes behind the last commit; beside a running writer one may be in progress


def verify(store: Kept | Path | str) -> Verification:
    """Read every entry and every named row, and check them all. A path is opened read-only.

    Raises StorageError when there is nothing to read (no such file, no right to read it); damage is an answer.
    """
    if isinstance(store, Kept):
        return _verify(store)
    try:
        opened = SqliteStore(store, read_only=True)
    except JournalDamaged as error:
        return Verification(0, False, str(error), "", 0)
    try:
        return _verify(opened)
    finally:
        opened.close()


def _verify(store: Kept) -> Verification:
    walk = Walk(store)
    damage = None
    try:
        walk.run()
    except JournalDamaged as error:
        damage = str(error)
    return Verification(walk.entries, damage is None, damage, walk.digest, store.torn)


class Repair(Struct, frozen=True):
    """What a repair kept and what it could not."""

    path: Path                         # the readable prefix, under the journal's name
    kept_as: Path                      # the damaged file, untouched
    entries: int                       # that were kept
    lost: int                          # that the damaged file says it had and that are not in the prefix
    damage: str


def repair(path: Path | str, *, now: Callable[[], int] = time.time_ns) -> Repair:
    """Put the readable prefix of a damaged journal in its place and keep the damaged file under a dated name.

    Nothing is rewritten: entries keep their bytes, and what lies behind the damage stays in the kept file alone, so
    that a person can decide. Hold the lease while this runs; a repair that was interrupted is finished by the next.
    Raises StorageError for a sound journal, JournalDamaged when not one entry can be read.
    """
    path = Path(path)
    whole = beside(path, ".repairing")
    stamp = datetime.fromtimestamp(now() / 1e9, UTC).strftime("%Y%m%dT%H%M%SZ")
    kept_as = beside(path, f".damaged-{stamp}")
    if whole.exists():
        entries, lost, damage = _count(whole), 0, "a repair was interrupted; what it lost stands in the kept file"
    else:
        entries, lost, damage = _copy(path, whole)
    if not kept_as.exists():
        os.link(path, kept_as)
    for suffix in ("-wal", "-shm"):
        if beside(path, suffix).exists():
            os.replace(beside(path, suffix), beside(kept_as, suffix))
    sync_directory(path.parent)
    rename(whole, path)                # the last step: until here the draft's name keeps a writer from starting
    return Repair(path, kept_as, entries, lost, damage)


def _count(path: Path) -> int:
    store = SqliteStore(path, read_only=True)
    try:
        return store.head()[0]
    finally:
        store.close()


def _copy(path: Path, whole: Path) -> tuple[int, int, str]:
    """Copy the sound prefix; entries kept, entries lost, the damage."""
    draft = beside(path, ".copying")
    for suffix in ("", "-wal", "-shm"):
        beside(draft, suffix).unlink(missing_ok=True)
    source = SqliteStore(path, read_only=True)
    claimed = _claimed(source)
    try:
        target = SqliteStore(draft, durability="none")
        try:
            walk = Walk(source, with_digest=False)
            damage = _copy_batches(source, walk, target)
            if walk.seq == 0:
                raise JournalDamaged(f"{path}: not one entry can be read ({damage}); put back a copy of the file")
        finally:
            target.close()
    finally:
        source.close()
    sync_file(draft)
    rename(draft, whole)
    return walk.entries, max(0, claimed - walk.seq), damage


def _claimed(source: Kept) -> int:
    """The last entry that the file says it has; 0 where it cannot say, which is damage that `Walk` names."""
    try:
        return source.head()[0]
    except JournalDamaged:
        return 0


def _copy_batches(source: Kept, walk: Walk, target: Kept) -> str:
    """Copy what is sound, the beginning of a damaged batch included; the damage in words."""
    done = 0
    try:
        for batch in walk.batches(_ALL):
            done = _put(source, batch, target, done, walk.marked or 0)
        walk.finish(source.head())
    except JournalDamaged as error:
        if walk.failed is not None and walk.seq >= walk.failed.first_seq:
            _put(source, beginning(walk.failed, walk.seq)[0], target, done, walk.marked or 0)
        return str(error)
    raise StorageError("the journal is sound; there is nothing to repair")


def _put(source: Kept, batch: KeptBatch, target: Kept, done: int, marked: int) -> int:
    """Commit one sound batch with the rows that it names; how many rows are in now."""
    taken = b""
    if marked > done:
        for first, piece in source.rows(done):
            taken += piece[max(0, done - first) * ROW_SIZE:(marked - first) * ROW_SIZE]
            if first + len(piece) // ROW_SIZE >= marked:
                break
    target.commit(Batch(batch.first_seq, batch.last_seq, batch.prev_hash, batch.head_hash, batch.records, done, taken))
    return max(done, marked)
