"""Differences belong to a person, errors are not emptiness, and nothing starts before the account was read."""

from fractions import Fraction
from typing import Any, ClassVar

from interlock.model.record import AccountFrozen, Attempt
from interlock.model.report import AccountRead
from interlock.model.verdict import Verdict
from interlock.simulation.history import Durable, Event, FaultDone, Nanos, Node, VenueFill, VenueLine, Wire
from interlock.simulation.oracles import frames
from interlock.simulation.oracles.base import Handler, Oracle, Sentences
from interlock.simulation.oracles.facts import ZERO, Facts
from interlock.simulation.oracles.frames import Unreadable
from interlock.simulation.oracles.orders import readable

SECOND = 1_000_000_000
DAMAGED = ("broker.empty_read", "broker.truncated_read", "broker.failed_read", "broker.unknown_enum", "net.slice", "net.garbage",
           "net.status")


class DriftIsOwned(Oracle):
    invariant: ClassVar[str] = "INV-12"
    claim: ClassVar[str] = "A lasting difference freezes its account and opens a question; nothing is ordered to repair it."
    witnessed: ClassVar[str] = "executions that the platform did not order"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._since: dict[str, Nanos] = {}                 # a read has shown a difference of positions
        self._has_fault = False

    def on(self) -> dict[type[Event], Handler]:
        return {VenueFill: self._fill, Wire: self._wire, Durable: self._durable, FaultDone: self._fault}

    def _fault(self, _event: FaultDone) -> Sentences:
        self._has_fault = True
        return ()

    def _fill(self, event: VenueFill) -> Sentences:
        self.witness += event.by != "platform"
        return ()

    def _durable(self, event: Durable) -> Sentences:
        for kept in event.entries:
            match kept.payload:
                case AccountFrozen(code="drift") as frozen:
                    if not self._has_fault and not any(key[0] == frozen.account for key in self.facts.foreign):
                        yield f"{frozen.account} is frozen for drift ({frozen.why}) although nothing went wrong"
                case Attempt() as attempt:
                    if attempt.order.legs[0].purpose.value == "enter" and attempt.order.signal_id not in self.facts.signals \
                            and not self.facts.intents.get(attempt.order.signal_id):
                        yield f"{attempt.client_order_id} enters {attempt.order.instrument} for no decision that is recorded"
                    elif attempt.order.signal_id not in self.facts.signals and attempt.order.signal_id not in self.facts.intents:
                        yield f"{attempt.client_order_id} trades {attempt.order.instrument} for nothing that is recorded"
                case AccountRead() as read:
                    self._compare(read, event.ts)
                case _:
                    pass

    def _compare(self, read: AccountRead, ts: Nanos) -> None:
        if self.facts.recorded_reads[read.account][1] is not read:
            return                             # it was overtaken on its way, and tells what was so before
        told = {position.instrument: Fraction(position.quantity) for position in read.positions}
        differs = any(told.get(symbol, ZERO) != self.facts.booked_positions.get((read.account, symbol), ZERO)
                      for symbol in self.terms.contracts)
        if differs:
            self._since.setdefault(read.account, ts)
        else:
            self._since.pop(read.account, None)

    def _wire(self, event: Wire) -> Sentences:
        message = readable(event)
        if message is None:
            return
        since = self._since.get(message.account)
        if since is None:
            return
        if message.is_entry and event.ts - since > self.terms.inflight + 2 * SECOND and self._is_still(message.account):
            yield (f"{message.id} entered in {message.account}, whose position differs from the venue's since "
                   f"{(event.ts - since) / 1e9:.1f} s")
        if not message.is_entry and event.ts - since > self.terms.inflight:
            key = message.account, message.symbol
            ours, theirs = self.facts.booked_positions.get(key, ZERO), self._theirs(*key)
            if ours != theirs and not self.facts.is_flattening(message.account) and (
                    ours * theirs <= 0 or message.legs[0].quantity > min(abs(ours), abs(theirs))):
                yield (f"{message.id} left for {message.symbol} in {message.account}, of which we hold {ours} and the venue "
                       f"{theirs}")

    def _theirs(self, account: str, symbol: str) -> Fraction:
        read = self.facts.recorded_reads.get(account)
        if read is None:
            return ZERO
        return next((Fraction(each.quantity) for each in read[1].positions if each.instrument == symbol), ZERO)

    def _is_still(self, account: str) -> bool:
        booked, truth = self.facts.booked_positions, self.facts.positions
        return any(self._theirs(account, symbol) != booked.get((account, symbol), ZERO)
                   and truth.get((account, symbol), ZERO) != booked.get((account, symbol), ZERO)     # not told since that read
                   for symbol in self.terms.contracts)

    def at_time(self, ts: Nanos) -> Sentences:
        for account, since in tuple(self._since.items()):
            if self.facts.has_time(since, self.terms.inflight + 6 * SECOND, ts):
                continue
            if not self._is_still(account) or self.facts.frozen.get(account) or self.facts.is_open_question(account) \
                    or self.facts.was_accepted(account):
                continue
            del self._since[account]
            yield f"{account} differs from the venue since {(ts - since) / 1e9:.1f} s and is not frozen"


class ErrorIsNotEmpty(Oracle):
    invariant: ClassVar[str] = "INV-13"
    claim: ClassVar[str] = "A failed, cut or unreadable answer removes no position and no order from what is believed."
    witnessed: ClassVar[str] = "answers that were damaged on their way, or emptied by the venue"

    def on(self) -> dict[type[Event], Handler]:
        return {FaultDone: self._fault, Durable: self._durable}

    def _fault(self, event: FaultDone) -> Sentences:
        self.witness += event.verb in DAMAGED
        return ()

    def _durable(self, event: Durable) -> Sentences:
        for kept in event.entries:
            match kept.payload:
                case AccountRead() as read:
                    told = self.facts.reads.get(read.account)
                    if told is None:
                        yield f"the record has a read of {read.account} that the venue never gave"
                case Verdict() as verdict:
                    held = {(each.account, each.instrument): Fraction(each.quantity) for each in verdict.view.held}
                    for key in self.facts.booked_positions:
                        if key[0] != verdict.account:
                            continue
                        quantity = self.facts.booked_at(kept.seq, key)
                        if quantity and key not in held:
                            yield f"the gate was shown no {key[1]} in {key[0]}, where the record's executions make {quantity}"
                case _:
                    pass


class StartGate(Oracle):
    invariant: ClassVar[str] = "INV-14"
    claim: ClassVar[str] = "After a start or a new connection nothing adds risk before a whole read of the account over it."
    witnessed: ClassVar[str] = "starts with a position open or an order unanswered"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._read: dict[str, Nanos] = {}
        self._up: dict[str, Nanos] = {}

    def on(self) -> dict[type[Event], Handler]:
        return {Node: self._node, VenueLine: self._line, Wire: self._wire}

    def _node(self, event: Node) -> Sentences:
        if event.what == "start" and event.node == "engine":
            self._read.clear()
            if event.epoch > 1:
                self.witness += any(self.facts.positions.values()) or any(not leg.outcome for leg in self.facts.told.values())
        return ()

    def _line(self, event: VenueLine) -> Sentences:
        if event.is_up:
            for account in event.accounts:
                self._up[account] = event.ts
                self._read.pop(account, None)
        return ()

    def _wire(self, event: Wire) -> Sentences:
        if event.direction == "in" and event.kind == "read" and event.is_answer:
            found = _account(event.body)
            if found is not None:
                self._read[found["account"]] = event.ts
        message = readable(event)
        if message is not None and message.is_entry and message.account not in self._read:
            yield f"{message.id} entered in {message.account}, which was not read since the line came up"


def _account(body: bytes) -> dict[str, Any] | None:
    try:
        found = frames.message(body)
        if found["is"] != "account":
            return None
        for position in found["positions"]:
            frames.number(position["quantity"])
        for name in ("orders", "fills", "cash", "account"):
            found[name]
    except (Unreadable, KeyError, TypeError):
        return None
    return found


ORACLES: tuple[type[Oracle], ...] = (DriftIsOwned, ErrorIsNotEmpty, StartGate)
