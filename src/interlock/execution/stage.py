"""Execution as a stage: fold what happened, then ask for what keeps every position whole.

`apply` alone changes state. `react` only yields, and expects each output to be folded before the next is asked for. It
yields payloads for the journal, `AccountIntent`s of its own, which name a leg and go to the gate like any other, and
`WakeAt`. An exit that routing made comes in as an `AccountIntent` without a leg.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from interlock.execution import brackets, doubt, escalation, exits, flatten, halt, hardclose, kill, proof, protection
from interlock.execution.exposure import Book, position_key
from interlock.execution.fold import HALT, HALTING, Fold
from interlock.execution.orders import OrderBook
from interlock.execution.state import (
    T_ORPHAN,
    T_PROTECT,
    TRIES_MAX,
    AccountProfile,
    Folded,
    HardClose,
    Output,
    Outputs,
    Situation,
    WakeAt,
    World,
    earliest,
    plan_key,
)
from interlock.execution.told import Ears
from interlock.model.command import FlattenBegun, Killed, OrderAdopted, PositionAdopted, Released
from interlock.model.entry import Payload
from interlock.model.ids import AccountName, ClientOrderId, LaneName
from interlock.model.market import Bar, Quote
from interlock.model.money import Nanos
from interlock.model.record import (
    AccountFrozen,
    AccountThawed,
    Attempt,
    CancelRequested,
    ReadRequested,
    Tick,
    TierChanged,
)
from interlock.model.report import (
    AccountRead,
    CancelRejected,
    LineChanged,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderFound,
    OrderMissing,
    OrderRejected,
    ReadFailed,
    WriteRefused,
    WriteUnknown,
)
from interlock.model.signal import AccountIntent, Purpose, Source
from interlock.model.verdict import Verdict

__all__ = ["AccountProfile", "Execution", "WakeAt", "World"]

_REPORTS = (OrderAccepted, OrderFilled, OrderCancelled, OrderRejected, OrderExpired, CancelRejected, WriteRefused,
            WriteUnknown, OrderFound, OrderMissing)


class _Snapshot(Struct):
    book: Book
    folded: Folded


class Execution:
    """Orders, brackets, protection, exits, kill, flatten and hard close of the given accounts."""

    def __init__(self, accounts: Mapping[AccountName, AccountProfile], closing: HardClose | None = None) -> None:
        self._situation = Situation(accounts, closing)
        self._fold = Fold(self._situation)
        self._reactions: dict[type, Callable[[Any, Nanos, World], Outputs]] = {
            Tick: self._on_tick, AccountRead: self._on_read, Killed: self._on_killed, AccountIntent: self._on_exit,
            LineChanged: self._on_line, FlattenBegun: self._on_flatten, Released: self._on_released,
            ReadFailed: self._on_read_failed, TierChanged: self._on_tier, AccountFrozen: self._on_frozen,
            AccountThawed: self._on_thawed, PositionAdopted: self._on_adopted, OrderAdopted: self._on_adopted,
            Attempt: self._on_nothing, Verdict: self._on_nothing,
            CancelRequested: self._on_nothing, **dict.fromkeys(_REPORTS, self._on_report)}

    @property
    def orders(self) -> OrderBook:
        return self._situation.orders

    @property
    def ears(self) -> Ears:
        """What the brokers have told of whole accounts."""
        return self._situation.folded.ears

    def apply(self, payload: object, ts: Nanos) -> None:
        """Fold one journaled payload."""
        self._fold.apply(payload, ts)

    def react(self, payload: object, ts: Nanos, world: World) -> Iterator[Output]:
        """What follows from a payload that has just been folded."""
        kind = type(payload)
        if kind is Bar or kind is Quote:
            keys = self._fold.held.get(payload.instrument)  # type: ignore[attr-defined]
            if keys:
                for key in sorted(keys):          # an order that a restart finds again
                    yield from brackets.on_mark(self._situation, key, ts, world)
                    yield from protection.on_mark(self._situation, key, ts, world)
            return
        reaction = self._reactions.get(kind)
        if reaction is None:
            return
        yield from reaction(payload, ts, world)
        wake = self.next_wake
        if wake is not None and wake > ts:
            yield WakeAt(wake)

    def is_watching(self, instrument: str) -> bool:
        """Whether a bar or quote of it can have a consequence here: a target that no venue watches for us."""
        return bool(self._fold.held.get(instrument))

    def resume(self, ts: Nanos) -> Iterator[Output]:
        """After a restart: nothing is sent again; all that was attempted and has no answer is looked up."""
        yield from doubt.on_resume(self._situation)
        yield from kill.on_resume(self._situation)
        wake = self.next_wake
        if wake is not None:
            yield WakeAt(max(wake, ts))

    @property
    def next_wake(self) -> Nanos | None:
        """When the next thing is due that no report will bring about."""
        situation, folded = self._situation, self._situation.folded
        due = [doubt.next_question(situation)]
        for key, since in folded.broken.items():
            due.append(since + T_PROTECT)
            if not situation.position(key):
                due.append(since + T_ORPHAN)
            plan = situation.plan(key)
            if plan is not None and plan.tries < TRIES_MAX:
                due.append(plan.ts_retry)
        due.extend(since + T_PROTECT for since in folded.theirs.values())
        due.extend(out.ts_retry for out in folded.exits.values())
        due.extend((flatten.next_wake(situation), proof.next_wake(situation), hardclose.next_wake(situation),
                    escalation.next_wake(situation)))
        return earliest(ts for ts in due if ts is not None and ts > situation.ts)

    def source_of(self, client_order_id: ClientOrderId) -> Source | None:
        """Which kind of strategy an order was made for; None: not one of ours."""
        record = self.orders.by_id(client_order_id)
        plan = None if record is None else self._situation.folded.plans.get(plan_key(record.account, record.signal_id))
        return None if plan is None else plan.source

    def may_flatten(self, account: AccountName, instrument: str | None) -> bool:
        """Whether a new flatten would do anything that the one under way does not."""
        under_way = self._situation.folded.flattens.get(account)
        return under_way is None or (under_way.instrument is not None and instrument is None)

    def killed_at(self, lane: LaneName | None, account: AccountName | None) -> Nanos | None:
        """When the kill of this reach was last given."""
        return self._situation.folded.killed.get(f"{lane or ''}|{account or ''}")

    def proof_of(self, account: AccountName) -> tuple[bool | None, tuple[str, ...]]:
        """Whether the broker's own list has shown a killed account clean (None: nothing is shown yet), and what it left."""
        proof = self._situation.folded.proofs.get(account)
        return (None, ()) if proof is None else (proof.is_clean, proof.left)

    def in_reach(self, lane: LaneName | None, account: AccountName | None, scope: str) -> tuple[ClientOrderId, ...]:
        """The open orders that a kill of this reach and scope cancels."""
        return tuple(record.leg.client_order_id
                     for record in kill.in_reach(self._situation, lane, account, scope))

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(_Snapshot(self.orders.book, self._situation.folded))

    def restore(self, body: bytes) -> None:
        found = msgspec.msgpack.decode(body, type=_Snapshot)
        self.orders.book, self._situation.folded = found.book, found.folded
        self.orders.reindex()
        self._fold.reindex()

    def _on_nothing(self, _payload: Payload, _ts: Nanos, _world: World) -> Outputs:
        return iter(())                                   # only the wake is new

    def _on_report(self, report: Any, ts: Nanos, world: World) -> Outputs:
        situation = self._situation
        notes = self.orders.notes_on(report)
        record = self.orders.by_id(report.client_order_id)
        for note in notes:
            if note.is_alarm:
                severity = "warning" if note.kind == "unknown" and not isinstance(report, OrderFilled) else "critical"
                yield from situation.alarm(f"orders.{note.kind}.{note.client_order_id}", note.text, severity)
                if note.kind in ("overfill", "crossed"):
                    code = "overfill" if note.kind == "overfill" else "position_crossed"
                    yield AccountFrozen(report.account, code, note.text)
        yield from doubt.on_report(situation, report)
        if record is not None and any(note.kind in ("answered", "reopened") for note in notes):
            yield from kill.on_arrival(situation, record)
            yield from proof.advance(situation, record.account, ts, world, is_read=True)
        if record is not None and record.account == report.account:
            yield from self._settle(position_key(record.account, record.instrument), ts, world)
        elif isinstance(report, OrderFilled):
            yield from self._settle(position_key(report.account, report.instrument), ts, world)
        if f"killed_open.{report.account}" in situation.folded.alarms and not situation.held(report.account):
            yield from situation.clear(f"killed_open.{report.account}")
        yield from flatten.advance(situation, report.account, ts, world)
        yield from proof.advance(situation, report.account, ts, world)

    def _settle(self, key: str, ts: Nanos, world: World, *, is_read: bool = False) -> Outputs:
        yield from exits.advance(self._situation, key, ts)
        yield from protection.check(self._situation, key, ts, world, is_read=is_read)

    def _on_exit(self, asked: AccountIntent, ts: Nanos, _world: World) -> Outputs:
        if asked.intent.purpose in (Purpose.TARGET, Purpose.REDUCE) and not asked.intent.leg:
            yield from exits.begin(self._situation, asked, ts)

    def _on_killed(self, killed: Killed, _ts: Nanos, _world: World) -> Outputs:
        yield from kill.on_killed(self._situation, killed)

    def _on_released(self, released: Released, _ts: Nanos, _world: World) -> Outputs:
        yield from kill.on_released(self._situation, released)

    def _on_flatten(self, begun: FlattenBegun, ts: Nanos, world: World) -> Outputs:
        yield from flatten.on_begun(self._situation, begun, ts, world)

    def _on_read_failed(self, failed: ReadFailed, ts: Nanos, world: World) -> Outputs:
        yield from flatten.advance(self._situation, failed.account, ts, world)
        yield from proof.advance(self._situation, failed.account, ts, world)

    def _on_tier(self, changed: TierChanged, _ts: Nanos, _world: World) -> Outputs:
        if changed.tier >= HALT:
            yield from halt.begin(self._situation, changed.scope, ", ".join(changed.reasons) or "tier 4")
        else:
            yield from halt.end(self._situation, changed.scope)

    def _on_frozen(self, frozen: AccountFrozen, _ts: Nanos, _world: World) -> Outputs:
        if frozen.code in HALTING:
            yield from halt.begin(self._situation, f"{frozen.code}.{frozen.account}", frozen.why)

    def _on_thawed(self, thawed: AccountThawed, _ts: Nanos, _world: World) -> Outputs:
        if thawed.code in HALTING:
            yield from halt.end(self._situation, f"{thawed.code}.{thawed.account}")

    def _on_line(self, line: LineChanged, _ts: Nanos, _world: World) -> Outputs:
        if line.is_up:
            yield from self._situation.clear(f"line.{line.account}")
            yield from doubt.on_resume(self._situation, line.account)
        else:
            yield from self._situation.alarm(f"line.{line.account}", f"{line.account}: the line to the broker is down "
                                             f"({line.reason}); nothing is sent until it is back")

    def _on_adopted(self, adopted: PositionAdopted | OrderAdopted, ts: Nanos, world: World) -> Outputs:
        """The books have changed by a person's word: stops follow the position as after any other change."""
        if isinstance(adopted, PositionAdopted):
            yield from self._settle(position_key(adopted.account, adopted.instrument), ts, world)
        elif (record := self.orders.by_id(adopted.client_order_id)) is not None:
            yield from self._settle(position_key(record.account, record.instrument), ts, world)

    def _on_tick(self, _tick: Tick, ts: Nanos, world: World) -> Outputs:
        folded = self._situation.folded
        yield from doubt.on_tick(self._situation, ts)
        for key in tuple(dict.fromkeys((*folded.exits, *folded.broken))):
            yield from self._settle(key, ts, world)
        for key, since in tuple(folded.theirs.items()):
            account = AccountName(key.partition("|")[0])
            if ts - since >= T_PROTECT > folded.rereads.get(account, 0) - since:
                yield ReadRequested(account, "stops and position differ")
        yield from flatten.on_tick(self._situation, ts, world)
        yield from proof.on_tick(self._situation, ts, world)
        yield from hardclose.on_tick(self._situation, ts, world)
        yield from escalation.on_tick(self._situation, ts)

    def _on_read(self, read: AccountRead, ts: Nanos, world: World) -> Outputs:
        """Executions that never arrived are booked from here; orders that never arrived are asked for."""
        seen = self.orders.book.executions.get(read.account, {})
        for fill in read.fills:
            if fill.execution_id not in seen and self.orders.by_id(fill.client_order_id) is not None:
                yield fill
                yield from self._on_report(fill, ts, world)
                seen = self.orders.book.executions.get(read.account, {})
        yield from doubt.on_read(self._situation, read, ts)
        yield from kill.on_read(self._situation, read)
        folded, prefix = self._situation.folded, f"{read.account}|"
        alarmed = (name.replace("protection.", "") for name in folded.frozen if "|protection." in name)
        for key in tuple(dict.fromkeys((*folded.current, *folded.broken, *folded.theirs, *alarmed))):
            if key.startswith(prefix):
                yield from self._settle(key, ts, world, is_read=True)
        yield from flatten.advance(self._situation, read.account, ts, world)
        yield from proof.advance(self._situation, read.account, ts, world, is_read=True)
        yield from hardclose.on_read(self._situation, read.account, ts, world)
        for due in hardclose.foreign_wake(self._situation, read.account, ts, world):
            yield WakeAt(due)  # type: ignore[misc]
