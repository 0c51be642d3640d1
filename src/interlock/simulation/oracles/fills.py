"""Fills count once, and money is what the executions say."""

from fractions import Fraction
from typing import ClassVar

from interlock.model.report import OrderFilled
from interlock.model.verdict import Verdict
from interlock.simulation.history import Durable, Event, Nanos, Seen, VenueFill, Wire
from interlock.simulation.oracles import calendar, frames
from interlock.simulation.oracles.base import Handler, Oracle, Sentences
from interlock.simulation.oracles.facts import ZERO, Facts
from interlock.simulation.oracles.frames import Unreadable
from interlock.simulation.oracles.orders import readable

SECOND = 1_000_000_000


class FillsOnce(Oracle):
    invariant: ClassVar[str] = "INV-08"
    claim: ClassVar[str] = "What we hold is the sum of distinct executions, none invented, none counted twice, none clamped."
    witnessed: ClassVar[str] = "executions that were told again, or before their order's acknowledgement"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._heard: set[tuple[str, str]] = set()
        self._over: dict[tuple[str, str], Nanos] = {}

    def on(self) -> dict[type[Event], Handler]:
        return {Durable: self._durable, Wire: self._wire}

    def _wire(self, event: Wire) -> Sentences:
        if event.direction != "in" or event.kind != "report":
            return ()
        try:
            found = frames.message(event.body)
        except Unreadable:
            return ()
        if found.get("event") == "accepted":
            self._heard.add((found["account"], found["id"]))
        if found.get("event") == "fill":
            key = found["account"], found["execution"]
            leg = self.facts.told.get((found["account"], found["id"]))
            self.witness += key in self._heard or (leg is not None and (found["account"], found["id"]) not in self._heard)
            self._heard.add(key)
            if leg is not None and leg.filled > max(leg.quantity, leg.leg.quantity):
                self._over.setdefault((leg.account, leg.id), event.ts)
        return ()

    def _durable(self, event: Durable) -> Sentences:
        for kept in event.entries:
            match kept.payload:
                case OrderFilled() as fill:
                    yield from self._real(fill)
                case Verdict() as verdict:
                    view, instrument = verdict.view, verdict.view.instrument.symbol
                    booked = self.facts.booked_at(kept.seq, (verdict.account, instrument))
                    if Fraction(view.account.position) != booked:
                        yield (f"the gate was shown {view.account.position} {instrument} in {verdict.account}; the distinct "
                               f"executions of the record make {booked}")
                case _:
                    pass

    def _real(self, fill: OrderFilled) -> Sentences:
        if "broker.same_exec_id" in self.facts.faults:
            return
        truth = self.facts.executions.get((fill.account, fill.execution_id))
        if truth is None:
            yield f"the record has execution {fill.execution_id} of {fill.account}, which never happened"
        elif (truth.quantity, truth.price, truth.side) != (Fraction(fill.quantity), Fraction(fill.price), fill.side.sign):
            yield f"execution {fill.execution_id} of {fill.account} is recorded as {fill.quantity} at {fill.price}"

    def at_time(self, ts: Nanos) -> Sentences:
        for key, since in tuple(self._over.items()):
            if self.facts.frozen.get(key[0]):
                del self._over[key]
            elif not self.facts.has_time(since, 5 * SECOND, ts):
                del self._over[key]
                yield f"{key[1]} in {key[0]} filled more than was ordered and nothing is halted"

    def at_quiet(self, _ts: Nanos) -> Sentences:
        if "broker.same_exec_id" in self.facts.faults:
            return
        for account in self.terms.accounts:
            if self.facts.frozen.get(account) or self.facts.is_open_question(account):
                continue
            for symbol in self.terms.contracts:
                truth = self.facts.positions.get((account, symbol), ZERO)
                booked = self.facts.booked_positions.get((account, symbol), ZERO)
                if truth != booked:
                    yield (f"at rest the venue holds {truth} {symbol} in {account}, the record's executions make {booked}, and "
                           "nothing stands in the way of trading")


class HonestMoney(Oracle):
    invariant: ClassVar[str] = "INV-28"
    claim: ClassVar[str] = "The day's result that limits use is realised plus unrealised less fees; at the limit no entry leaves."
    witnessed: ClassVar[str] = "judgements with a result that is not zero, compared with the executions' own sum"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._base: dict[str, Fraction] = {}           # by account: its result when the trading day began
        self._next_day: Nanos = 0
        self._changed: Nanos = 0

    def on(self) -> dict[type[Event], Handler]:
        return {Wire: self._wire, Durable: self._durable, Seen: self._seen}

    def _seen(self, event: Seen) -> Sentences:
        self._changed = event.ts
        return ()

    def at_time(self, ts: Nanos) -> Sentences:
        """A trading day begins when the clock says so, before anything that happens in it."""
        if ts >= self._next_day:
            if self._next_day:
                self._base = {account: self.facts.pnl(account) or ZERO for account in self.terms.accounts}
            self._next_day = calendar.day_end(ts)
        return ()

    def _today(self, account: str) -> Fraction | None:
        total = self.facts.pnl(account)
        return None if total is None else total - self._base.get(account, ZERO)

    def _wire(self, event: Wire) -> Sentences:
        if event.direction == "in":
            self._changed = event.ts
        message = readable(event)
        if message is None or not message.is_entry:
            return
        terms, result = self.terms.accounts[message.account], self._today(message.account)
        limit = min(terms.daily_loss, self.terms.daily_loss_share * terms.cash)
        if result is None:
            yield f"{message.id} entered while the result of {message.account} is not known"
        elif result <= -limit:
            yield f"{message.id} entered while {message.account} has lost {float(-result):.2f} today, {float(limit):.2f} agreed"

    def _durable(self, event: Durable) -> Sentences:
        for kept in event.entries:
            verdict = kept.payload
            if not isinstance(verdict, Verdict) or verdict.view.account.day_pnl is None or kept.ts <= self._changed:
                continue
            if self.facts.told_differs(verdict.account) or self.facts.is_booked_after(kept.seq, verdict.account):
                continue
            expected = self._today(verdict.account)
            if expected is None or self.facts.is_priced_by_bar(verdict.account):
                continue
            self.witness += expected != 0
            if abs(Fraction(verdict.view.account.day_pnl) - expected) > Fraction(1, 100):
                yield (f"the gate was shown a result of {verdict.view.account.day_pnl} for {verdict.account}; executions make "
                       f"{float(expected):.2f}")


class Venue(Oracle):
    """A cross-check of the simulated venue itself: its ledger adds up."""

    invariant: ClassVar[str] = "INV-08"
    claim: ClassVar[str] = "The venue's own executions are distinct."
    witnessed: ClassVar[str] = "nothing of its own"

    def on(self) -> dict[type[Event], Handler]:
        return {VenueFill: self._fill}

    def _fill(self, event: VenueFill) -> Sentences:
        if event.quantity <= 0:
            yield f"the simulated venue executed {event.quantity}"


ORACLES: tuple[type[Oracle], ...] = (FillsOnce, HonestMoney)
