"""Defects put into the wiring of simulated runs on purpose. None of them is in the product; the oracles must find each.

A plant is made of `Parts` (what a run is wired from) and of patches that stand while it runs. `within` is the number of seeds
in which it must be found; a plant that becomes harder to find means that the simulator has become weaker.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite
from typing import Any
from unittest.mock import patch

from tests.simulation.corpus import directed

from interlock.brokers.safe import SafeBroker
from interlock.engine.setup import Setup
from interlock.engine.step import Engine
from interlock.errors import NotCleared, OutcomeUnknown
from interlock.execution import brackets, flatten
from interlock.gate import judge as judging
from interlock.gate.registry import Checks, Registry
from interlock.gate.sizing import size
from interlock.health.table import Component
from interlock.ledger.book import Ledger
from interlock.model.clearance import Clearance, Epochs
from interlock.model.entry import Payload
from interlock.model.ids import ClientOrderId, ExecutionId, LaneName, SignalId, StrategyName, client_order_id
from interlock.model.order import Leg, Order, OrderType, Profile
from interlock.model.record import AccountFrozen, Attempt
from interlock.model.report import AccountRead, OrderFilled, WriteUnknown
from interlock.model.signal import Purpose, Side, Source
from interlock.model.verdict import Allow, Cleared, Verdict
from interlock.runtime import live
from interlock.runtime.epochs import EpochRecord
from interlock.simulation import core
from interlock.simulation.core import Parts, Process
from interlock.simulation.plans import Plan, draw


@dataclass(frozen=True)
class Plant:
    """One defect, and where it must be noticed."""

    name: str
    invariant: str
    within: int
    parts: Parts = core.SOUND
    patches: tuple[tuple[Any, str, Any], ...] = field(default=())
    plan: Callable[[int], Plan] = draw         # of a seed

    @contextmanager
    def planted(self) -> Iterator[Parts]:
        with ExitStack() as stack:
            for target, name, value in self.patches:
                stack.enter_context(patch.object(target, name, value))
            yield self.parts


# -- journal and clearance

class Forgetful(core.Desk):
    """Sends an order without writing its attempt down."""

    def _append(self, now: int, payload: Payload, cause: int) -> tuple[int, bytes]:
        if isinstance(payload, Attempt):
            self._open.entries.append((0, now, payload))
            self._open.is_urgent = True
            return self.journal.head
        return super()._append(now, payload, cause)


class Hasty(Process):
    """Releases what waits before the commit has ended."""

    def on_sealed(self, closing: Any) -> None:
        self._release(closing.entries)
        closing.entries[:] = [entry for entry in closing.entries if type(entry[2]).__name__ not in (
            "Attempt", "CancelRequested", "LookupRequested", "ReadRequested", "Clearance")]


class Resending(SafeBroker):
    """Writes an order again under the same clearance when no answer came."""

    async def place(self, order: Order, clearance: Clearance) -> None:
        try:
            await super().place(order, clearance)
        except OutcomeUnknown:
            await self._broker.place(self._broker.encode(order))


class Renaming(Engine):
    """Sends an order without an answer once more, under a new id."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._cleared: dict[str, Verdict] = {}

    def _clear(self, verdict: Verdict, cleared: Cleared, ts: int) -> Iterator[Payload]:
        self._cleared[cleared.order.client_order_id] = verdict
        yield from super()._clear(verdict, cleared, ts)

    def _executed(self, message: Any, ts: int) -> Iterator[Payload]:
        yield from super()._executed(message, ts)
        known = self._cleared.pop(message.client_order_id, None) if isinstance(message, WriteUnknown) else None
        if known is not None and isinstance(known.result, Cleared) and known.result.order.purpose is Purpose.ENTER:
            again = self._again(known.result.order)
            epochs = Epochs(kill=self.latches.kill_epoch, lease=self.lease_epoch, config=self.setup.config_epoch)
            assert self._signer is not None
            yield self._signer.issue(again, Profile.ENTER, 1, self._seq, self._hash, epochs, self.setup.state_id, ts)
            yield Attempt(again.client_order_id, 1, again, Decimal(0))

    @staticmethod
    def _again(order: Order) -> Order:
        again: Order = _replaced(order, legs=tuple(_renamed(leg, order, 1) for leg in order.legs), generation=1)
        return again


class Numbering(Renaming):
    """The same, with an id that is made of the attempt's number."""

    @staticmethod
    def _again(order: Order) -> Order:
        again: Order = _replaced(order, legs=tuple(_replaced(leg, client_order_id=client_order_id(
            order.signal_id, order.account, f"{leg.role} attempt", 2)) for leg in order.legs))
        return again


def _renamed(leg: Any, order: Order, generation: int) -> Any:
    return _replaced(leg, client_order_id=client_order_id(order.signal_id, order.account, leg.role, generation))


def _replaced(value: Any, **changes: Any) -> Any:
    from msgspec.structs import replace
    return replace(value, **changes)


# -- kill and halts

class ReadOnce(EpochRecord):
    """Looks at the kill epoch once, when the process starts, and at the time of signing never again."""

    def read(self) -> Epochs:
        return Epochs(kill=_Any(), lease=self._lease(), config=self.config)


class Unwithdrawn(Engine):
    """Does not look once more, right before a write, at what has happened since the clearance."""

    def withdrawn(self, order: Order) -> str | None:
        return None


class _Any(int):
    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__


def forget_halts(process: Process, engine: Engine, intake: Any) -> None:
    """A restart finds everything but the halts."""
    process.fold(engine, intake)
    engine.latches._killed.clear()


class SharedLane(SafeBroker):
    """Counts cancels against the rate of orders."""

    async def cancel(self, account: Any, client_order_id: Any, permit: str = "") -> None:
        if len(self._recent(account, self._now())) >= 1:
            raise NotCleared("safe.order_rate", "too many messages")
        await super().cancel(account, client_order_id, permit)


# -- fills, positions, limits

class CountsTwice(Ledger):
    """Books an execution each time that it is told."""

    def apply_fill(self, fill: Any, record: Any, ts: int) -> Any:
        self._of(fill.account).executions.pop(fill.execution_id, None)
        return super().apply_fill(fill, record, ts)

    def has_booked(self, fill: Any) -> bool:
        return False


class EmptyIsFlat(Ledger):
    """Takes a list without positions for the truth."""

    def apply(self, payload: object, ts: int) -> None:
        super().apply(payload, ts)
        if isinstance(payload, AccountRead) and not payload.positions:
            self._of(payload.account).holdings.clear()


class ChargesLate(Ledger):
    """Counts an entry against the limits from its acknowledgement on."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._answered: set[str] = set()

    def settle(self, record: Any) -> None:
        super().settle(record)
        if record is not None:
            self._answered.add(record.leg.client_order_id)

    def charges(self, account: Any = None) -> Any:
        return tuple(plan for plan in super().charges(account) if plan.client_order_id in self._answered)


class Infers(Ledger):
    """Takes what a read shows beyond our own book for a fill, and keeps it when the fill itself is told."""

    def apply(self, payload: object, ts: int) -> None:
        super().apply(payload, ts)
        if isinstance(payload, AccountRead):
            for told in payload.positions:
                missing = told.quantity - self.quantity(payload.account, told.instrument)
                if missing:
                    assert told.average_price is not None
                    side = Side.BUY if missing > 0 else Side.SELL
                    self.apply_fill(OrderFilled(
                        account=payload.account, client_order_id=ClientOrderId(""), execution_id=ExecutionId(f"inferred at {ts}"),
                        instrument=told.instrument, side=side, quantity=abs(missing), price=told.average_price,
                        commission=Decimal(0), ts_event=payload.ts_event), None, ts)


class Lax(SafeBroker):
    """The last room without its own look at positions and limits, so that the gate stands alone."""

    def _check_reduces(self, *_: Any) -> None:
        pass

    def _check_increases(self, *_: Any) -> None:
        pass


class LaxEntries(SafeBroker):
    """The last room without its own look at entries, so that the gate's checks stand alone."""

    def _check_increases(self, *_: Any) -> None:
        pass


class LaxSizes(SafeBroker):
    """The last room without its look at how large an exit is."""

    def _check_reduces(self, order: Any, book: Any, instrument: Any) -> None:
        if not book.position(instrument.symbol) * order.parent.side.sign < 0:
            raise NotCleared("safe.not_reducing", "nothing to reduce")


class Repairing(Engine):
    """Trades a difference away by itself, as soon as an account is frozen for one."""

    def step(self, ts: int, message: Any, seq: int = 0, digest: bytes = b"") -> list[Payload]:
        outputs = super().step(ts, message, seq, digest)
        for frozen in [each for each in outputs if isinstance(each, AccountFrozen) and each.code == "drift"]:
            for output in self._repair(frozen.account):
                outputs.append(output)
                self._fold(output, ts)
        return outputs

    def _repair(self, account: Any) -> Iterator[Payload]:
        for symbol, quantity in self.ledger.quantities(account).items():
            if not quantity:
                continue
            side = Side.SELL if quantity > 0 else Side.BUY
            name = client_order_id("repair", account, symbol, self._seq)
            leg = Leg(client_order_id=name, role="exit", purpose=Purpose.REDUCE, side=side, quantity=abs(quantity),
                      type=OrderType.MARKET, is_reduce_only=True)
            order = Order(account=account, instrument=symbol, venue_symbol=symbol, legs=(leg,), signal_id=SignalId("repair"),
                          lane=LaneName("main"), strategy=StrategyName("trend"))
            epochs = Epochs(kill=self.latches.kill_epoch, lease=self.lease_epoch, config=self.setup.config_epoch)
            assert self._signer is not None
            yield self._signer.issue(order, Profile.REDUCE, 1, self._seq, self._hash, epochs, self.setup.state_id, self.now)
            yield Attempt(name, 1, order, Decimal(0))


def with_ledger(kind: type[Ledger]) -> Callable[[Setup, Any], Engine]:
    """An engine whose ledger is of this kind."""
    def make(setup: Setup, signer: Any) -> Engine:
        with patch("interlock.engine.step.Ledger", kind):
            return Engine(setup, signer)

    return make


# -- checks

class Open:
    """A check that is asked, and allows whatever it is asked."""

    def __init__(self, check: Any) -> None:
        self.name, self.needs_quantity = check.name, check.needs_quantity

    def check(self, _intent: Any, _view: Any) -> Allow:
        return Allow()


class Changed(Registry):
    """The gate's lists with one check left out or always open."""

    def __init__(self, sound: Any, names: tuple[str, ...], *, is_open: bool) -> None:
        self._sound, self._names, self._is_open = sound, names, is_open
        self.rules = sound.rules

    def checks(self, profile: Profile, source: Source) -> Checks:
        found = []
        for check in self._sound.checks(profile, source):
            if check.name not in self._names:
                found.append(check)
            elif self._is_open:
                found.append(Open(check))
        return Checks(found)


def without(*names: str) -> Callable[[Setup], Setup]:
    return lambda setup: dataclasses.replace(setup, registry=Changed(setup.registry, names, is_open=False))


def opened(*names: str) -> Callable[[Setup], Setup]:
    return lambda setup: dataclasses.replace(setup, registry=Changed(setup.registry, names, is_open=True))


def failing_open(name: str) -> Callable[..., Any]:
    """Asks every check, and takes one that breaks for an answer in favour."""
    sound = judging.ask

    def ask(check: Any, intent: Any, view: Any) -> Any:
        if check.name != name:
            return sound(check, intent, view)
        try:
            return check.check(intent, view) or Allow()
        except Exception:  # noqa: BLE001
            return Allow()

    return ask


def sized_from_intent(asked: Any, view: Any, rules: Any) -> Any:
    """An exit as large as an entry may have been, whatever is held."""
    sized = size(asked, view, rules)
    is_exit = asked.intent.purpose is not Purpose.ENTER and sized.quantity
    return _replaced(sized, quantity=Decimal(3)) if is_exit else sized


_advance = flatten.advance


def one_after_another(situation: Any, account: Any, *more: Any) -> Any:
    """A flatten that begins with an account when it is through with the one before."""
    return _advance(situation, account, *more) if account == next(iter(situation.folded.flattens), None) else iter(())


def nothing_heard(table: Any) -> Any:
    """A table of readings in which one that is missing or very old is taken for a good one."""
    return lambda self, value: 0 if value is None or not isfinite(value) or value > 10 else table(self, value)


CORE: tuple[Plant, ...] = (
    Plant("no journal record", "INV-01", 3, Parts(desk=lambda **parts: Forgetful(**parts))),
    Plant("released before the commit", "INV-01", 3, Parts(process=Hasty)),
    Plant("retry not cleared again", "INV-02", 3, Parts(safe=Resending), plan=directed.unanswered),
    Plant("new id on retry", "INV-03", 3, Parts(engine=Renaming), plan=directed.unanswered),
    Plant("id made of the attempt", "INV-03", 3, Parts(engine=Numbering), plan=directed.unanswered),
    Plant("kill read once", "INV-06", 20, Parts(engine=Unwithdrawn, epochs=ReadOnce), plan=directed.killed_when_cleared),
    Plant("halt not latched", "INV-06", 3, Parts(restore=forget_halts), plan=directed.killed_and_restarted),
    Plant("cancel lane shared", "INV-19", 3, Parts(safe=SharedLane), plan=directed.killed_while_unknown),
    Plant("fills not told apart", "INV-08", 3, Parts(engine=with_ledger(CountsTwice)), plan=directed.told_twice),
    Plant("inferred fill kept beside the real", "INV-08", 3, Parts(engine=with_ledger(Infers)), plan=directed.told_late),
    Plant("empty list taken for flat", "INV-13", 3, Parts(engine=with_ledger(EmptyIsFlat)), plan=directed.emptied),
    Plant("limit charged at the acknowledgement", "INV-18", 3, Parts(engine=with_ledger(ChargesLate), safe=Lax),
          plan=directed.burst),
    Plant("sibling not cancelled", "INV-11", 3, patches=((brackets, "sweep", lambda *_: iter(())),), plan=directed.stopped_out),
    Plant("drift repaired by itself", "INV-12", 3, Parts(engine=Repairing), plan=directed.traded_by_hand),
    Plant("exit sized from the intent", "INV-09", 4,
          Parts(setup=opened("exit.position", "exit.never_crosses_zero"), safe=LaxSizes),
          ((judging, "size", sized_from_intent),)),
    Plant("flatten one after another", "INV-27", 3, patches=((flatten, "advance", one_after_another),), plan=directed.flattened),
    Plant("tier from an empty window", "INV-22", 3,
          patches=((Component, "tier_of", nothing_heard(Component.tier_of)),), plan=directed.muted),
)
"""The defects that the core simulator must find, by the oracle of the invariant that each breaks alone. `within` counts seeds
from 0; where one of `plan` is named, they are the seeds of plans that lead straight to it."""

WORLD: tuple[Plant, ...] = (
    Plant("configuration not compared", "INV-25", 1, patches=((live, "check_approval", lambda *_: ""),),
          plan=directed.reconfigured),
)
"""Defects that only a process which starts has, and that no part of its wiring holds; beside those of `corpus/defects.py`."""

OPEN: tuple[tuple[tuple[str, ...], str, int, Callable[[int], Plan]], ...] = (
    (("kill",), "INV-06", 20, draw),
    (("guard.1_time_window",), "INV-20", 20, draw),
    (("guard.4_position_count",), "INV-18", 20, draw),
    (("guard.10_liquidity",), "INV-05", 30, draw),
    (("guard.11_reentry_cooldown",), "INV-05", 30, draw),
    (("order.definition",), "INV-16", 3, directed.redefined),
)
"""Checks that may be made to allow everything (the last room looking away), what notices it, and within how many seeds."""

LIST: dict[str, str] = {
    "no journal record": "core: no journal record",
    "record not synced": "world: record not synced",
    "new id on retry": "core: new id on retry",
    "retry not cleared again": "core: retry not cleared again",
    "kill read once": "core: kill read once",
    "each check removed": "tests/simulation/test_planted.py::test_a_check_that_is_left_out_is_found",
    "each check allows everything":
        "tests/simulation/test_removed_checks.py::test_an_entry_leaves_that_only_this_check_held_back",
    "each exit check allows everything":
        "tests/simulation/test_removed_checks.py::test_an_exit_leaves_that_only_this_check_held_back",
    "each check failing open": "tests/simulation/test_planted.py::test_a_check_that_fails_open_is_found",
    "fills not told apart": "core: fills not told apart",
    "inferred fill kept beside the real": "core: inferred fill kept beside the real",
    "sibling not cancelled": "core: sibling not cancelled",
    "exit sized from the intent": "core: exit sized from the intent",
    "empty list taken for flat": "core: empty list taken for flat",
    "halt not latched": "core: halt not latched",
    "lease not checked after a pause": "world: lease not checked after a pause",
    "limit charged at the acknowledgement": "core: limit charged at the acknowledgement",
    "cancel lane shared": "core: cancel lane shared",
    "heartbeat from a side task": "world: heartbeat from a side task",
    "host time zone in the day roll": "world: host time zone in the day roll",
    "tier from an empty window": "core: tier from an empty window",
    "flatten sequential": "world: flatten sequential",
    "wall clock in the lease": "world: wall clock in the lease",
    "journal not synced by the database":
        "tests/storage/test_power_cut.py::test_the_same_trial_with_a_sync_less_per_commit_loses_acknowledged_entries",
    "id made of the attempt": "core: id made of the attempt",
    "paper flag ignored in one path": "world: paper flag ignored in the adapter",
    "configuration not compared": "world: configuration not compared",
    "drift repaired by itself": "core: drift repaired by itself",
}
"""Every defect that must be findable, and what finds it. A message on a bus that is taken twice is not among them: no room talks
to another over a bus, and an alert that arrives twice is the intake's to answer."""
