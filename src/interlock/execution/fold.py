"""Folding the journal into what execution knows. Nothing is decided here."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from interlock.execution.brackets import is_target_held
from interlock.execution.escalation import ESCALATING
from interlock.execution.exposure import ZERO, Seen, position_key
from interlock.execution.state import (
    TRIES_MAX,
    Exit,
    Flattening,
    Plan,
    Proof,
    Situation,
    Standing,
    backoff,
    exit_side,
    plan_key,
)
from interlock.model.command import AccountAdopted, FlattenBegun, FlattenEnded, Killed, KillProved, PositionAdopted, Released
from interlock.model.ids import AccountName
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
    Started,
    TierChanged,
)
from interlock.model.report import (
    AccountRead,
    BrokerOrder,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderFound,
    OrderRejected,
    ReadFailed,
)
from interlock.model.signal import AccountIntent, Purpose
from interlock.model.verdict import Cleared, Verdict

_EXITS = (Purpose.TARGET, Purpose.REDUCE, Purpose.FLATTEN)
NEVER: Final = 2**63 - 1
"""The flat time of a market that never closes."""
HALTING: Final = ("loss", "drift")
"""Freezes of an account that halt it as the worst tier does."""
HALT: Final = 4
_ENDS = (OrderCancelled, OrderExpired, OrderRejected)


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
            ReadRequested: self._on_read_requested, ReadFailed: self._on_read_failed, Started: self._on_started,
            FlattenBegun: self._on_flatten_begun, FlattenEnded: self._on_flatten_ended, KillProved: self._on_kill_proved,
            PositionAdopted: self._on_adopted, AccountAdopted: self._on_account_adopted, TierChanged: self._on_tier}

    def apply(self, payload: Any, ts: Nanos) -> None:
        self._situation.ts = ts
        orders = self._situation.orders
        name = getattr(payload, "client_order_id", None)
        if name is not None:
            before = orders.by_id(name)
            orders.apply(payload, ts)
            after = orders.by_id(name)
            if type(payload) is OrderFilled and any(note.kind == "filled" for note in orders.notes):
                self._situation.folded.ears.on_fill(payload, ts)
            if after is not None:
                self._on_order(payload, before, after, ts)
            elif type(payload) is OrderFilled:
                self._touch(position_key(payload.account, payload.instrument), ts)
            elif type(payload) in _ENDS:
                self._situation.folded.ears.move(payload.account)
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
            folded.ears.move(after.account)
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
        plan.ts_retry = ts + backoff(plan.tries)          # since when the position is not covered stays as it is: `_touch`

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
        if not at:
            folded.gave_up.pop(key, None)
            if key in folded.flats and not situation.orders.open_at(key):
                del folded.flats[key]
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
        if is_target_held(self._situation, key) or self._is_stop_held(key):
            if keys is None:
                keys = self.held[instrument] = {}
            keys[key] = None
        elif keys and key in keys:
            del keys[key]

    def _is_stop_held(self, key: str) -> bool:
        """A stop that the venue has refused is watched here until one rests, or somebody takes it away."""
        folded, plan = self._situation.folded, self._situation.plan(key)
        return (plan is not None and plan.tries > 0 and key in folded.broken and key not in folded.removed
                and self._situation.position(key) * plan.side.sign > ZERO)

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
                flat, held = verdict.view.session.ts_flat, position_key(verdict.account, order.instrument)
                if 0 < flat < NEVER:
                    folded.flats[held] = min(flat, folded.flats.get(held, flat))
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

    def _on_attempt(self, attempt: Attempt, ts: Nanos) -> None:
        """The parent is the whole order where it is an exit; a stop outside its bracket unlinks the target."""
        order, folded = attempt.order, self._situation.folded
        key = position_key(order.account, order.instrument)
        folded.ears.move(order.account)
        folded.ears.attempted[order.account] = ts
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
        reach = f"{killed.lane or ''}|{killed.account or ''}"
        folded.kills[reach], folded.killed[reach] = killed.scope, ts
        for account in self._situation.profiles:
            if killed.account in (None, account):
                folded.proofs[account] = Proof(epoch=killed.epoch, ts=ts)
        if killed.scope != "all":
            return
        for key in folded.current:
            plan = self._situation.plan(key)
            if (plan is not None and self._situation.position(key) and killed.lane in (None, plan.lane)
                    and killed.account in (None, plan.account)):
                folded.removed[key] = ts                  # a person takes the protection away, and the exits with it
                if not self._situation.is_flattened(key):
                    folded.exits.pop(key, None)

    def _on_released(self, released: Released, _ts: Nanos) -> None:
        folded, reach = self._situation.folded, f"{released.lane or ''}|{released.account or ''}"
        folded.kills.pop(reach, None)
        folded.killed.pop(reach, None)
        for account in tuple(folded.proofs):
            if not self._situation.is_account_killed(account):
                del folded.proofs[account]

    def _on_exit_begun(self, begun: ExitBegun, ts: Nanos) -> None:
        key = position_key(begun.account, begun.instrument)
        earlier = self._situation.folded.exits.get(key)
        orders = [] if earlier is None else earlier.orders
        self._situation.folded.exits[key] = Exit(asked=begun.asked, ts=ts, orders=orders)
        out = self._situation.folded.flattens.get(begun.account)
        if out is not None and begun.asked.intent.signal_id == out.signal:
            out.closing[begun.instrument] = ts

    def _on_exit_ended(self, ended: ExitEnded, ts: Nanos) -> None:
        key = position_key(ended.account, ended.instrument)
        out, plan = self._situation.folded.exits.pop(key, None), self._situation.plan(key)
        if not ended.is_done:
            self._situation.folded.gave_up[key] = ts
        if out is not None and plan is not None and not ended.is_done:
            if out.asked.intent.purpose is Purpose.TARGET:
                plan.target = None                        # not tried again at every mark
            elif out.asked.intent.leg:
                plan.tries = TRIES_MAX
        self._touch(key, ts)

    def _on_alarm(self, alarm: Alarm, ts: Nanos) -> None:
        folded = self._situation.folded
        folded.alarms[alarm.key] = True
        name, _, level = alarm.key.partition("#")
        if name.startswith(ESCALATING):
            earlier = folded.standing.get(name)
            folded.standing[name] = Standing(ts=ts, level=int(level or 1), text=alarm.text if earlier is None else earlier.text)

    def _on_alarm_cleared(self, cleared: AlarmCleared, _ts: Nanos) -> None:
        self._situation.folded.alarms.pop(cleared.key, None)
        self._situation.folded.standing.pop(cleared.key, None)

    def _on_frozen(self, frozen: AccountFrozen, ts: Nanos) -> None:
        self._situation.folded.frozen[f"{frozen.account}|{frozen.code}"] = True
        if frozen.code in HALTING:
            self._situation.folded.halted[f"{frozen.code}.{frozen.account}"] = ts

    def _on_thawed(self, thawed: AccountThawed, _ts: Nanos) -> None:
        self._situation.folded.frozen.pop(f"{thawed.account}|{thawed.code}", None)
        if thawed.code in HALTING:
            self._situation.folded.halted.pop(f"{thawed.code}.{thawed.account}", None)

    def _on_tier(self, changed: TierChanged, ts: Nanos) -> None:
        if changed.tier >= HALT:
            self._situation.folded.halted[changed.scope] = ts
        else:
            self._situation.folded.halted.pop(changed.scope, None)

    def _on_adopted(self, adopted: PositionAdopted, ts: Nanos) -> None:
        """A person said that the broker is right."""
        key = position_key(adopted.account, adopted.instrument)
        book = self._situation.orders.book
        book.positions[key] = adopted.quantity
        for name in tuple(book.owed):
            record = book.records[name]
            if position_key(record.account, record.instrument) == key:
                del book.owed[name]                       # whatever it filled is in the quantity that was adopted
        self._touch(key, ts)

    def _on_account_adopted(self, adopted: AccountAdopted, ts: Nanos) -> None:
        """What the adopted position holds already is not booked when its report comes after all."""
        seen = self._situation.orders.book.executions.setdefault(adopted.account, {})
        for fill in adopted.fills:
            seen.setdefault(fill.execution_id, Seen(fill.client_order_id, fill.quantity, fill.price, ts))

    def _on_started(self, _started: Started, ts: Nanos) -> None:
        """Nobody of this process has asked anything; a flatten that is still a person's wish begins its time anew."""
        folded = self._situation.folded
        folded.ears.on_started()
        for out in folded.flattens.values():
            out.ts_from, out.reads, out.mark_asked, out.is_read = ts, 0, -1, False

    def _on_flatten_begun(self, begun: FlattenBegun, ts: Nanos) -> None:
        folded = self._situation.folded
        for account in begun.accounts:
            folded.ears.move(account)
            earlier = folded.flattens.get(account)
            folded.flattens[account] = Flattening(
                command=begun.command, why=begun.why, instrument=begun.instrument, ts=ts, ts_from=ts,
                closing={} if earlier is None else earlier.closing)

    def _on_flatten_ended(self, ended: FlattenEnded, _ts: Nanos) -> None:
        flattens = self._situation.folded.flattens
        out = flattens.get(ended.account)
        if out is not None:
            out.closing.pop(ended.instrument, None)
            if not out.closing:
                del flattens[ended.account]

    def _on_kill_proved(self, proved: KillProved, _ts: Nanos) -> None:
        proof = self._situation.folded.proofs.get(proved.account)
        if proof is not None:
            proof.is_clean, proof.left = proved.is_clean, proved.left

    def _on_read_requested(self, request: ReadRequested, ts: Nanos) -> None:
        folded = self._situation.folded
        folded.rereads[request.account] = ts
        folded.ears.on_asked(request.account, ts)
        waiting = folded.flattens.get(request.account), folded.proofs.get(request.account)
        for each in waiting:
            if each is not None:
                each.reads, each.ts_read = each.reads + 1, ts
                each.mark_asked = folded.ears.marks.get(request.account, 0)

    def _on_read_failed(self, failed: ReadFailed, _ts: Nanos) -> None:
        self._situation.folded.ears.on_unanswered(failed.account)

    def _is_left_over(self, order: BrokerOrder, held: Mapping[str, Decimal]) -> bool:
        """Whether the broker lists an exit of ours and no position that it could be for."""
        record = self._situation.orders.by_id(order.client_order_id)
        return record is not None and record.leg.purpose is not Purpose.ENTER and not held.get(order.instrument)

    def _on_read(self, read: AccountRead, ts: Nanos) -> None:
        """What the broker holds; and since when its own stops and position differ, by instrument."""
        ears = self._situation.folded.ears
        ears.on_read(read, self._situation.held(read.account))
        out = self._situation.folded.flattens.get(read.account)
        if out is not None and ears.current(AccountName(read.account)) is not None:
            out.is_read = True
        held: dict[str, Decimal] = {position.instrument: abs(position.quantity) for position in read.positions}
        stops: dict[str, Decimal] = dict.fromkeys(held, ZERO)
        for order in read.orders:
            if order.is_live and (order.is_protective or self._is_left_over(order, held)):
                stops[order.instrument] = stops.get(order.instrument, ZERO) + order.quantity - order.filled
        theirs = self._situation.folded.theirs
        broken = {position_key(read.account, name): ts for name, quantity in stops.items()
                  if quantity != held.get(name, ZERO)}
        for key in [key for key in theirs if key.startswith(f"{read.account}|") and key not in broken]:
            del theirs[key]
        for key in broken:
            theirs.setdefault(key, ts)
