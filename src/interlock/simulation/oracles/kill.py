"""Kill: nothing that adds risk leaves, all that could is cancelled, and what is said about it is true."""

from typing import ClassVar

from interlock.model.command import CommandGiven, Kill, Killed, KillProved, Released
from interlock.model.record import Attempt
from interlock.simulation.history import Durable, Event, Nanos, VenueOrder, Wire
from interlock.simulation.oracles.base import Handler, Oracle, Sentences
from interlock.simulation.oracles.facts import ZERO, Facts, Killing, Told
from interlock.simulation.oracles.orders import readable


class KillStops(Oracle):
    invariant: ClassVar[str] = "INV-06"
    claim: ClassVar[str] = "After a kill nothing leaves that adds risk in its reach, from any process, until it is released."
    witnessed: ClassVar[str] = "kills that found an order of their reach written, working, unknown, or cleared and not written"

    def on(self) -> dict[type[Event], Handler]:
        return {Wire: self._wire, Durable: self._durable}

    def _durable(self, event: Durable) -> Sentences:
        for kept in event.entries:
            if isinstance(kept.payload, Killed):
                self.witness += any(leg.leg.purpose == "enter" and not leg.outcome and kept.payload.account in (None, leg.account)
                                    for leg in self.facts.told.values())
                self.witness += any(name not in self.facts.by_id for name, _ in self.facts.clearances)
        return ()

    def _wire(self, event: Wire) -> Sentences:
        message = readable(event)
        if message is None:
            return
        held = self.facts.told_positions.get((message.account, message.symbol), ZERO)
        adds = message.is_entry or any(leg.side * held >= 0 for leg in message.legs)
        if not adds:
            return
        kill = self.facts.killing(event.ts - self.terms.kill, message.account, self.facts.lane_of(message.id))
        if kill is not None and self.facts.killing(event.ts, message.account, self.facts.lane_of(message.id)) is kill:
            yield (f"{message.id} left for {message.account} {(event.ts - kill.ts) / 1e6:.1f} ms after a kill of "
                   f"{kill.account or kill.lane or 'everything'}")


class KillCancels(Oracle):
    invariant: ClassVar[str] = "INV-07"
    claim: ClassVar[str] = (
        "A kill asks for all of its reach to be cancelled, sends nothing itself, and says clean only when it "
        "is.")
    witnessed: ClassVar[str] = "orders that surfaced at the venue after a kill"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._due: dict[tuple[str, str], Nanos] = {}       # account, order -> since when its cancel is owed
        self._clean: dict[str, KillProved] = {}

    def on(self) -> dict[type[Event], Handler]:
        return {Durable: self._durable, VenueOrder: self._order}

    def _in_reach(self, kill: Killed | Killing, leg: Told) -> bool:
        if kill.account not in (None, leg.account):
            return False
        if kill.lane is not None and kill.lane != self.facts.lane_of(leg.parent or leg.id):
            return False
        return leg.leg.purpose == "enter" or kill.scope == "all"

    def _durable(self, event: Durable) -> Sentences:
        for kept in event.entries:
            match kept.payload:
                case Killed() as killed:
                    for leg in self.facts.told.values():
                        if not leg.outcome and leg.remaining > 0 and self._in_reach(killed, leg) \
                                and not self.facts.is_proven_missing(leg):
                            self._due.setdefault((leg.account, leg.id), event.ts)
                case Released() as released:
                    for account in tuple(self._clean):
                        if released.account in (None, account):
                            del self._clean[account]
                    self._due.clear()
                case Attempt():
                    cause = self.facts.by_seq.get(kept.cause)
                    if cause is not None and isinstance(cause.payload, CommandGiven) and isinstance(cause.payload.command, Kill):
                        yield f"the kill of entry {kept.cause} sends {kept.payload.client_order_id} itself"
                case KillProved(is_clean=True) as proved:
                    left = [order.id for order in self.facts.book.values()
                            if order.is_open and order.account == proved.account and order.role == "enter"
                            and self.facts.killing(event.ts, order.account, self.facts.lane_of(order.id)) is not None]
                    if left:
                        yield f"{proved.account} is called clean after the kill while the venue holds {left[0]}"
                    self._clean[proved.account] = proved
                case _:
                    pass

    def _order(self, event: VenueOrder) -> Sentences:
        if event.what == "accepted" and event.role == "enter" \
                and self.facts.killing(event.ts, event.account, self.facts.lane_of(event.id)) is not None:
            self.witness += 1
            if event.account in self._clean and event.by == "platform":
                yield f"{event.id} arrived in {event.account}, which had been called clean after the kill"

    def at_time(self, ts: Nanos) -> Sentences:
        for key, since in tuple(self._due.items()):
            leg = self.facts.told[key]
            if leg.outcome or self.facts.cancels.get(key) or self.facts.is_proven_missing(leg):
                del self._due[key]
            elif not self.facts.has_time(since, self.terms.cancel, ts):
                del self._due[key]
                yield f"no cancel of {key[1]} in {key[0]} has left since the kill at {since}"


ORACLES: tuple[type[Oracle], ...] = (KillStops, KillCancels)
