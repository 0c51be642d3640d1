"""Folding the journal into what execution knows. Nothing is decided here."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from interlock.execution.brackets import is_target_held
from interlock.execution.exposure import ZERO, position_key
from interlock.execution.state import TRIES_MAX, Exit, Plan, Situation, backoff, exit_side, plan_key
from interlock.model.command import Killed, Released
from interlock.model.money import Nanos
from interlock.model.order import PROFILES, Closed, OrderRecord, Outcome, Profile, Working
from interlock.model.record import (
    AccountFrozen,
    AccountThawed,
    Alarm,
    AlarmCleared,
    Attempt,
    ExitBegun,
    ExitEnded,
    ReadRequested,
)
from interlock.model.report import AccountRead, OrderCancelled, OrderFilled, OrderFound
from interlock.model.signal import AccountIntent, Purpose
from interlock.model.verdict import Cleared, Verdict

_EXITS = (Purpose.TARGET, Purpose.REDUCE, Purpose.FLATTEN)


class Fold:
    """Writes the situation. `held` finds, by instrument, the positions whose target is watched here."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self.held: dict[str, dict[str, None]] = {}
        self._folds: dict[type, Callable[[Any, Nanos], None]] = {
            Verdict: self._on_verdict, AccountIntent: self._on_asked, Attempt: self._on_attempt,
            Killed: self._on_killed, Released: self._on_released, ExitBegun: self._on_exit_begun,
            ExitEnded: self._on_exit_ended, Alarm: self._on_alarm, AlarmCleared: self._on_alarm_cleared,
            AccountFrozen: self._on_frozen, AccountThawed: self._on_thawed, AccountRead: self._on_read,
            ReadRequested: self._on_read_requested}

    def apply(self, payload: Any, ts: Nanos) -> None:
        self._situation.ts = ts
        orders = self._situation.orders
        name = getattr(payload, "client_order_id", None)
        if name is not None:
            before = orders.by_id(name)
            orders.apply(payload, ts)
            after = orders.by_id(name)
            if after is not None:
                self._on_order(payload, before, after, ts)
            elif type(payload) is OrderFilled:
                self._touch(position_key(payload.account, payload.instrument), ts)
        fold = self._folds.get(type(payload))
        if fold is not None:
            fold(payload, ts)

    def reindex(self) -> None:
        self.held = {}
        for key in self._situation.folded.current:
            self._index(key)

    def _on_order(self, payload: Any, before: OrderRecord | None, after: OrderRecord, ts: Nanos) -> None:
        folded = self._situation.folded
        key = position_key(after.account, after.instrument)
        purpose, gained = after.leg.purpose, after.filled - (ZERO if before is None else before.filled)
        if gained > ZERO:
            if purpose is Purpose.ENTER:
                self._on_entry_fill(key, after)
            elif (out := folded.exits.get(key)) is not None and after.leg.client_order_id in out.orders:
                out.done += gained
        if before is not None and before.is_open and isinstance(after.state, Closed):
            self._on_closed(key, payload, before, after, ts)
        if before is not after:
            self._touch(key, ts)

    def _on_entry_fill(self, key: str, record: OrderRecord) -> None:
        folded, name = self._situation.folded, plan_key(record.account, record.signal_id)
        plan = folded.plans.get(name)
        if plan is not None and self._situation.position(key) * plan.side.sign > ZERO:
            folded.current[key] = name
            if record.ts_created > folded.removed.get(key, record.ts_created):
                folded.removed.pop(key, None)

    def _on_closed(self, key: str, payload: Any, before: OrderRecord, after: OrderRecord, ts: Nanos) -> None:
        """What the end of an order means for the protection or the exit that it belonged to."""
        folded = self._situation.folded
        state, name = after.state, after.leg.client_order_id
        if not isinstance(state, Closed) or state.outcome is Outcome.FILLED:
            return
        out = folded.exits.get(key)
        if out is not None and name in out.orders:
            out.tries += 1
            out.ts_retry = ts + backoff(out.tries)
        if after.leg.purpose not in (Purpose.PROTECT, Purpose.TARGET) or out is not None:
            return
        if state.outcome is Outcome.CANCELLED:
            unasked = not before.is_cancel_requested and isinstance(payload, OrderCancelled | OrderFound)
            was_live = isinstance(before.state, Working) and before.state.is_live
            if unasked and was_live and after.leg.purpose is Purpose.PROTECT and not self._is_replaced(key, name):
                folded.removed[key] = ts
            return
        plan = folded.plans.get(plan_key(after.account, after.signal_id))
        if plan is None:
            return
        if after.leg.purpose is Purpose.TARGET:
            plan.target = None if not plan.is_linked else plan.target   # the venue will not have it; the stop protects
            return
        plan.tries += 1
        plan.ts_retry = ts + backoff(plan.tries)
        folded.broken[key] = ts                           # a rejected or expired stop starts its two seconds anew

    def _is_replaced(self, key: str, name: str) -> bool:
        orders = self._situation.orders
        return any(orders.book.replaces.get(record.leg.client_order_id) == name for record in orders.open_at(key))

    def _touch(self, key: str, ts: Nanos) -> None:
        """Note since when stops and position differ, or that they no longer do."""
        situation, folded = self._situation, self._situation.folded
        at = situation.position(key)
        if at:
            confirmed, _ = situation.orders.covering(key, Purpose.PROTECT, exit_side(at))
            is_whole = confirmed == abs(at)
        else:
            folded.removed.pop(key, None)
            is_whole = not any(self._is_orphan(record) for record in situation.orders.open_at(key))
        if is_whole:
            folded.broken.pop(key, None)
        else:
            folded.broken.setdefault(key, ts)
        self._index(key)

    def _is_orphan(self, record: OrderRecord) -> bool:
        """An exit order that nothing can make sense of while the position is flat."""
        if record.leg.purpose is Purpose.ENTER:
            return False
        parent = self._situation.orders.by_id(record.parent)
        return parent is None or parent is record or not parent.is_open

    def _index(self, key: str) -> None:
        instrument = key.partition("|")[2]
        keys = self.held.get(instrument)
        if is_target_held(self._situation, key):
            if keys is None:
                keys = self.held[instrument] = {}
            keys[key] = None
        elif keys and key in keys:
            del keys[key]

    def _on_verdict(self, verdict: Verdict, ts: Nanos) -> None:
        folded, intent = self._situation.folded, verdict.asked.intent
        key = position_key(verdict.account, intent.instrument)
        folded.pending.pop(f"{key}|{intent.purpose.value}", None)
        result, name = verdict.result, plan_key(verdict.account, verdict.signal_id)
        if isinstance(result, Cleared):
            if intent.purpose is Purpose.ENTER and intent.stop is not None:
                order = result.order
                folded.plans[name] = Plan(
                    account=verdict.account, instrument=order.instrument, asked=intent.instrument,
                    signal_id=verdict.signal_id, lane=intent.lane, strategy=intent.strategy, source=intent.source,
                    side=intent.side, stop=intent.stop, target=None if intent.is_target_owned else intent.target,
                    is_linked=len(order.legs) > 1)
        elif PROFILES[intent.purpose] is not Profile.ENTER:
            out, plan = folded.exits.get(key), folded.plans.get(name)
            if out is not None and intent.purpose in _EXITS:
                out.tries += 1
                out.ts_retry = ts + backoff(out.tries)
            elif plan is not None:
                plan.tries += 1
                plan.ts_retry = ts + backoff(plan.tries)

    def _on_asked(self, asked: AccountIntent, ts: Nanos) -> None:
        if asked.intent.leg:
            key = position_key(asked.account, asked.intent.instrument)
            self._situation.folded.pending[f"{key}|{asked.intent.purpose.value}"] = ts

    def _on_attempt(self, attempt: Attempt, _ts: Nanos) -> None:
        """The parent is the whole order where it is an exit; a stop outside its bracket unlinks the target."""
        order, folded = attempt.order, self._situation.folded
        key = position_key(order.account, order.instrument)
        if order.purpose is Purpose.PROTECT:
            plan = folded.plans.get(plan_key(order.account, order.signal_id))
            if plan is not None and plan.is_linked:
                plan.is_linked = False
                self._index(key)
        out = folded.exits.get(key)
        if out is not None and order.purpose in _EXITS and order.signal_id == out.asked.intent.signal_id:
            out.orders.append(order.client_order_id)

    def _on_killed(self, killed: Killed, ts: Nanos) -> None:
        folded = self._situation.folded
        folded.kills[f"{killed.lane or ''}|{killed.account or ''}"] = killed.scope
        if killed.scope != "all":
            return
        for key in folded.current:
            plan = self._situation.plan(key)
            if (plan is not None and self._situation.position(key) and killed.lane in (None, plan.lane)
                    and killed.account in (None, plan.account)):
                folded.removed[key] = ts                  # a person takes the protection away, and the exits with it
                folded.exits.pop(key, None)

    def _on_released(self, released: Released, _ts: Nanos) -> None:
        self._situation.folded.kills.pop(f"{released.lane or ''}|{released.account or ''}", None)

    def _on_exit_begun(self, begun: ExitBegun, ts: Nanos) -> None:
        key = position_key(begun.account, begun.instrument)
        earlier = self._situation.folded.exits.get(key)
        orders = [] if earlier is None else earlier.orders
        self._situation.folded.exits[key] = Exit(asked=begun.asked, ts=ts, orders=orders)

    def _on_exit_ended(self, ended: ExitEnded, ts: Nanos) -> None:
        key = position_key(ended.account, ended.instrument)
        out, plan = self._situation.folded.exits.pop(key, None), self._situation.plan(key)
        if out is not None and plan is not None and not ended.is_done:
            if out.asked.intent.purpose is Purpose.TARGET:
                plan.target = None                        # not tried again at every mark
            elif out.asked.intent.leg:
                plan.tries = TRIES_MAX
        self._touch(key, ts)

    def _on_alarm(self, alarm: Alarm, _ts: Nanos) -> None:
        self._situation.folded.alarms[alarm.key] = True

    def _on_alarm_cleared(self, cleared: AlarmCleared, _ts: Nanos) -> None:
        self._situation.folded.alarms.pop(cleared.key, None)

    def _on_frozen(self, frozen: AccountFrozen, _ts: Nanos) -> None:
        self._situation.folded.frozen[f"{frozen.account}|{frozen.code}"] = True

    def _on_thawed(self, thawed: AccountThawed, _ts: Nanos) -> None:
        self._situation.folded.frozen.pop(f"{thawed.account}|{thawed.code}", None)

    def _on_read_requested(self, request: ReadRequested, ts: Nanos) -> None:
        self._situation.folded.rereads[request.account] = ts

    def _on_read(self, read: AccountRead, ts: Nanos) -> None:
        """Since when the broker's own stops and position differ, by instrument."""
        held: dict[str, Decimal] = {position.instrument: abs(position.quantity) for position in read.positions}
        stops: dict[str, Decimal] = dict.fromkeys(held, ZERO)
        for order in read.orders:
            if order.is_protective and order.is_live:
                stops[order.instrument] = stops.get(order.instrument, ZERO) + order.quantity - order.filled
        theirs = self._situation.folded.theirs
        broken = {position_key(read.account, name): ts for name, quantity in stops.items()
                  if quantity != held.get(name, ZERO)}
        for key in [key for key in theirs if key.startswith(f"{read.account}|") and key not in broken]:
            del theirs[key]
        for key in broken:
            theirs.setdefault(key, ts)
