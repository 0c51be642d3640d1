"""People: halts end by them alone, on what they were shown; a flatten is theirs, narrow, and honest."""

from fractions import Fraction
from typing import ClassVar

from interlock.model.command import (
    CommandGiven,
    Decide,
    Decided,
    Enable,
    Enabled,
    Flatten,
    FlattenBegun,
    FlattenEnded,
    Killed,
    PositionAdopted,
    QuestionOpened,
    Reconnect,
    Reconnecting,
    Release,
    Released,
)
from interlock.simulation.history import Act, Durable, Event, Kept, Nanos, Node, Wire
from interlock.simulation.oracles.base import Handler, Oracle, Sentences
from interlock.simulation.oracles.facts import ZERO, Facts
from interlock.simulation.oracles.orders import readable

PHRASE = "RELEASE THE KILL"
BY: dict[type, type] = {Released: Release, Decided: Decide, Enabled: Enable, Reconnecting: Reconnect, FlattenBegun: Flatten,
                        PositionAdopted: Decide}
"""What only a person's command may cause."""


class HumanAuthority(Oracle):
    invariant: ClassVar[str] = "INV-26"
    claim: ClassVar[str] = (
        "Every end of a halt, decision, reconnect and flatten follows a recorded command on the state that "
        "was shown.")
    witnessed: ClassVar[str] = "starts while something was killed, and commands on a screen that was out of date"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._digests: dict[str, str] = {}
        self._stale: dict[str, Nanos] = {}

    def on(self) -> dict[type[Event], Handler]:
        return {Durable: self._durable, Node: self._node, Act: self._act}

    def _node(self, event: Node) -> Sentences:
        if event.what == "start" and event.node == "engine" and event.epoch > 1:
            self.witness += any(not kill.ts_released for kill in self.facts.kills)
        return ()

    def _act(self, event: Act) -> Sentences:
        if event.ok is None and isinstance(event.command, Decide):
            current = self._digests.get(event.command.question)
            self.witness += current is not None and event.command.seen != current
        return ()

    def _durable(self, event: Durable) -> Sentences:
        for kept in event.entries:
            wanted = BY.get(type(kept.payload))
            if wanted is not None:
                yield from self._caused(kept, wanted)
            if isinstance(kept.payload, QuestionOpened):
                self._digests[kept.payload.question] = kept.payload.digest
            elif isinstance(kept.payload, Decided):
                self._digests.pop(kept.payload.question, None)

    def _caused(self, kept: Kept, wanted: type) -> Sentences:
        payload = kept.payload
        cause = self.facts.by_seq.get(kept.cause)
        given = None if cause is None else cause.payload
        if not isinstance(given, CommandGiven) or not isinstance(given.command, wanted):
            if isinstance(payload, PositionAdopted) and isinstance(given, CommandGiven):
                return
            yield f"{type(payload).__name__} of entry {kept.seq} follows from no person's {wanted.__name__}"
            return
        command = given.command
        if not given.who or not given.origin:
            yield f"the command of entry {kept.cause} names nobody"
        if isinstance(command, Release) and command.phrase != PHRASE:
            yield f"a kill was released on the phrase {command.phrase!r}"
        if isinstance(command, Decide) and isinstance(payload, Decided):
            current = self._digests.get(payload.question)
            if current is not None and command.seen != current:
                yield f"{payload.question} was decided on {command.seen!r}; what stood open was {current!r}"
        for name in ("lane", "account"):
            if isinstance(payload, Released) and getattr(payload, name) != getattr(command, name):
                yield f"a release of {getattr(command, name)} released {getattr(payload, name)}"


class HonestFlatten(Oracle):
    invariant: ClassVar[str] = "INV-27"
    claim: ClassVar[str] = (
        "A flatten is a person's, reaches every broker at once, reduces what was just read, and says only "
        "what is so.")
    witnessed: ClassVar[str] = "flattens begun while the line was down or the venue failing"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._due: dict[str, Nanos] = {}
        self._begun: dict[str, Nanos] = {}
        self._fresh: dict[str, Nanos] = {}

    def on(self) -> dict[type[Event], Handler]:
        return {Durable: self._durable, Wire: self._wire}

    def _durable(self, event: Durable) -> Sentences:
        for kept in event.entries:
            match kept.payload:
                case FlattenBegun() as begun:
                    self.witness += not self.facts.is_whole or bool(self.facts.faults)
                    for account in begun.accounts:
                        self._begun[account] = event.ts
                        if any(quantity for (name, _), quantity in self.facts.told_positions.items() if name == account):
                            self._due[account] = event.ts
                case FlattenEnded() as ended:
                    yield from self._ended(ended)
                case Killed():
                    pass
                case _:
                    pass

    def _ended(self, ended: FlattenEnded) -> Sentences:
        self._due.pop(ended.account, None)
        if ended.result not in ("flat", "residual") or not ended.instrument:
            return
        key = ended.account, ended.instrument
        moved = self.facts.ts_moved.get(key, 0)
        read = self.facts.reads.get(ended.account)
        if read is None or moved >= int(read[1].get("ts", 0)) or "broker.empty_read" in self.facts.faults \
                or "broker.truncated_read" in self.facts.faults:
            return                             # the venue moved after it was asked: what was said was so then
        truth = self.facts.positions.get(key, ZERO)
        said = ZERO if ended.result == "flat" else Fraction(ended.quantity)
        if truth != said:
            yield f"the flatten of {ended.account} says {ended.result} {said} {ended.instrument}, the venue holds {truth}"
        if read[0] < self._begun.get(ended.account, 0):
            yield f"the flatten of {ended.account} ended {ended.result} without a read since it began"

    def _wire(self, event: Wire) -> Sentences:
        if event.direction == "out" and event.kind in ("read", "place", "cancel"):
            from interlock.simulation.oracles import frames
            self._due.pop(str(frames.message(event.body).get("account")), None)
        message = readable(event)
        if message is not None and message.legs[0].purpose == "flatten":
            begun, read = self._begun.get(message.account), self.facts.reads.get(message.account)
            if begun is None:
                yield f"{message.id} flattens {message.account} and nobody asked for it"
            elif read is None or read[0] < begun:
                yield f"{message.id} flattens {message.account} on a position that was not read since the command"

    def at_time(self, ts: Nanos) -> Sentences:
        for account, since in tuple(self._due.items()):
            if not self.facts.has_time_at(account, since, self.terms.flatten, ts):
                del self._due[account]
                yield f"nothing was attempted for the flatten of {account} within {self.terms.flatten / 1e9:.0f} s"


ORACLES: tuple[type[Oracle], ...] = (HumanAuthority, HonestFlatten)
