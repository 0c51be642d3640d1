"""Deliberate defects for the world simulator. The switch stands in the wiring; they are found by the oracles alone."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from tests.simulation.corpus import directed

from interlock.errors import NotCleared
from interlock.model.clearance import Epochs
from interlock.simulation.disk import SimLease, SimStore, record_of
from interlock.simulation.nodes import Engines
from interlock.simulation.plans import Plan
from interlock.simulation.world import Parts


class Unchecked(SimLease):
    """A lease that is believed for as long as it is not taken away."""

    def is_overslept(self) -> bool:
        return False

    def read_epoch(self) -> int:
        record = record_of(self._disk)
        assert record is not None
        return record.epoch


def unchecked(lease: SimLease) -> SimLease:
    return Unchecked(lease._disk, lease._holder, lease._record, lease._now, lease._is_fenced)


@dataclass
class Earlier:
    """Epochs as they were when somebody last looked."""

    seen: Epochs

    def read(self) -> Epochs:
        return self.seen


class ReadOnce:
    """Reads the epochs before it waits, and not again."""

    def __init__(self, narrow: Any) -> None:
        self._narrow, self._epochs = narrow, narrow._safe._epochs

    async def place(self, order: Any, clearance: Any) -> None:
        self._narrow._safe._epochs = Earlier(self._epochs.read())
        await self._narrow.place(order, clearance)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._narrow, name)


class OneLane:
    """Counts cancels against the throttle of orders."""

    def __init__(self, narrow: Any, world: Any) -> None:
        self._narrow, self._world, self._sent = narrow, world, list[int]()

    def _count(self) -> None:
        now = self._world.loop.ns
        self._sent = [ts for ts in self._sent if now - ts < 60 * 10**9]
        if len(self._sent) >= 8:
            raise NotCleared("safe.order_rate", "too many messages in the last minute")
        self._sent.append(now)

    async def place(self, order: Any, clearance: Any) -> None:
        self._count()
        await self._narrow.place(order, clearance)

    async def cancel(self, account: Any, client_order_id: Any, permit: str = "") -> None:
        self._count()
        await self._narrow.cancel(account, client_order_id, permit)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._narrow, name)


class OneAfterTheOther:
    """Asks the next venue only when the one before has answered."""

    def __init__(self, narrow: Any, world: Any) -> None:
        self._narrow = narrow
        self._turn = world.__dict__.setdefault("turn_of_venues", asyncio.Lock())

    async def read(self, account: Any) -> Any:
        async with self._turn:
            return await self._narrow.read(account)

    async def cancel(self, account: Any, client_order_id: Any, permit: str = "") -> None:
        async with self._turn:
            await self._narrow.cancel(account, client_order_id, permit)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._narrow, name)


def _wrapped(wrap: Callable[[Any, Any], Any]) -> Callable[[Engines, Any], None]:
    def after_build(node: Engines, built: Any) -> None:
        made: dict[int, Any] = {}
        for account, narrow in built.desk._brokers.items():
            built.desk._brokers[account] = made.setdefault(id(narrow._safe), wrap(narrow, node.world))

    return after_build


def _beside(node: Engines, built: Any) -> None:
    """Beats come from a task beside the decision loop."""
    heartbeat = built.driver.heartbeat

    async def beat() -> None:
        while True:
            await asyncio.sleep(1.0)
            heartbeat.passed()

    node.start(beat())


EUCLA: Final = ZoneInfo("Australia/Eucla")


def _host_zone(_: Engines, built: Any) -> None:
    """The trading day turns at the host's midnight."""
    session_of = built.engine._session

    def session(symbol: str, ts: int) -> Any:
        here = datetime.fromtimestamp(ts / 1e9, UTC).astimezone(EUCLA)
        return msgspec.structs.replace(session_of(symbol, ts), trade_date=str(here.date()))

    built.engine._session = session


def _any_endpoint(_: Engines, built: Any) -> None:
    """One adapter ignores which kind of venue answers: where it makes its line, and in what it tells of an account."""
    for venue in built.venues:
        venue.line._check = None
        venue.broker.read = _as_paper(venue.broker.read)


def _as_paper(read: Any) -> Any:
    async def told(account: Any) -> Any:
        return msgspec.structs.replace(await read(account), endpoint="paper", environment="paper_sim")

    return told


DEFECTS: Final[dict[str, tuple[Parts, Callable[[int], Plan], str]]] = {
    "record not synced": (
        Parts(store=lambda disk, gone: SimStore(disk, syncs=False, is_fenced=gone)), directed.failing_sync, "INV-01"),
    "sync failure retried": (
        Parts(store=lambda disk, gone: SimStore(disk, retries=True, is_fenced=gone)), directed.failing_sync, "INV-01"),
    "cache believed after a failed sync": (
        Parts(store=lambda disk, gone: SimStore(disk, rewrites=False, is_fenced=gone)), directed.failing_sync, "INV-01"),
    "lease not checked after a pause": (Parts(lease=unchecked), directed.overslept, "INV-15"),
    "wall clock in the lease": (
        Parts(boot=lambda world: world.wall), directed.overslept_while_the_clock_went_back, "INV-15"),
    "kill read once before the await": (
        Parts(after_build=_wrapped(lambda narrow, _: ReadOnce(narrow))), directed.killed_before_the_write, "INV-02"),
    "cancel lane shared": (Parts(after_build=_wrapped(OneLane)), directed.many_cancels, "INV-07"),
    "flatten sequential": (Parts(after_build=_wrapped(OneAfterTheOther)), directed.flatten_with_one_venue_down, "INV-27"),
    "paper flag ignored in the adapter": (Parts(after_build=_any_endpoint), directed.endpoint_swapped, "INV-24"),
    "heartbeat from a side task": (Parts(beside=_beside), directed.hanging, "INV-21"),
    "host time zone in the day roll": (Parts(after_build=_host_zone), directed.over_the_hosts_midnight, "INV-28"),
}
"""By name: the wiring with the defect, the plans that lead to it, and the invariant that it breaks."""
