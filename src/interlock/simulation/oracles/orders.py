"""Orders on the wire: journaled first, cleared freshly, one per decision, unknown until proven."""

from typing import Any, ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from interlock.model.clearance import Clearance, Content, encode
from interlock.model.command import Killed, Released
from interlock.model.record import Attempt
from interlock.model.signal import AlertAccepted
from interlock.simulation.history import Durable, Event, Lost, Nanos, Wire
from interlock.simulation.oracles import frames
from interlock.simulation.oracles.base import Handler, Oracle, Sentences
from interlock.simulation.oracles.facts import Told
from interlock.simulation.oracles.frames import OrderMessage, Unreadable

WRITES = ("place", "modify")
PROFILES = {"enter": "enter", "protect": "protect", "target": "reduce", "reduce": "reduce", "flatten": "flatten"}
"""Which key signs what, by the purpose of an order's first leg."""


_last: list[Any] = [None, None]


def readable(wire: Wire) -> OrderMessage | None:
    """The order message of a write; None for everything else."""
    if wire.direction != "out" or wire.kind not in WRITES:
        return None
    if _last[0] is not wire:           # many oracles ask about the same message, one after the other
        try:
            _last[:] = wire, frames.order(wire.body)
        except Unreadable:
            _last[:] = wire, None
    found: OrderMessage | None = _last[1]
    return found


def signed_legs(message: OrderMessage) -> tuple[tuple[str | bool, ...], ...]:
    """The legs as a clearance signs them, made from the bytes alone."""
    return tuple((leg.id, leg.role, leg.purpose, "buy" if leg.side > 0 else "sell", leg.texts[0], leg.kind, leg.texts[1],
                  leg.texts[2], leg.tif, leg.is_reduce_only) for leg in message.legs)


class JournalFirst(Oracle):
    invariant: ClassVar[str] = "INV-01"
    claim: ClassVar[str] = "No order message leaves before its attempt, with the same content, would survive a power cut."
    witnessed: ClassVar[str] = "crashes and failed commits that lost an attempt which was never sent"

    def on(self) -> dict[type[Event], Handler]:
        return {Wire: self._wire, Lost: self._lost}

    def _lost(self, event: Lost) -> Sentences:
        for payload in event.payloads:
            if isinstance(payload, Attempt):
                self.witness += 1
                if any(self.facts.by_id.get(leg.client_order_id) for leg in payload.order.legs[:1]):
                    written = len(self.facts.by_id[payload.client_order_id])
                    if written > self._recorded(payload.client_order_id):
                        yield f"{payload.client_order_id} was written and its attempt is lost"

    def _recorded(self, name: str) -> int:
        return sum(len(found) for (key, _), found in self.facts.attempts.items() if key == name)

    def _wire(self, event: Wire) -> Sentences:
        message = readable(event)
        if message is None:
            return
        recorded = [attempt for (name, _), found in self.facts.attempts.items() if name == message.id
                    for ts, attempt in found if ts <= event.ts]
        if len(recorded) < len(self.facts.by_id.get(message.id, ())):
            yield f"{message.id} left with {len(recorded)} durable attempts, write number {len(self.facts.by_id[message.id])}"
            return
        order = recorded[-1].order
        told = tuple((leg.client_order_id, leg.side.sign, frames.plain(leg.quantity)) for leg in order.legs)
        found_legs = tuple((leg.id, leg.side, leg.texts[0]) for leg in message.legs)
        if told != found_legs or order.account != message.account or (order.replaces or "") != message.replaces:
            yield f"{message.id}: the journal says {told}, the wire {found_legs}"


class FreshClearance(Oracle):
    invariant: ClassVar[str] = "INV-02"
    claim: ClassVar[str] = "Every write has a clearance of its own: signed, of its content, alive, of the epochs in force."
    witnessed: ClassVar[str] = "clearances that a kill or their age overtook before they were used"

    def __init__(self, facts: object) -> None:
        super().__init__(facts)  # type: ignore[arg-type]
        self._used: set[tuple[str, int]] = set()
        self._waiting: dict[tuple[str, int], Content] = {}
        self._keys: dict[str, Ed25519PublicKey] = {}

    def on(self) -> dict[type[Event], Handler]:
        return {Wire: self._wire, Durable: self._durable}

    def _durable(self, event: Durable) -> Sentences:
        for kept in event.entries:
            if isinstance(kept.payload, Clearance):
                self._waiting[kept.payload.content.nonce] = kept.payload.content
            elif isinstance(kept.payload, Killed | Released):
                for nonce, content in tuple(self._waiting.items()):
                    if content.profile == "enter" and content.epochs.kill != kept.payload.epoch:
                        self.witness += 1
                        del self._waiting[nonce]
        return ()

    def at_time(self, ts: Nanos) -> Sentences:
        for nonce, content in tuple(self._waiting.items()):
            if content.expires <= ts:
                self.witness += 1
                del self._waiting[nonce]
        return ()

    def _wire(self, event: Wire) -> Sentences:
        message = readable(event)
        if message is None:
            return
        reasons = []
        for (name, attempt), found in self.facts.clearances.items():
            if name != message.id or (name, attempt) in self._used:
                continue
            for _, clearance in found:
                why = self._unfit(clearance, message, event)
                if why is None:
                    self._used.add((name, attempt))
                    self._waiting.pop((name, attempt), None)
                    return
                reasons.append(why)
        yield f"{message.id} of {message.account} left without a fresh clearance: {'; '.join(reasons) or 'there is none'}"

    def _unfit(self, clearance: Clearance, message: OrderMessage, event: Wire) -> str | None:
        content, facts = clearance.content, self.facts
        now = event.clock or event.ts
        if content.account != message.account or content.venue_symbol != message.symbol or content.replaces != message.replaces:
            return "it is for something else"
        if tuple(content.legs) != signed_legs(message):
            return f"it signs {content.legs}"
        if content.profile != PROFILES.get(message.legs[0].purpose):
            return f"profile {content.profile} for a {message.legs[0].purpose}"
        if not content.issued <= now < content.expires:
            return f"good from {content.issued} to {content.expires}, written at {now}"
        if content.epochs.lease != facts.lease_epoch:
            return f"lease epoch {content.epochs.lease}, {facts.lease_epoch} is in force"
        if content.profile == "enter" and (content.epochs.kill, content.epochs.config) != (facts.kill_epoch, facts.config_epoch):
            return (f"kill and config epochs {content.epochs.kill}, {content.epochs.config}; "
                    f"{facts.kill_epoch}, {facts.config_epoch} are in force")
        text = facts.keys.get(content.profile)
        if text is None:
            return f"no key of profile {content.profile} is in the journal"
        key = self._keys.get(text)
        if key is None:
            key = self._keys[text] = Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
        try:
            key.verify(clearance.signature, encode(content))
        except InvalidSignature:
            return "its signature is false"
        return None


class OneOrder(Oracle):
    invariant: ClassVar[str] = "INV-03"
    claim: ClassVar[str] = "One decision, one order: of a leg at most one may be live, and never more goes out than was decided."
    witnessed: ClassVar[str] = "orders looked up on the wire because the answer to their write was lost"

    def __init__(self, facts: object) -> None:
        super().__init__(facts)  # type: ignore[arg-type]
        self._legs: dict[tuple[str, str, str, str], list[str]] = {}    # (signal, account, symbol, role): ids written
        self._decisions: dict[tuple[str, ...], str] = {}

    def on(self) -> dict[type[Event], Handler]:
        return {Wire: self._wire, Durable: self._durable}

    def _durable(self, event: Durable) -> Sentences:
        for kept in event.entries:
            if isinstance(kept.payload, AlertAccepted):
                alert = kept.payload.alert
                if alert.alert_id is not None:
                    continue
                key = (kept.payload.lane, alert.strategy, alert.symbol, alert.action.value, str(alert.bar_time))
                if key in self._decisions:
                    yield f"one alert was accepted twice: {self._decisions[key]} and {kept.payload.signal_id}"
                self._decisions[key] = kept.payload.signal_id

    def _wire(self, event: Wire) -> Sentences:
        if event.direction == "out" and event.kind == "lookup":
            found = frames.message(event.body)
            leg = self.facts.told.get((str(found["account"]), str(found["id"])))
            if leg is not None and not leg.is_acknowledged:
                self.witness += 1
        message = readable(event)
        if message is None:
            return
        order = self._order(message.id)
        if order is None:
            return
        for wire_leg in message.legs:
            key = (order.order.signal_id, message.account, message.symbol, wire_leg.role)
            earlier = self._legs.setdefault(key, [])
            others = [name for name in earlier if name not in (wire_leg.id, message.replaces)]
            if wire_leg.role == "entry" and others and not message.replaces:
                yield (f"signal {order.order.signal_id} has two entry orders in {message.account}: {others[0]} and {wire_leg.id}")
            for name in others if wire_leg.role in ("entry", "exit") else ():  # stops may cover a position together: INV-09
                leg = self.facts.told.get((message.account, name))
                if leg is not None and self._may_live(leg, event.ts):
                    yield (f"{wire_leg.id} left as {wire_leg.role} of {order.order.signal_id} in {message.account} while {name} "
                           f"may still fill {leg.remaining}")
            if wire_leg.id not in earlier:
                earlier.append(wire_leg.id)

    def _may_live(self, leg: Told, ts: Nanos) -> bool:
        """Told nothing that ends it: not by a report, and not by a look-up that the venue must have known it in."""
        return not leg.outcome and leg.remaining > 0 and not self.facts.is_proven_missing(leg) \
            and not self.facts.never_sent(leg, ts)

    def _order(self, name: str) -> Attempt | None:
        for (key, _), found in self.facts.attempts.items():
            if key == name:
                return found[-1][1]
        return None


class UnknownStays(Oracle):
    invariant: ClassVar[str] = "INV-04"
    claim: ClassVar[str] = (
        "An order without an answer stays unknown, and is not written again, until the venue has proved "
        "something.")
    witnessed: ClassVar[str] = "orders that look-ups first missed and later found"

    def on(self) -> dict[type[Event], Handler]:
        return {Wire: self._wire}

    def _wire(self, event: Wire) -> Sentences:
        if event.direction == "in":
            if event.kind == "lookup" and event.is_answer:
                self._count(event)
            return
        message = readable(event)
        if message is None:
            return
        writes = self.facts.by_id.get(message.id, ())
        for earlier, _ in writes[:-1]:
            leg = self.facts.told.get((message.account, message.id))
            if leg is None or not (self.facts.is_proven_missing(leg) or self.facts.never_sent(leg, event.ts)):
                yield f"{message.id} was written at {earlier.ts} without proof that it never arrived, and again now"
                return

    def _count(self, event: Wire) -> None:
        try:
            found = frames.message(event.body)
            if found["is"] == "found" and self.facts.missed.get((found["account"], found["id"])):
                self.witness += 1
        except (Unreadable, KeyError):
            return


ORACLES: tuple[type[Oracle], ...] = (JournalFirst, FreshClearance, OneOrder, UnknownStays)
