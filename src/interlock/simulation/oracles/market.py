"""What may leave at all: whole checks, sane payloads, a fresh and open market, limits charged at once, throttles, hours."""

from collections import deque
from fractions import Fraction
from typing import ClassVar

from interlock.model.record import CancelRequested
from interlock.model.verdict import Allow, Cleared, NotApplicable, NotEvaluated, NotRequired, Refuse, Verdict
from interlock.simulation.history import Durable, Event, FaultDone, Nanos, Node, Signal, VenueOrder, Wire
from interlock.simulation.oracles import calendar, frames
from interlock.simulation.oracles.base import Handler, Oracle, Sentences
from interlock.simulation.oracles.facts import ZERO, Facts
from interlock.simulation.oracles.frames import OrderMessage, Unreadable
from interlock.simulation.oracles.orders import WRITES, readable

MINUTE = 60_000_000_000
SECOND = 1_000_000_000
CLEARANCE = 2 * SECOND
"""How long a clearance lives: one that was given right before the cut-off may be used until then."""
BROKEN = ("gate.raise", "gate.none", "gate.nan", "gate.hang")
"""Faults that break one check; while one lasts nothing may be cleared in which that check has a say."""


class WholeChecks(Oracle):
    invariant: ClassVar[str] = "INV-05"
    claim: ClassVar[str] = "A clearance shows every check of its list, each with an explicit pass; a broken check passes nothing."
    witnessed: ClassVar[str] = "checks that were broken on purpose and refused"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._broken: dict[str, Nanos] = {}

    def on(self) -> dict[type[Event], Handler]:
        return {Durable: self._durable, FaultDone: self._fault, Node: self._node}

    def _node(self, event: Node) -> Sentences:
        if event.what == "start":
            self._broken.clear()               # a new process has whole checks
        return ()

    def _fault(self, event: FaultDone) -> Sentences:
        if event.verb in BROKEN and event.what:
            self._broken[event.what] = event.ts
        elif event.verb == "gate.mended":
            self._broken.pop(event.what, None)
        return ()

    def _durable(self, event: Durable) -> Sentences:
        for kept in event.entries:
            if isinstance(kept.payload, Verdict):
                yield from self._judged(kept.payload, kept.ts)

    def _judged(self, verdict: Verdict, ts: Nanos) -> Sentences:
        answers = {answer.check: answer.verdict for answer in verdict.answers}
        for name, since in self._broken.items():
            found = answers.get(name)
            if found is None or ts <= since:
                continue
            if isinstance(found, Refuse):
                self.witness += 1
            elif not isinstance(found, NotEvaluated):
                yield f"{name} was broken and the gate has from it {found!r}"
        if not isinstance(verdict.result, Cleared):
            return
        source = verdict.asked.intent.source.value
        expected = self.terms.checks.get(f"{verdict.profile.value}|{source}", ())
        names = tuple(answer.check for answer in verdict.answers if answer.check != "order.compose")
        if names != expected:
            absent = [name for name in expected if name not in names]
            yield f"a clearance of {verdict.signal_id} shows {len(names)} checks, {len(expected)} are due; absent: {absent}"
        for name, answer in answers.items():
            if not isinstance(answer, Allow | NotApplicable | NotRequired):
                yield f"{verdict.signal_id} was cleared although {name} answered {answer!r}"
        if not verdict.result.sized.quantity > 0 or not verdict.result.sized.quantity.is_finite():
            yield f"{verdict.signal_id} was cleared for {verdict.result.sized.quantity}"


class Manners(Oracle):
    """What single checks of the gate stand for, looked at once more from outside."""

    invariant: ClassVar[str] = "INV-05"
    claim: ClassVar[str] = "No entry is cleared into a wide or empty market, against one just made, or once too often a day."
    witnessed: ClassVar[str] = "alerts that came into a wide or thin market"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._entered: dict[tuple[str, str, int], list[Nanos]] = {}

    def on(self) -> dict[type[Event], Handler]:
        return {Durable: self._durable, Signal: self._signal}

    def _signal(self, event: Signal) -> Sentences:
        found = self.facts.quotes.get(str(event.body.get("symbol", "")))
        if found is not None:
            self.witness += found[1].ask - found[1].bid > self.terms.spread_ticks or found[1].ask_size < 1
        return ()

    def _durable(self, event: Durable) -> Sentences:
        for kept in event.entries:
            verdict = kept.payload
            if isinstance(verdict, Verdict) and verdict.profile.value == "enter" and isinstance(verdict.result, Cleared):
                yield from self._cleared(verdict, verdict.result, kept.ts)

    def _cleared(self, verdict: Verdict, result: Cleared, ts: Nanos) -> Sentences:
        symbol, side = result.order.instrument, result.order.parent.side.sign
        found, contract = self.facts.quotes.get(symbol), self.terms.contracts[symbol]
        if found is not None and found[0] < ts:
            quote = found[1]
            ticks = (quote.ask - quote.bid) * contract.increment / contract.tick
            if ticks > self.terms.spread_ticks:
                yield f"{verdict.signal_id} was cleared into a spread of {ticks} ticks, {self.terms.spread_ticks} agreed"
            size = quote.ask_size if side > 0 else quote.bid_size
            if size < result.sized.quantity:
                yield f"{verdict.signal_id} was cleared for {result.sized.quantity} where {size} were offered"
        for sign, wait in ((-side, self.terms.opposite_wait), (side, 0)):
            times = self._entered.get((verdict.account, contract.parent, sign), [])
            if times and ts - times[-1] < wait:
                yield f"{verdict.signal_id} was cleared {(ts - times[-1]) / 1e9:.1f} s after an entry the other way"
        times = self._entered.setdefault((verdict.account, contract.parent, side), [])
        times.append(ts)
        if len([each for each in times if calendar.trading_day(each) == calendar.trading_day(ts)]) > self.terms.entries_per_day:
            yield f"{verdict.signal_id} is entry number {len(times)} of the day, {self.terms.entries_per_day} agreed"


class SanePayload(Oracle):
    invariant: ClassVar[str] = "INV-16"
    claim: ClassVar[str] = (
        "Every number that leaves is finite, on tick and lot, within limit and collar, by the venue's own "
        "definition.")
    witnessed: ClassVar[str] = "alerts with prices off the tick or out of reach, feeds a hundredfold off, definitions told wrong"

    def on(self) -> dict[type[Event], Handler]:
        return {Wire: self._wire, Signal: self._signal, FaultDone: self._fault}

    def _fault(self, event: FaultDone) -> Sentences:
        self.witness += event.verb in ("feed.scale", "feed.zero", "feed.minus_one", "broker.wrong_definition")
        return ()

    def _signal(self, event: Signal) -> Sentences:
        self.witness += event.code != "accepted" or self._is_odd(event)
        return ()

    def _is_odd(self, event: Signal) -> bool:
        try:
            price, stop = Fraction(str(event.body["price"])), Fraction(str(event.body["stop"]))
        except (KeyError, ValueError):
            return True
        return price <= 0 or abs(stop - price) > price / 100

    def _wire(self, event: Wire) -> Sentences:
        if event.direction != "out" or event.kind not in WRITES:
            return
        try:
            message = frames.order(event.body)
        except Unreadable as error:
            yield f"an order message that cannot be read left: {error}"
            return
        contract, account = self.terms.contracts.get(message.symbol), self.terms.accounts.get(message.account)
        if contract is None or account is None:
            yield f"an order for {message.symbol} in {message.account}, which nobody has agreed to"
            return
        for leg in message.legs:
            if leg.quantity <= 0 or leg.quantity % contract.lot:
                yield f"{leg.id}: quantity {leg.quantity} is no multiple of the lot {contract.lot}"
            for price in (leg.limit, leg.stop):
                if price is not None and price % contract.tick:
                    yield f"{leg.id}: price {price} is off the tick {contract.tick}"
        yield from self._reach(message)
        if message.is_entry:
            parent, mid = message.legs[0], self.facts.mid(message.symbol)
            if parent.quantity > account.position_max:
                yield f"{message.id}: {parent.quantity} lots, {account.position_max} agreed"
            if mid is not None and parent.quantity * mid * contract.multiplier > account.notional_max:
                yield f"{message.id}: worth {parent.quantity * mid * contract.multiplier}, {account.notional_max} agreed"
            yield from self._definition(message)

    def _reach(self, message: OrderMessage) -> Sentences:
        mid = self.facts.mid(message.symbol)
        if mid is None or mid <= 0:
            return
        for index, leg in enumerate(message.legs):
            share = self.terms.collar * 2 if message.is_entry and not index else self.terms.wide_collar
            for price in (leg.limit, leg.stop):
                if price is not None and abs(price - mid) > share * mid:
                    yield f"{leg.id}: price {price} is more than {share} away from {mid}"

    def _definition(self, message: OrderMessage) -> Sentences:
        read = self.facts.reads.get(message.account)
        if read is None:
            return
        contract = self.terms.contracts[message.symbol]
        for told in read[1].get("definitions") or ():
            if told["symbol"] == message.symbol and frames.number(told["multiplier"]) != contract.multiplier:
                yield (f"{message.id} entered {message.symbol} although the venue tells a multiplier of {told['multiplier']}, "
                       f"not {contract.multiplier}")


class FreshMarket(Oracle):
    invariant: ClassVar[str] = "INV-17"
    claim: ClassVar[str] = "An entry leaves only on a fresh, uncrossed quote of an open market, over a line that is alive."
    witnessed: ClassVar[str] = "alerts that came while the feed was mute or the market shut"

    def on(self) -> dict[type[Event], Handler]:
        return {Wire: self._wire, Signal: self._signal}

    def _signal(self, event: Signal) -> Sentences:
        symbol = str(event.body.get("symbol", ""))
        self.witness += self._unfresh(symbol, event.ts) is not None
        return ()

    def _wire(self, event: Wire) -> Sentences:
        message = readable(event)
        if message is not None and message.is_entry:
            why = self._unfresh(message.symbol, event.clock or event.ts)
            if why is not None:
                yield f"{message.id} entered {message.symbol}: {why}"

    def _unfresh(self, symbol: str, ts: Nanos) -> str | None:
        quote, state = self.facts.heard.get(symbol), self.facts.states.get(symbol)
        if quote is None:
            return "no quote was ever delivered"
        if ts - quote.ts_recv > self.terms.quote_age:
            return f"its quote is {(ts - quote.ts_recv) / 1e9:.3f} s old"
        if quote.ts_recv > ts:
            return "its quote is from the future"
        if not 0 < quote.bid <= quote.ask:
            return f"its quote is {quote.bid} to {quote.ask}"
        if state is not None and (state.is_halted or not state.is_open):
            return "its market is halted or closed"
        return None


class LimitsAtOnce(Oracle):
    invariant: ClassVar[str] = "INV-18"
    claim: ClassVar[str] = "Whatever may still fill is charged: no entry lets the worst case exceed what was agreed."
    witnessed: ClassVar[str] = "entries cleared while another of the account had no answer yet"

    def on(self) -> dict[type[Event], Handler]:
        return {Wire: self._wire, Durable: self._durable}

    def _durable(self, event: Durable) -> Sentences:
        for kept in event.entries:
            verdict = kept.payload
            if isinstance(verdict, Verdict) and verdict.profile.value == "enter":
                self.witness += any(not leg.is_acknowledged and not leg.outcome and leg.account == verdict.account
                                    for leg in self.facts.told.values() if leg.leg.purpose == "enter")
        return ()

    def _wire(self, event: Wire) -> Sentences:
        message = readable(event)
        if message is None or not message.is_entry:
            return
        facts, account, symbol = self.facts, message.account, message.symbol
        terms, side = self.terms.accounts[account], message.legs[0].side
        held = facts.told_positions.get((account, symbol), ZERO)
        waiting = sum((leg.remaining for leg in facts.may_fill(account, symbol)
                       if leg.leg.purpose == "enter" and leg.leg.side == side and not facts.is_proven_missing(leg)), ZERO)
        worst = abs(held * side + waiting)
        if worst > terms.position_max:
            yield f"{message.id}: {symbol} of {account} could reach {worst} ({held} held), {terms.position_max} agreed"
        parent = self.terms.contracts[symbol].parent
        busy = {leg.id for leg in facts.told.values()
                if leg.account == account and leg.leg.purpose == "enter" and not leg.outcome and leg.id != message.id
                and leg.remaining > 0 and not facts.is_proven_missing(leg)
                and self.terms.contracts[leg.symbol].parent == parent}
        if busy:
            yield f"{message.id} entered {parent} in {account} while {min(busy)} may still fill"
        elif held:
            yield f"{message.id} entered {parent} in {account}, which holds {held} of it already"


class Throttles(Oracle):
    invariant: ClassVar[str] = "INV-19"
    claim: ClassVar[str] = "Orders stay below their rate; cancels are never held back by it."
    witnessed: ClassVar[str] = "entries refused for their rate by the record, and throttling by the venue"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._sent: dict[str, deque[Nanos]] = {}
        self._asked: dict[tuple[str, str], Nanos] = {}

    def on(self) -> dict[type[Event], Handler]:
        return {Wire: self._wire, Durable: self._durable, FaultDone: self._fault}

    def _fault(self, event: FaultDone) -> Sentences:
        self.witness += event.verb == "broker.throttle"
        return ()

    def _durable(self, event: Durable) -> Sentences:
        for kept in event.entries:
            request = kept.payload
            if isinstance(request, CancelRequested):
                leg = self.facts.told.get((request.account, request.client_order_id))
                if leg is not None and leg.leg.purpose == "enter":
                    self._asked.setdefault((request.account, request.client_order_id), event.ts)
        return ()

    def at_time(self, ts: Nanos) -> Sentences:
        for key, asked in tuple(self._asked.items()):
            if self.facts.told[key].outcome or not self.facts.is_whole or self.facts.ts_whole > asked:
                del self._asked[key]           # nothing is left to cancel, or no line was there to send it on
            elif ts >= asked + SECOND:
                yield f"the cancel of {key[1]} in {key[0]} was recorded at {asked} and has not left"
                del self._asked[key]

    def _wire(self, event: Wire) -> Sentences:
        if event.direction == "out" and event.kind == "cancel":
            found = frames.message(event.body)
            self._asked.pop((str(found["account"]), str(found["id"])), None)
        message = readable(event)
        if message is None or not message.is_entry:
            if message is not None:
                self._sent.setdefault(message.account, deque()).append(event.ts)
            return
        sent = self._sent.setdefault(message.account, deque())
        while sent and event.ts - sent[0] >= MINUTE:
            sent.popleft()
        sent.append(event.ts)
        limit = self.terms.accounts[message.account].orders_per_minute
        if len(sent) > limit:
            yield f"{message.id} is order number {len(sent)} of {message.account} within a minute, {limit} agreed"
        self.witness += len(sent) >= limit - 2


class Hours(Oracle):
    invariant: ClassVar[str] = "INV-20"
    claim: ClassVar[str] = "No entry leaves outside the session or after its cut-off, by the exchange's calendar."
    witnessed: ClassVar[str] = "alerts that came after the cut-off or outside the session"

    def on(self) -> dict[type[Event], Handler]:
        return {Wire: self._wire, Signal: self._signal}

    def _signal(self, event: Signal) -> Sentences:
        self.witness += not self._is_open(event.ts)
        return ()

    def _is_open(self, ts: Nanos) -> bool:
        return not self.terms.sessions or any(
            opened <= ts < cut + CLEARANCE for opened, _, cut in self.terms.sessions)

    def _wire(self, event: Wire) -> Sentences:
        message = readable(event)
        if message is not None and message.is_entry and not self._is_open(event.clock or event.ts):
            yield f"{message.id} entered {message.symbol} at {event.ts}, outside the hours for entries"


class IdenticalRejects(Oracle):
    """The other half of the throttles: nobody asks for the same refused thing for ever."""

    invariant: ClassVar[str] = "INV-19"
    claim: ClassVar[str] = "What the venue rejects again and again is not asked again and again."
    witnessed: ClassVar[str] = "orders that the venue rejected"
    MOST: ClassVar[int] = 12

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._rejected: dict[tuple[str, str, str], int] = {}
        self._cancels: dict[tuple[str, str], int] = {}

    def on(self) -> dict[type[Event], Handler]:
        return {VenueOrder: self._order, Wire: self._wire}

    def _order(self, event: VenueOrder) -> Sentences:
        if event.what != "rejected":
            return
        self.witness += 1
        key = event.account, event.symbol, event.reason
        self._rejected[key] = self._rejected.get(key, 0) + 1
        if self._rejected[key] > self.MOST:
            yield f"{event.symbol} of {event.account} was rejected {self._rejected[key]} times for {event.reason!r}"

    def _wire(self, event: Wire) -> Sentences:
        if event.direction == "out" and event.kind == "cancel":
            found = frames.message(event.body)
            key = str(found["account"]), str(found["id"])
            self._cancels[key] = self._cancels.get(key, 0) + 1
            if self._cancels[key] > 3 * self.MOST:
                yield f"the cancel of {key[1]} in {key[0]} was sent {self._cancels[key]} times"


ORACLES: tuple[type[Oracle], ...] = (
    WholeChecks, Manners, SanePayload, FreshMarket, LimitsAtOnce, Throttles, IdenticalRejects, Hours)
