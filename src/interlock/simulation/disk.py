"""A disk as a machine's owner must expect it to be, and the journal's store and lease on top of it.

Each file has bytes that are durable and writes that are only cached; each directory has names that are durable and names
that are not yet. A sync makes a file's bytes durable, a sync of the directory its names. What a crash leaves is drawn from
what a real file system may leave: any beginning of the cached writes, the last of them cut at any byte or grown and still
zero, files independently of each other, and any beginning of the changes to the names.
"""

import errno
import hashlib
import itertools
import os
import random
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace as changed

from interlock.errors import JournalDamaged, LeaseHeld, StorageError
from interlock.model.money import Nanos
from interlock.model.tape import ROW_SIZE
from interlock.ports import Batch, StoredSnapshot
from interlock.storage.chain import KeptBatch
from interlock.storage.lease import TTL, LeaseRecord
from interlock.storage.memory import SNAPSHOTS_KEPT, MemoryStore, check_follows

JOURNAL: Final = "journal.log"
LEASE: Final = "lease.json"


class Write(Struct, frozen=True):
    at: int
    data: bytes


class File:
    """One file, whatever it is called."""

    def __init__(self, durable: bytes = b"") -> None:
        self.durable = bytearray(durable)
        self.cached: list[Write] = []
        self.view = bytearray(durable)
        self.has_lost = False          # a sync failed: between durable bytes there may be some that are not

    def write(self, at: int, data: bytes) -> None:
        self.cached.append(Write(at, bytes(data)))
        _put(self.view, at, data)

    def sync(self) -> None:
        for write in self.cached:
            _put(self.durable, write.at, write.data)
        self.cached.clear()

    def drop(self) -> None:
        """The cached writes are gone, and nobody is told: the view still shows them until the file is opened anew."""
        self.has_lost = True
        self.cached.clear()

    def truncate(self, size: int) -> None:
        self.sync()                    # as a journal's recovery does it: cut, then synced before anything else
        del self.durable[size:]
        self.view = bytearray(self.durable)

    def outcomes(self, *, every_cut: int = 64) -> Iterator[bytes]:
        """Every content that a crash may leave; long writes are cut at a few bytes only."""
        body = bytes(self.durable)
        yield body
        for write in self.cached:
            size = len(write.data)
            cuts = range(1, size) if size <= every_cut else sorted({1, 4, 5, 16, size // 3, size // 2, size - 33, size - 1})
            for cut in cuts:
                yield _after(body, [Write(write.at, write.data[:cut])])
            yield _after(body, [Write(write.at, bytes(size))])         # grown, and still zero
            body = _after(body, [write])
            yield body

    def outcome(self, rng: random.Random) -> bytes:
        """One of them, by chance."""
        kept = rng.randint(0, len(self.cached))
        body = _after(bytes(self.durable), self.cached[:kept])
        if kept < len(self.cached):
            write = self.cached[kept]
            how = rng.random()
            if how < 0.4:
                body = _after(body, [Write(write.at, write.data[:rng.randint(0, len(write.data))])])
            elif how < 0.55:
                body = _after(body, [Write(write.at, bytes(len(write.data)))])
        return body


class Naming(Struct, frozen=True):
    """A change to the names that no sync has covered yet: `file` is called `name` from now on, or nothing is (None)."""

    name: str
    file: File | None
    gone: str = ""                     # the name that a rename took away


class Disk:
    """One directory of one machine. It outlives the processes that use it; `crash` is the machine's or the process's end.

    Failures are set from outside: `space` (bytes that are left), `fail_writes` and `fail_syncs` (how many of the next ones
    fail), `is_read_only`, `has_handles`, `locked_until`, `sync_ns`. `on_operation(what, path, ok, detail)` hears of each.
    """

    def __init__(self, seed: int | str = 0) -> None:
        self.names: dict[str, File] = {}
        self.durable_names: dict[str, File] = {}
        self.waiting: list[Naming] = []
        self.locks: dict[str, object] = {}
        self.space: int | None = None
        self.fail_writes = self.fail_syncs = 0
        self.is_read_only = False
        self.has_handles = True
        self.locked_until: Nanos = 0
        self.sync_ns: Nanos = 0        # what the next syncs take longer
        self.operations = 0
        self.on_operation: Callable[[str, str, bool, str], None] | None = None
        self._rng = random.Random(f"disk:{seed}")
        self._trace = hashlib.sha256()

    @property
    def digest(self) -> str:
        """Over every operation: what, where, how many bytes."""
        return self._trace.hexdigest()

    # -- what a process can do

    def exists(self, name: str) -> bool:
        return name in self.names

    def read(self, name: str) -> bytes:
        """Raises FileNotFoundError, OSError."""
        if not self.has_handles:
            raise self._failed("open", name, errno.EMFILE)
        file = self.names.get(name)
        if file is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", name)
        return bytes(file.view)

    def create(self, name: str) -> None:
        """An empty file under that name, in the place of whatever had it. Raises OSError."""
        self._may_write("create", name)
        file = File()
        self.names[name] = file
        self.waiting.append(Naming(name, file))
        self._note("create", name)

    def append(self, name: str, data: bytes) -> None:
        self.write(name, len(self.names[name].view), data)

    def write(self, name: str, at: int, data: bytes) -> None:
        """Raises OSError; on a full disk the part that fitted is written."""
        self._may_write("write", name)
        file = self.names[name]
        if self.fail_writes:
            self.fail_writes -= 1
            raise self._failed("write", name, errno.EIO)
        grown = max(0, at + len(data) - len(file.view))
        if self.space is not None:
            if grown > self.space:
                fits = len(data) - (grown - self.space)
                file.write(at, data[:max(0, fits)])
                self.space = 0
                raise self._failed("write", name, errno.ENOSPC)
            self.space -= grown
        file.write(at, data)
        self._note("write", name, str(len(data)))

    def sync(self, name: str) -> None:
        """Raises OSError once per `fail_syncs`; the data of that file is then lost, and the next sync says that all is well."""
        file = self.names[name]
        if self.fail_syncs:
            self.fail_syncs -= 1
            file.drop()
            raise self._failed("sync", name, errno.EIO)
        file.sync()
        self._note("sync", name)

    def rename(self, source: str, target: str) -> None:
        self._may_write("rename", target)
        file = self.names.pop(source)
        self.names[target] = file
        self.waiting.append(Naming(target, file, source))
        self._note("rename", target)

    def unlink(self, name: str) -> None:
        self._may_write("unlink", name)
        if self.names.pop(name, None) is not None:
            self.waiting.append(Naming(name, None))
            self._note("unlink", name)

    def truncate(self, name: str, size: int) -> None:
        self._may_write("truncate", name)
        self.names[name].truncate(size)
        self._note("truncate", name, str(size))

    def sync_names(self) -> None:
        if self.fail_syncs:
            self.fail_syncs -= 1
            raise self._failed("sync", ".", errno.EIO)
        self.durable_names = _named(self.durable_names, self.waiting)
        self.waiting.clear()
        self._note("sync", ".")

    def replace(self, name: str, body: bytes) -> None:
        """Old content or new, whole, whatever happens: draft, sync, rename, sync of the name. Raises OSError."""
        draft = f"{name}.new"
        self.create(draft)
        self.append(draft, body)
        self.sync(draft)
        self.rename(draft, name)
        self.sync_names()

    # -- what may happen to it

    def flip(self, name: str, bit: int) -> None:
        """A bit changes at rest."""
        file = self.names[name]
        if bit // 8 >= min(len(file.durable), len(file.view)):
            raise ValueError(f"{name} has no bit {bit}")
        _flip(file.view, bit)
        _flip(file.durable, bit)
        self._note("flip", name, str(bit))

    def process_ends(self, holder: object) -> None:
        """Its locks go with it; what it has written stays in the cache and gets to the disk."""
        self.locks = {name: each for name, each in self.locks.items() if each is not holder}

    def crash(self) -> None:
        """The power fails: one of the permitted states is what is left, and everything is closed."""
        kept = self._rng.randint(0, len(self.waiting))
        names = _named(self.durable_names, self.waiting[:kept])
        contents = {id(file): file.outcome(self._rng) for file in names.values()}
        self._become({name: contents[id(file)] for name, file in names.items()})
        self._note("crash", "", str(kept))

    def crashes(self, *, every_cut: int = 64) -> "Iterator[Disk]":
        """A disk for every state that a crash here and now may leave. Writes of at most `every_cut` bytes are cut at each."""
        for kept in range(len(self.waiting) + 1):
            names = _named(self.durable_names, self.waiting[:kept])
            files = list(dict.fromkeys(names.values()))
            for bodies in itertools.product(*(tuple(file.outcomes(every_cut=every_cut)) for file in files)):
                left = Disk()
                content = dict(zip(map(id, files), bodies, strict=True))
                left._become({name: content[id(file)] for name, file in names.items()})
                yield left

    def _become(self, contents: dict[str, bytes]) -> None:
        self.names = {name: File(body) for name, body in contents.items()}
        self.durable_names = dict(self.names)
        self.waiting.clear()
        self.locks.clear()

    # -- how it tells

    def _may_write(self, what: str, name: str) -> None:
        if not self.has_handles:
            raise self._failed(what, name, errno.EMFILE)
        if self.is_read_only:
            raise self._failed(what, name, errno.EROFS)

    def _note(self, what: str, path: str, detail: str = "", *, ok: bool = True) -> None:
        self.operations += 1
        self._trace.update(f"{what} {path} {detail} {ok}\n".encode())
        if self.on_operation is not None:
            self.on_operation(what, path, ok, detail)

    def _failed(self, what: str, path: str, number: int) -> OSError:
        name = errno.errorcode[number]
        self._note(what, path, name, ok=False)
        return OSError(number, os.strerror(number), path)


class SimStore(MemoryStore):
    """The journal on a simulated disk: one file to which each batch is appended as a frame and synced.

    A frame holds the batch as the product made it, records and hashes included. Reading back, a frame at the very end that is
    not whole was torn and is cut away; anything else that does not fit is damage, and refuses. As with the product's own
    store, the first commit that fails is the last that is taken. What an opening finds may stand in the cache alone (after a
    sync that failed it does, and no later sync will write it), so it is written and synced anew before it is built upon.

    `syncs`, `rewrites` off and `retries` on are planted bugs: nothing is synced; what is found is believed; a failed sync is
    tried again.
    """

    def __init__(self, disk: Disk, *, name: str = JOURNAL, syncs: bool = True, retries: bool = False, rewrites: bool = True,
                 is_fenced: Callable[[], bool] = lambda: False) -> None:
        super().__init__()
        self.name = name
        self._disk, self._syncs, self._retries, self._is_fenced = disk, syncs, retries, is_fenced
        self._failure = ""
        self._ends: list[tuple[int, int]] = []         # where each frame ends, and with which entry
        with _told(name, "opening"):
            if not disk.exists(name):
                disk.create(name)
            if syncs:
                disk.sync(name)
                disk.sync_names()
            body = disk.read(name)
            whole = self._load(body)
            if syncs and rewrites and body:
                disk.replace(name, body[:whole])
            elif self.torn:
                disk.truncate(name, whole)
                disk.sync(name)

    def durable_seq(self) -> int:
        """The last entry that a power cut here and now would leave for certain. For observers; the product cannot ask this."""
        file = self._disk.durable_names.get(self.name)
        if file is None:
            return 0
        seq, size = 0, len(file.durable)
        if not file.has_lost:
            for end, last in reversed(self._ends):
                if end <= size:
                    return last
            return 0
        at = 0
        while at < size:
            batch, at = _read(bytes(file.durable), at)
            if batch is None:
                break
            seq = batch.last_seq
        return seq

    def since(self, seq: int) -> list[KeptBatch]:
        """The batches that hold entries after `seq`, found from the end."""
        first = len(self._batches)
        while first and self._batches[first - 1].last_seq > seq:
            first -= 1
        return self._batches[first:]

    def commit(self, batch: Batch) -> None:
        """As `ports.Store.commit`."""
        if self._is_fenced():
            raise StorageError(f"{self.name}: the process that had it open is gone")
        if self._failure:
            raise StorageError(f"{self.name}: nothing can be committed, {self._failure}; open the journal again")
        check_follows(batch, self.head())
        if self._is_closed:
            raise StorageError("this store is closed; open it again")
        try:
            with _told(self.name, "commit"):
                self._disk.append(self.name, frame(batch))
                self._ends.append((len(self._disk.names[self.name].view), batch.last_seq))
                self._sync()
        except StorageError as error:
            self._failure = f"an earlier commit failed ({error})"
            raise
        super().commit(batch)

    def _sync(self) -> None:
        if not self._syncs:
            return
        try:
            self._disk.sync(self.name)
        except OSError:
            if not self._retries:
                raise
            self._disk.sync(self.name)             # the planted bug: the second one says that all is well

    def cut_back(self, kept: KeptBatch) -> None:
        """As `Kept.cut_back`: the file is written anew from what is kept."""
        super().cut_back(kept)
        with _told(self.name, "cutting back a torn tail"):
            self._disk.replace(self.name, b"".join(frame(batch) for batch in self._as_batches()))

    def _as_batches(self) -> Iterator[Batch]:
        pieces = list(self.rows())
        snapshots = {snapshot.seq: snapshot for snapshot in self._snapshots}
        row = 0
        for batch in self.kept():
            tape = b""
            if pieces:
                row, tape = pieces.pop(0)
            found = snapshots.get(batch.last_seq)
            yield Batch(batch.first_seq, batch.last_seq, batch.prev_hash, batch.head_hash, batch.records, row, tape,
                        None if found is None else found.body)
            row += len(tape) // ROW_SIZE

    def _load(self, body: bytes) -> int:
        """Take in what is whole; how many bytes that are."""
        at, whole = 0, 0
        while at < len(body):
            batch, at = _read(body, at)
            if batch is None:
                break
            self._take(batch)
            self._ends.append((at, batch.last_seq))
            whole = at
        self.torn = len(body) - whole
        if self.torn and _find(body, whole + 1) is not None:
            raise JournalDamaged(f"{self.name}: the frame at byte {whole} is damaged, and whole ones follow it")
        return whole

    def _take(self, batch: Batch) -> None:
        """What stood in a frame, unjudged: the chain is checked by whoever opens the journal."""
        last_row = batch.first_row + len(batch.tape) // ROW_SIZE
        if batch.records:
            self._batches.append(
                KeptBatch(batch.first_seq, batch.last_seq, batch.prev_hash, batch.head_hash, batch.records))
        if batch.tape:
            self._tape.append((batch.first_row, batch.tape))
        if batch.snapshot is not None:
            kept = [snapshot for snapshot in self._snapshots if snapshot.seq != batch.last_seq]
            self._snapshots = [*kept, StoredSnapshot(batch.last_seq, batch.head_hash, last_row, batch.snapshot)]
            del self._snapshots[:-SNAPSHOTS_KEPT]
        self._head = (batch.last_seq, batch.head_hash, last_row)


_MAGIC: Final = b"\xa5FRM"
_HEAD: Final = len(_MAGIC) + 8
_batches: Final = msgspec.msgpack.Decoder(Batch)


def frame(batch: Batch) -> bytes:
    """One batch as the simulated disk holds it: a mark, length, checksum, content."""
    body = msgspec.msgpack.encode(batch)
    return _MAGIC + len(body).to_bytes(4, "big") + zlib.crc32(body).to_bytes(4, "big") + body


def _read(body: bytes, at: int) -> tuple[Batch | None, int]:
    if body[at:at + len(_MAGIC)] != _MAGIC or len(body) < at + _HEAD:
        return None, at
    size = int.from_bytes(body[at + 4:at + 8], "big")
    content = body[at + _HEAD:at + _HEAD + size]
    if len(content) != size or zlib.crc32(content) != int.from_bytes(body[at + 8:at + 12], "big"):
        return None, at
    return _batches.decode(content), at + _HEAD + size


def _find(body: bytes, at: int) -> int | None:
    """Where the next whole frame begins; None if there is none."""
    while (at := body.find(_MAGIC, at)) >= 0:
        if _read(body, at)[0] is not None:
            return at
        at += 1
    return None


class SimLease:
    """`storage.lease.Lease` with its record on a simulated disk: the same record, epochs and rules, told by the same errors.

    The product's own opens files and asks the system for a lock; here the disk holds both. `tests/simulation` runs the two
    through the same stories. `holder` is the process: its lock goes with it.
    """

    def __init__(self, disk: Disk, holder: object, record: LeaseRecord, now_boot: Callable[[], Nanos],
                 is_fenced: Callable[[], bool]) -> None:
        self._disk, self._holder, self._record, self._now, self._is_fenced = disk, holder, record, now_boot, is_fenced

    @classmethod
    def take(cls, disk: Disk, holder: object, name: str, now_boot: Callable[[], Nanos], *,
             is_fenced: Callable[[], bool] = lambda: False) -> "SimLease":
        """Raises LeaseHeld while another process has it, StorageError."""
        if disk.locks.get(LEASE, holder) is not holder:
            raise LeaseHeld(f"the state directory is held by {record_of(disk)}")
        disk.locks[LEASE] = holder
        try:
            record = _next(disk, name, now_boot)
        except StorageError:
            del disk.locks[LEASE]
            raise
        return cls(disk, holder, record, now_boot, is_fenced)

    @property
    def epoch(self) -> int:
        return self._record.epoch

    def renew(self) -> None:
        if self.is_overslept():
            raise StorageError(f"{self._slept()}; it must be taken again")
        self._refuse_overruled()
        record = changed(self._record, renewed=self._now())
        _put_lease(self._disk, record)
        self._record = record

    def retake(self) -> int:
        self._refuse_overruled()
        self._record = _next(self._disk, self._record.holder, self._now)
        return self._record.epoch

    def read_epoch(self) -> int:
        if self._is_fenced():
            raise StorageError("the process that had the lease is gone")
        record = record_of(self._disk)
        if record is None:
            raise StorageError(f"{LEASE}: expected epoch {self.epoch}, found no record")
        if self._now() - record.renewed > record.ttl:
            raise StorageError(self._slept())
        return record.epoch

    def is_overslept(self) -> bool:
        return self._now() - self._record.renewed > self._record.ttl

    def release(self) -> None:
        if self._disk.locks.get(LEASE) is not self._holder:
            return
        found = record_of(self._disk)
        if found is not None and found.epoch == self.epoch:
            _put_lease(self._disk, changed(self._record, renewed=0))
        del self._disk.locks[LEASE]

    def _refuse_overruled(self) -> None:
        found = record_of(self._disk)
        if found is None:
            raise StorageError(f"{LEASE}: expected epoch {self.epoch}, found no record")
        if found.epoch != self.epoch:
            raise LeaseHeld(f"expected epoch {self.epoch} of the lease, found epoch {found.epoch}, held by {found.holder}; this "
                            "process may not write any more")

    def _slept(self) -> str:
        age = (self._now() - self._record.renewed) / 1e9
        return f"the lease was renewed {age:.1f} s ago and lives {self._record.ttl / 1e9:.0f} s"


def overrule(disk: Disk, name: str, now_boot: Callable[[], Nanos]) -> int:
    """As `storage.lease.overrule`: the next epoch over the head of a holder that hangs, without its lock."""
    return _next(disk, name, now_boot).epoch


_leases: Final = msgspec.json.Decoder(LeaseRecord)


def record_of(disk: Disk) -> LeaseRecord | None:
    """What stands in the lease's file, None where there is none. Raises StorageError."""
    try:
        return _leases.decode(disk.read(LEASE))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{LEASE} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise StorageError(f"{LEASE} holds no lease ({error})") from error


def _next(disk: Disk, name: str, now_boot: Callable[[], Nanos]) -> LeaseRecord:
    before = record_of(disk)
    record = LeaseRecord(name, 1, before.epoch + 1 if before else 1, now_boot(), TTL)
    _put_lease(disk, record)
    return record


def _put_lease(disk: Disk, record: LeaseRecord) -> None:
    with _told(LEASE, "writing"):
        disk.replace(LEASE, msgspec.json.encode(record))


class _told:
    """Turns what a disk raises into the product's words."""

    def __init__(self, name: str, what: str) -> None:
        self._name, self._what = name, what

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            raise StorageError(f"{self._name}: {self._what} failed: {error.strerror}") from error


def _put(body: bytearray, at: int, data: bytes) -> None:
    if at > len(body):
        body.extend(bytes(at - len(body)))
    body[at:at + len(data)] = data


def _after(body: bytes, writes: list[Write]) -> bytes:
    if not writes:
        return body
    result = bytearray(body)
    for write in writes:
        _put(result, write.at, write.data)
    return bytes(result)


def _named(names: dict[str, File], changes: list[Naming]) -> dict[str, File]:
    result = dict(names)
    for change in changes:
        if change.gone:
            result.pop(change.gone, None)
        if change.file is None:
            result.pop(change.name, None)
        else:
            result[change.name] = change.file
    return result


def _flip(body: bytearray, bit: int) -> None:
    body[bit // 8] ^= 1 << (bit % 8)
