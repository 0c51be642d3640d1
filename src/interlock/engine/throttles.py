"""What a strategy may not go on doing by itself: being rejected for the same reason, and entering the same instrument.

Either switches the strategy off until a person enables it. It is asked no less than before, so that it can still leave what
it holds; it enters nothing.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from interlock.execution.stage import Execution
from interlock.model.entry import Payload
from interlock.model.ids import LaneName, StrategyName
from interlock.model.money import MINUTE, Nanos
from interlock.model.order import OrderRecord
from interlock.model.record import Attempt, StrategyDisabled, StrategyEnabled
from interlock.model.report import OrderRejected, WriteRefused
from interlock.model.signal import Purpose

REJECTS: Final = "throttle.rejects"
EXECUTIONS: Final = "throttle.executions"
UNWRITTEN: Final = ("wire.not_sent", "order.withdrawn")
"""Why an order never left that says nothing about its strategy."""
COUNTED: Final = frozenset((Attempt, OrderRejected, WriteRefused, StrategyEnabled))
"""What `apply` takes note of."""
_NUMBERS: Final = re.compile(r"\d+(?:\.\d+)?")


class ThrottleRules(Struct, frozen=True, kw_only=True):
    """How often is too often."""

    rejects_max: int = 3
    rejects_within: Nanos = 10 * MINUTE
    entries_max: int = 20
    entries_within: Nanos = 60 * MINUTE


class _Count(Struct):
    lane: LaneName
    strategy: StrategyName
    times: list[Nanos]


class Throttles:
    """Times of recent rejects and entries, by what makes them the same."""

    def __init__(self, rules: ThrottleRules, execution: Execution) -> None:
        self._rules = rules
        self._execution = execution
        self._rejects: dict[str, _Count] = {}
        self._entries: dict[str, _Count] = {}

    def apply(self, payload: Payload, ts: Nanos) -> None:
        match payload:
            case OrderRejected() | WriteRefused():
                found = self._rejected(payload)
                if found is not None:
                    _count(self._rejects, *found, ts, self._rules.rejects_within)
            case Attempt() if payload.order.purpose is Purpose.ENTER:
                order = payload.order
                _count(self._entries, _entry_key(payload), order.lane, order.strategy, ts, self._rules.entries_within)
            case StrategyEnabled():
                for counts in (self._rejects, self._entries):
                    for key in [key for key, count in counts.items()
                                if (count.lane, count.strategy) == (payload.lane, payload.strategy)]:
                        del counts[key]
            case _:
                pass

    def react(self, payload: Payload, is_off: bool) -> Iterator[Payload]:
        """What follows from a payload that has just been folded. `is_off`: its strategy is off already."""
        rules = self._rules
        if is_off:
            return
        if isinstance(payload, Attempt):
            count = self._entries.get(_entry_key(payload)) if payload.order.purpose is Purpose.ENTER else None
            if count is not None and len(count.times) >= rules.entries_max:
                yield from _off(count, EXECUTIONS, f"{len(count.times)} entries in {payload.order.instrument} for "
                                f"{payload.order.account} within {rules.entries_within // MINUTE} minutes, without a person")
        elif isinstance(payload, OrderRejected | WriteRefused):
            found = self._rejected(payload)
            count = None if found is None else self._rejects.get(found[0])
            if count is not None and len(count.times) >= rules.rejects_max:
                yield from _off(count, REJECTS, f"{len(count.times)} orders for {payload.account} were refused within "
                                f"{rules.rejects_within // MINUTE} minutes for one reason: {payload.reason}")

    def strategy_of(self, payload: Payload) -> tuple[LaneName, StrategyName] | None:
        """Whom a payload concerns that may be counted here."""
        if isinstance(payload, Attempt):
            return payload.order.lane, payload.order.strategy
        if isinstance(payload, OrderRejected | WriteRefused):
            record = self._execution.orders.by_id(payload.client_order_id)
            return None if record is None else (record.lane, record.strategy)
        return None

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode((self._rejects, self._entries))

    def restore(self, body: bytes) -> None:
        self._rejects, self._entries = msgspec.msgpack.decode(body, type=tuple[dict[str, _Count], dict[str, _Count]])

    def _rejected(self, report: OrderRejected | WriteRefused) -> tuple[str, LaneName, StrategyName] | None:
        """The key of a refusal: account, instrument, side and reason. A bracket counts once, by its parent; an order that
        certainly never left for want of a line says nothing about its strategy."""
        record: OrderRecord | None = self._execution.orders.by_id(report.client_order_id)
        if record is None or record.account != report.account or record.parent != record.leg.client_order_id \
                or not record.lane:
            return None
        if isinstance(report, WriteRefused):
            reason = report.code
            if reason in UNWRITTEN:
                return None
        else:
            reason = _NUMBERS.sub("#", report.reason.replace(report.client_order_id, "#"))
        key = "|".join((record.lane, record.strategy, report.account, record.instrument, record.leg.side.value, reason))
        return key, record.lane, record.strategy


def _off(count: _Count, code: str, why: str) -> Iterator[Payload]:
    yield StrategyDisabled(count.lane, count.strategy, why, code)


def _entry_key(attempt: Attempt) -> str:
    order = attempt.order
    return "|".join((order.lane, order.strategy, order.account, order.instrument))


def _count(counts: dict[str, _Count], key: str, lane: LaneName, strategy: StrategyName, ts: Nanos, within: Nanos) -> None:
    count = counts.pop(key, None) or _Count(lane, strategy, [])
    while counts:                          # the one that was counted longest ago stands first
        oldest = next(iter(counts))
        if counts[oldest].times[-1] > ts - within:
            break
        del counts[oldest]
    times, past = count.times, 0
    while past < len(times) and times[past] <= ts - within:
        past += 1
    del times[:past]
    times.append(ts)
    counts[key] = count
