"""Who may write: a file lock keeps a second process out, and a small record says under which epoch the holder writes.

The lock goes with its process, so nothing has to be cleaned up after a crash. The record is for the process that slept:
it is renewed on the clock that counts suspend, and each taking raises its epoch, so that what was cleared before is
refused.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace as changed

from interlock.errors import LeaseHeld, StorageError
from interlock.model.money import SECOND, Nanos
from interlock.storage.files import PRIVATE, replace

TTL: Final = 15 * SECOND
RENEW_EVERY: Final = 5 * SECOND
_RECORD_MAX: Final = 4096
_WAIT_S: Final = 2.0


class LeaseRecord(Struct, frozen=True):
    """What `lease.json` holds. `renewed` is on the boot clock of this machine; 0: released."""

    holder: str
    pid: int
    epoch: int
    renewed: Nanos
    ttl: Nanos


_decoder = msgspec.json.Decoder(LeaseRecord)


def boot_clock() -> Nanos:
    """Nanoseconds since this machine started, time spent suspended included (macOS: its monotonic clock does so)."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def read_record(directory: Path) -> LeaseRecord | None:
    """The record of a state directory, None if it was never leased. Raises StorageError for one that cannot be read."""
    path = directory / "lease.json"
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _decoder.decode(os.read(handle, _RECORD_MAX))
        finally:
            os.close(handle)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise StorageError(f"{path} holds no lease ({error}); remove it if `interlock status` shows no engine"
                           ) from error


class Lease:
    """The right to write in a state directory, held by this process. Made by `take`."""

    def __init__(self, directory: Path, lock: int, record: LeaseRecord, now_boot: Callable[[], Nanos]) -> None:
        self._directory = directory
        self._lock = lock
        self._record = record
        self._now = now_boot

    @classmethod
    def take(cls, directory: Path | str, holder: str, now_boot: Callable[[], Nanos] = boot_clock) -> "Lease":
        """Lock the directory and begin the next epoch. Raises LeaseHeld while another process has it."""
        directory = Path(directory)
        lock = _open_lock(directory / "lease.lock")
        if not _is_locked(lock):
            os.close(lock)
            raise LeaseHeld(_who_holds(directory, now_boot()))
        try:
            record = _begin_epoch(directory, holder, now_boot)
        except StorageError:
            os.close(lock)
            raise
        return cls(directory, lock, record, now_boot)

    @classmethod
    def seize(cls, directory: Path | str, holder: str, now_boot: Callable[[], Nanos] = boot_clock) -> "Lease":
        """Begin the next epoch over the head of a holder that hangs, whose lock stays with it: from now on its writes are
        refused, and so are its renewals. For the rescue alone. Raises StorageError."""
        directory = Path(directory)
        return cls(directory, -1, _begin_epoch(directory, holder, now_boot), now_boot)

    @property
    def epoch(self) -> int:
        """The epoch that this holder began."""
        return self._record.epoch

    def renew(self) -> None:
        """Say that we are awake; due every RENEW_EVERY. Raises LeaseHeld when somebody has overruled us, StorageError
        when we slept past the lease: then `retake`, reconcile, and only then write."""
        if self.is_overslept():
            raise StorageError(f"{self._slept()}; it must be taken again")
        with _writing(self._directory, self._now):
            self._refuse_overruled()
            record = changed(self._record, renewed=self._now())
            replace(self._directory / "lease.json", msgspec.json.encode(record))
            self._record = record

    def retake(self) -> int:
        """After sleeping: begin the next epoch under the lock that is still ours; the epoch. Raises LeaseHeld when
        somebody has overruled us meanwhile."""
        with _writing(self._directory, self._now):
            self._refuse_overruled()
            self._record = _next(self._directory, self._record.holder, self._now)
        return self._record.epoch

    def read_epoch(self) -> int:
        """The epoch that stands in the record now, read anew at each call; it is not ours if we were overruled.

        Raises StorageError when it cannot be read, or when the lease has run out.
        """
        record = read_record(self._directory)
        if record is None:
            raise StorageError(f"{self._directory / 'lease.json'}: expected epoch {self.epoch}, found no record")
        if self._now() - record.renewed > record.ttl:
            raise StorageError(self._slept())
        return record.epoch

    def is_overslept(self) -> bool:
        """Whether more than the time to live has passed since the last renewal."""
        return self._now() - self._record.renewed > self._record.ttl

    def _slept(self) -> str:
        age = (self._now() - self._record.renewed) / SECOND
        return f"the lease was renewed {age:.1f} s ago and lives {self._record.ttl / SECOND:.0f} s"

    def _refuse_overruled(self) -> None:
        found = read_record(self._directory)
        if found is None:
            raise StorageError(f"{self._directory / 'lease.json'}: expected epoch {self.epoch}, found no record")
        if found.epoch != self.epoch:
            raise LeaseHeld(f"{self._directory}: expected epoch {self.epoch} of the lease, found epoch {found.epoch}, "
                            f"held by {found.holder} (pid {found.pid}); this process may not write any more")

    def release(self) -> None:
        """Give the directory back. The epoch stays, so that the next taking is above it."""
        if self._lock < 0:
            return
        try:
            with _writing(self._directory, self._now):
                found = read_record(self._directory)
                if found is not None and found.epoch == self.epoch:
                    replace(self._directory / "lease.json", msgspec.json.encode(changed(self._record, renewed=0)))
        finally:
            os.close(self._lock)
            self._lock = -1


def overrule(directory: Path | str, holder: str, now_boot: Callable[[], Nanos] = boot_clock) -> int:
    """`Lease.seize` for who keeps nothing of it: the epoch that began. Raises StorageError."""
    return Lease.seize(directory, holder, now_boot).epoch


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        raise StorageError(f"{path} cannot be opened: {error.strerror}") from error


def _begin_epoch(directory: Path, holder: str, now_boot: Callable[[], Nanos]) -> LeaseRecord:
    with _writing(directory, now_boot):
        return _next(directory, holder, now_boot)


def _next(directory: Path, holder: str, now_boot: Callable[[], Nanos]) -> LeaseRecord:
    before = read_record(directory)
    record = LeaseRecord(holder, os.getpid(), before.epoch + 1 if before else 1, now_boot(), TTL)
    replace(directory / "lease.json", msgspec.json.encode(record))
    return record


@contextmanager
def _writing(directory: Path, now_boot: Callable[[], Nanos]) -> Iterator[None]:
    """Held around reading the record and writing it back, so that a renewal never undoes a higher epoch."""
    lock = _open_lock(directory / "lease.write")
    try:
        until = time.monotonic() + _WAIT_S
        while not _is_locked(lock):
            if time.monotonic() > until:
                raise StorageError(f"{_who_holds(directory, now_boot())}. It stopped while it renewed its lease: end "
                                   "it for good (kill -9), then try again")
            time.sleep(0.005)
        yield
    finally:
        os.close(lock)


def _is_locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _who_holds(directory: Path, now: Nanos) -> str:
    found = read_record(directory)
    if found is None:
        return f"{directory} is held by a process that has not said who it is; look with `fuser {directory}/lease.lock`"
    return (f"{directory} is held by {found.holder} (pid {found.pid}, epoch {found.epoch}, renewed "
            f"{max(0, now - found.renewed) / SECOND:.0f} s ago); look with `interlock status` or `ps -p {found.pid}`")
