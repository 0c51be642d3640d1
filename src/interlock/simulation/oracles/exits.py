"""Exits: never through zero, always protected or alarmed, nothing left behind."""

from fractions import Fraction
from typing import ClassVar

from interlock.model.record import ExitBegun
from interlock.simulation.history import Durable, Event, Nanos, VenueFill, VenueOrder, Wire
from interlock.simulation.oracles.base import Handler, Oracle, Sentences
from interlock.simulation.oracles.facts import ZERO, Facts, Key
from interlock.simulation.oracles.orders import readable

SECOND = 1_000_000_000
LIES = ("broker.fill_after_cancel_ack", "broker.overfill", "broker.same_exec_id", "broker.truncated_read", "broker.empty_read",
        "broker.shrink_stop", "broker.id_rollback", "broker.truncate_cid")
"""What a venue can do that no order of operations survives: it says that an order is dead, or so large, and it is not."""


class NeverThroughZero(Oracle):
    invariant: ClassVar[str] = "INV-09"
    claim: ClassVar[str] = "Whatever of the exits that may be live fills, the position keeps its sign or is zero."
    witnessed: ClassVar[str] = "stops that filled while another exit was being prepared"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._exiting: dict[Key, Nanos] = {}

    def on(self) -> dict[type[Event], Handler]:
        return {Wire: self._wire, VenueFill: self._fill, Durable: self._durable}

    def _durable(self, event: Durable) -> Sentences:
        for kept in event.entries:
            if isinstance(kept.payload, ExitBegun):
                self._exiting[kept.payload.account, kept.payload.instrument] = event.ts
        return ()

    def _wire(self, event: Wire) -> Sentences:
        message = readable(event)
        if message is None or message.is_entry:
            return
        facts, key = self.facts, (message.account, message.symbol)
        held = facts.told_positions.get(key, ZERO)
        leg = message.legs[0]
        if leg.purpose == "flatten" and leg.side * held >= 0:
            held = facts.listed(key)           # a person's flatten closes what the venue lists, whatever the executions make
        self._exiting.pop(key, None)
        if leg.side * held >= 0:
            yield (f"{message.id} is to {leg.role} {leg.quantity} in {message.account}, which was told to hold {held} "
                   f"{message.symbol}")
            return
        if leg.quantity > abs(held):
            yield f"{message.id} is an exit of {leg.quantity}, {message.account} was told to hold {held} {message.symbol}"
            return
        is_pair = self.terms.accounts[message.account].pair_may_rest and leg.role in ("stop", "target")
        groups: dict[str, object] = {}
        total = leg.quantity
        for other in facts.may_fill(*key):
            if other.leg.purpose == "enter" or other.leg.side != leg.side or other.id == message.id \
                    or other.id == message.replaces or facts.is_proven_missing(other):
                continue
            if is_pair and other.leg.role != leg.role:
                continue                       # agreed for this account: a stop and a target that nothing links
            parent = facts.told.get((other.account, other.parent)) if other.parent else None
            if parent is not None and parent.filled == 0:
                continue                       # nothing was entered, so it has nothing to leave
            if other.group not in groups:
                groups[other.group] = None
                total += other.remaining if parent is None else min(other.remaining, parent.filled)
        if total > abs(held):
            yield (f"{message.id} left in {message.account} for {leg.quantity} of {held} {message.symbol} while others may still "
                   f"fill: {total} in all")

    def _fill(self, event: VenueFill) -> Sentences:
        key = event.account, event.symbol
        after = self.facts.positions[key]
        before = after - event.side * event.quantity
        order = self.facts.book.get((event.account, event.id))
        if order is None or event.by != "platform" or order.role == "enter":
            return
        if order.is_stop and key in self._exiting:
            self.witness += 1
        if key in self.facts.foreign or any(lie in self.facts.faults for lie in LIES):
            return
        if self.terms.accounts[event.account].pair_may_rest:
            return
        if before * after < 0 or (before == 0 and after != 0):
            yield f"exit {event.id} took {event.account} from {before} to {after} {event.symbol}"


class Protected(Oracle):
    invariant: ClassVar[str] = "INV-10"
    claim: ClassVar[str] = "Stops cover the position within two seconds of a change; else an alarm stands and entries there stop."
    witnessed: ClassVar[str] = "protective orders that the venue rejected, expired or cancelled while a position was open"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._since: dict[Key, Nanos] = {}
        self._version = -1

    def on(self) -> dict[type[Event], Handler]:
        return {VenueOrder: self._order, Wire: self._wire}

    def _order(self, event: VenueOrder) -> Sentences:
        if event.what in ("rejected", "expired", "cancelled") and event.kind == "stop" and event.role != "enter":
            self.witness += self.facts.positions.get((event.account, event.symbol), ZERO) != 0
        return ()

    def _covered(self, key: Key) -> bool:
        held = self.facts.told_positions.get(key, ZERO)
        if not held:
            return True
        if key in self.facts.foreign and self.facts.booked_positions.get(key, ZERO) != held:
            return True                        # somebody else's, and not ours yet: a difference has its own time
        stops = sum((leg.remaining for leg in self.facts.may_fill(*key)
                     if leg.leg.kind == "stop" and leg.leg.purpose != "enter" and leg.leg.side * held < 0
                     and leg.is_acknowledged), ZERO)
        return stops == abs(held) or stops + self._strange(key, held) == abs(held)

    def _strange(self, key: Key, held: Fraction) -> Fraction:
        """What live stops cover that are no orders of ours, by the venue's last answer: a person may have taken them over."""
        _, found, _ = self.facts.reads.get(key[0], (0, {"orders": ()}, 0))
        return sum((Fraction(each["quantity"]) - Fraction(each["filled"]) for each in found["orders"]
                    if each["symbol"] == key[1] and each["type"] == "stop" and each["live"]
                    and (each["side"] == "sell") == (held > 0) and (key[0], each["id"]) not in self.facts.told), ZERO)

    def _wire(self, event: Wire) -> Sentences:
        if self._version != self.facts.version:
            self._version = self.facts.version
            for key in self.facts.told_positions:
                if self._covered(key):
                    self._since.pop(key, None)
                else:
                    self._since.setdefault(key, event.ts)
        message = readable(event)
        if message is not None and message.is_entry:
            since = self._since.get((message.account, message.symbol))
            if since is not None and event.ts - since > self.terms.protect + SECOND:
                yield (f"{message.id} entered {message.symbol} in {message.account}, whose position is not covered since "
                       f"{(event.ts - since) / 1e9:.1f} s")

    def at_time(self, ts: Nanos) -> Sentences:
        for key, since in self._since.items():
            if self.facts.has_time(since, self.terms.protect + SECOND, ts) or self._covered(key):
                continue
            if not self.facts.is_alarmed(*key):
                yield (f"{key[0]} was told to hold {self.facts.told_positions[key]} {key[1]}, not covered since "
                       f"{(ts - since) / 1e9:.1f} s, and no alarm stands")


class NoOrphans(Oracle):
    invariant: ClassVar[str] = "INV-11"
    claim: ClassVar[str] = "When a position is zero, no exit of it is live or will be sent."
    witnessed: ClassVar[str] = "positions that somebody else closed while exits of ours were live"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._since: dict[Key, Nanos] = {}
        self._version = -1

    def on(self) -> dict[type[Event], Handler]:
        return {VenueFill: self._fill, Wire: self._wire}

    def _fill(self, event: VenueFill) -> Sentences:
        if event.by != "platform" and self.facts.positions[event.account, event.symbol] == 0:
            self.witness += 1
        return ()

    def _orphans(self, key: Key) -> list[str]:
        """Exits that may still fill although nothing is held, and whose cancel nobody has asked for."""
        if self.facts.told_positions.get(key, ZERO) or self._shows(key):
            return []
        found = []
        for leg in self.facts.may_fill(*key):
            if leg.leg.purpose == "enter" or not leg.is_acknowledged:
                continue
            parent = self.facts.told.get((leg.account, leg.parent)) if leg.parent else None
            if parent is not None and not parent.outcome:
                continue
            if not self.facts.cancels.get((leg.account, leg.id)):
                found.append(leg.id)
        return found

    def _shows(self, key: Key) -> bool:
        """Whether the venue has shown a position there, later than anything else that was told of it."""
        ts, found, _ = self.facts.reads.get(key[0], (-1, {}, 0))
        return ts > self.facts.ts_told.get(key, -1) and any(
            held["symbol"] == key[1] and Fraction(held["quantity"]) for held in found["positions"])

    def _wire(self, event: Wire) -> Sentences:
        if self._version != self.facts.version:
            self._version = self.facts.version
            for key in self.facts.told_positions:
                if self._orphans(key):
                    self._since.setdefault(key, event.ts)
                else:
                    self._since.pop(key, None)
        return ()

    def at_time(self, ts: Nanos) -> Sentences:
        for key, since in tuple(self._since.items()):
            if not self.facts.has_time(since, self.terms.orphan + SECOND, ts):
                found = self._orphans(key)
                if found:
                    yield f"{found[0]} may still fill in {key[0]}, which holds no {key[1]} since {(ts - since) / 1e9:.1f} s"
                self._since.pop(key)

    def at_quiet(self, _ts: Nanos) -> Sentences:
        for order in self.facts.book.values():
            key = order.account, order.symbol
            if order.is_open and order.is_live and order.role != "enter" and not self.facts.positions.get(key) \
                    and not self.facts.is_alarmed(*key) and not self.facts.frozen.get(order.account):
                yield f"at rest the venue holds the exit {order.id} in {order.account}, which has no {order.symbol}"


ORACLES: tuple[type[Oracle], ...] = (NeverThroughZero, Protected, NoOrphans)
