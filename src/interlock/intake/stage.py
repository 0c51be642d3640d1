"""The intake as a pure stage: what came to the hook goes in, one answer comes out.

An alert passes, in this order: the secret; *equal bytes*; the other seven gates; *equal id* or *equal meaning*; the
signal guards. Equal bytes are looked for before the message is judged, because TradingView resends what it got no
answer for, and the resend of an accepted alert is a duplicate even when it has grown too old, or its strategy has fired
its last, in the meantime. Only accepted alerts are originals: one that was refused is judged anew when it comes again.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from interlock.errors import ConfigError, InvariantBroken, StorageError
from interlock.intake.gates import check_secret, pass_gates
from interlock.intake.guards import BUILT_IN, Asked, SignalGuard, ask
from interlock.intake.memory import Memory, Original, Recollection
from interlock.intake.rules import AlertRow, LaneRules, Refusal
from interlock.model.ids import LaneName, SignalId, StrategyName, signal_id
from interlock.model.money import Nanos
from interlock.model.signal import (
    Alert,
    AlertAccepted,
    AlertAction,
    AlertAnswer,
    AlertDuplicate,
    AlertReceived,
    AlertRefused,
)
from interlock.model.view import Session

REMEMBERED: Final = 32_768
"""Accepted alerts that a repeat is recognised against."""

ENTRIES: Final = (AlertAction.BUY, AlertAction.SELL)
"""Actions that consume a fire and that signal guards are asked about."""


class Snapshot(Struct, frozen=True, array_like=True):
    received: list[tuple[LaneName, int]]
    fired: list[tuple[LaneName, StrategyName, int]]
    memory: Recollection


class Intake:
    """One for all lanes. `session_at(instrument, ts)` is the session table's answer. Raises ConfigError when a row
    names a guard that there is not.

    The caller applies an AlertReceived, asks for the answer with `react`, and applies that; nothing else in between.
    """

    def __init__(self, lanes: Mapping[LaneName, LaneRules], session_at: Callable[[str, Nanos], Session],
                 guards: Mapping[str, SignalGuard] = BUILT_IN, remembered: int = REMEMBERED) -> None:
        for rules in lanes.values():
            for row in rules.rows:
                for name in row.guards:
                    if name not in guards:
                        raise ConfigError(f"lane {rules.name}, strategy {row.strategy}: no signal guard is called "
                                          f"{name}; there are {', '.join(guards)}")
        self._lanes = dict(lanes)
        self._session_at = session_at
        self._guards = dict(guards)
        self._received: dict[LaneName, int] = {}
        self._fired: dict[tuple[LaneName, StrategyName], int] = {}
        self._memory = Memory(remembered)
        self._open: AlertReceived | None = None        # applied, and not answered yet

    def react(self, received: AlertReceived, ts: Nanos) -> AlertAnswer:
        """The answer to the alert that was applied last."""
        lane = received.lane
        own = signal_id("alerts", lane, self._received.get(lane, 0), received.ts_recv)
        refusal = check_secret(received)
        if refusal:
            return AlertRefused(own, lane, refusal.code, refusal.reason, 401)
        first = self._memory.same_bytes(lane, received.transport_hash, ts)
        if first:
            return AlertDuplicate(first, lane, "duplicate.bytes", "the same bytes were accepted less than a minute ago")
        rules = self._lanes.get(lane)
        if rules is None:
            return _refused(own, lane, Refusal("lane.unknown", f"there is no lane {lane}"))
        passed = pass_gates(received, rules, ts)
        if isinstance(passed, Refusal):
            return _refused(own, lane, passed)
        alert, row = passed
        return self._repeat(own, lane, alert) or self._guarded(own, lane, alert, row, ts)

    def apply(self, payload: object, ts: Nanos) -> None:
        """Fold one journaled payload; those of other rooms change nothing."""
        match payload:
            case AlertReceived():
                self._received[payload.lane] = self._received.get(payload.lane, 0) + 1
                self._open = payload
            case AlertAccepted():
                self._accept(payload, ts)
                self._open = None
            case AlertRefused() | AlertDuplicate():
                self._open = None

    def fires_left(self) -> dict[LaneName, dict[StrategyName, int | None]]:
        """Per lane and alert strategy; None: no budget is kept."""
        return {lane: {row.strategy: self._fires_left(lane, row) for row in rules.rows}
                for lane, rules in self._lanes.items()}

    def snapshot(self) -> bytes:
        fired = [(lane, strategy, count) for (lane, strategy), count in self._fired.items()]
        return msgspec.msgpack.encode(Snapshot(list(self._received.items()), fired, self._memory.recollect()))

    def restore(self, body: bytes) -> None:
        """Raises StorageError when the body is no snapshot of an intake."""
        try:
            kept = msgspec.msgpack.decode(body, type=Snapshot)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise StorageError(f"the intake's snapshot cannot be read: {error}") from error
        self._received = dict(kept.received)
        self._fired = {(lane, strategy): count for lane, strategy, count in kept.fired}
        self._memory.recall(kept.memory)
        self._open = None

    def _repeat(self, own: SignalId, lane: LaneName, alert: Alert) -> AlertAnswer | None:
        first = self._memory.same_id(lane, alert)
        if first:
            return AlertDuplicate(first, lane, "duplicate.id", "an alert with this id was accepted before")
        first = self._memory.same_meaning(lane, alert)
        if first:
            return AlertDuplicate(first, lane, "duplicate.meaning",
                                  "the same strategy, symbol, action and bar_time was accepted before")
        if self._memory.is_beyond(lane, alert):
            return _refused(own, lane, Refusal("duplicate.unknown", "bar_time lies before alerts already forgotten"))
        return None

    def _guarded(self, own: SignalId, lane: LaneName, alert: Alert, row: AlertRow, ts: Nanos) -> AlertAnswer:
        left = self._fires_left(lane, row)
        if alert.action in ENTRIES:
            asked = Asked(alert, row, ts, self._session_at(row.instrument, ts), left)
            for name in row.guards:
                refusal = ask(name, self._guards[name], asked)
                if refusal:
                    return _refused(own, lane, refusal)
            left = None if left is None else max(0, left - 1)
        return AlertAccepted(own, lane, alert, row.instrument, left)

    def _accept(self, accepted: AlertAccepted, ts: Nanos) -> None:
        received, alert = self._open, accepted.alert
        if received is None or received.lane != accepted.lane:
            raise InvariantBroken(f"alert {accepted.signal_id} is accepted and was never received")
        if accepted.fires_left is not None and alert.action in ENTRIES:
            key = accepted.lane, alert.strategy
            self._fired[key] = self._fired.get(key, 0) + 1
        self._memory.add(Original(
            accepted.signal_id, accepted.lane, received.transport_hash, alert.strategy, alert.symbol,
            alert.action.value, alert.bar_time, alert.alert_id, ts))

    def _fires_left(self, lane: LaneName, row: AlertRow) -> int | None:
        return None if row.fires is None else max(0, row.fires - self._fired.get((lane, row.strategy), 0))


def _refused(own: SignalId, lane: LaneName, refusal: Refusal) -> AlertRefused:
    return AlertRefused(own, lane, refusal.code, refusal.reason, 422)
