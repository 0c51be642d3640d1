"""The fence: the lease at a higher epoch, so that an engine which hangs now and wakes later can write nothing.

Its lock stays with the engine while that lives; where none runs, the lock is taken too, and no engine can start meanwhile.
"""

import asyncio
from pathlib import Path
from typing import Final

from interlock.errors import LeaseHeld, StorageError
from interlock.model.clearance import Epochs
from interlock.storage.lease import RENEW_EVERY, Lease
from interlock.storage.reserve import spend

HOLDER: Final = "interlock-kill"


class Fence:
    """The epoch under which the rescue writes. Somebody else's above it ends that."""

    def __init__(self, lease: Lease, *, was_held: bool) -> None:
        self._lease = lease
        self.epoch = lease.epoch
        self.was_held = was_held       # by an engine that is alive, hung or stopped

    @property
    def signed(self) -> Epochs:
        """What our own clearances are signed under: the epoch that we began, whatever stands in the record by now."""
        return Epochs(kill=0, lease=self.epoch, config=0)

    def read(self) -> Epochs:
        """What stands in the record now. Raises StorageError when it cannot be read or has run out."""
        return Epochs(kill=0, lease=self._lease.read_epoch(), config=0)

    async def keep(self) -> None:
        """Renew until cancelled. Raises StorageError, LeaseHeld."""
        while True:
            await asyncio.sleep(RENEW_EVERY / 1e9)
            self._lease.renew()

    def release(self) -> None:
        self._lease.release()


def take(directory: Path) -> Fence:
    """Take the lease, over the head of whoever holds it. A full disk is given its reserve. Raises StorageError."""
    try:
        return _take(directory)
    except StorageError:
        if not spend(directory):
            raise
    return _take(directory)


def _take(directory: Path) -> Fence:
    try:
        return Fence(Lease.take(directory, HOLDER), was_held=False)
    except LeaseHeld:
        return Fence(Lease.seize(directory, HOLDER), was_held=True)
