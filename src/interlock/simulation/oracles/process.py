"""Processes, their disks, leases and builds: one writer, a true heartbeat, a whole record, an end to every wait."""

from typing import ClassVar

from interlock.model.command import Enabled
from interlock.model.record import TierChanged
from interlock.simulation.history import (
    Beat,
    Disk,
    Durable,
    Event,
    FaultDone,
    Lease,
    Lost,
    Nanos,
    Node,
    Phase,
    Recovered,
    Task,
    Wire,
)
from interlock.simulation.oracles.base import Handler, Oracle, Sentences
from interlock.simulation.oracles.facts import Facts
from interlock.simulation.oracles.orders import WRITES, readable

SECOND = 1_000_000_000
TTL = 15 * SECOND


class SingleWriter(Oracle):
    invariant: ClassVar[str] = "INV-15"
    claim: ClassVar[str] = "Only the holder of the current lease writes orders; one that slept past it takes it anew first."
    witnessed: ClassVar[str] = "processes that woke or wrote after another had taken the lease, or later than it lasts"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._holder = ""
        self._paused: dict[str, Nanos] = {}
        self._expired: dict[str, int] = {}             # by node: the epoch that has run out

    def on(self) -> dict[type[Event], Handler]:
        return {Lease: self._lease, Wire: self._wire, Node: self._node}

    def _lease(self, event: Lease) -> Sentences:
        if event.what == "taken":
            self._holder = event.node
            self._expired.clear()
        elif event.what == "expired":
            self._expired[event.node] = event.epoch
        return ()

    def _node(self, event: Node) -> Sentences:
        if event.what == "pause":
            self._paused[event.node] = event.ts
        elif event.what == "resume":
            since = self._paused.pop(event.node, event.ts)
            self.witness += event.ts - since >= TTL or self._holder not in ("", event.node)
        return ()

    def _wire(self, event: Wire) -> Sentences:
        if event.direction == "out" and event.kind in WRITES and self._holder and event.node != self._holder:
            yield f"{event.node} wrote an order while {self._holder} holds the lease"
        elif event.direction == "out" and event.kind in WRITES and event.node in self._expired:
            yield f"{event.node} wrote an order under epoch {self._expired[event.node]} of the lease, which had run out"


class TrueHeartbeat(Oracle):
    invariant: ClassVar[str] = "INV-21"
    claim: ClassVar[str] = "A beat comes from a completed pass of the decision loop; when beats end, entries end."
    witnessed: ClassVar[str] = "decision loops that hung while their process lived"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._hung: dict[str, Nanos] = {}
        self._numbers: dict[tuple[str, int], int] = {}

    def on(self) -> dict[type[Event], Handler]:
        return {Beat: self._beat, Node: self._node, Wire: self._wire}

    def _node(self, event: Node) -> Sentences:
        if event.what == "hang":
            self._hung[event.node] = event.ts
            self.witness += 1
        elif event.what in ("resume", "start", "crash", "exit"):
            self._hung.pop(event.node, None)
        return ()

    def _beat(self, event: Beat) -> Sentences:
        since = self._hung.get(event.node)
        if since is not None and event.ts - since > SECOND:
            yield f"{event.node} beats {(event.ts - since) / 1e9:.1f} s after its decision loop hung"
        before = self._numbers.get((event.node, event.epoch), -1)
        if event.number < before:
            yield f"{event.node} beats for pass {event.number} after pass {before}"
        self._numbers[event.node, event.epoch] = event.number

    def _wire(self, event: Wire) -> Sentences:
        message, since = readable(event), self._hung.get(event.node)
        if message is not None and message.is_entry and since is not None and event.ts - since > self.terms.heartbeat:
            yield f"{message.id} entered {(event.ts - since) / 1e9:.1f} s after the decision loop hung"


class TierMonotony(Oracle):
    invariant: ClassVar[str] = "INV-22"
    claim: ClassVar[str] = "A worse tier allows less; missing inputs never improve it, and only a person ends the worst."
    witnessed: ClassVar[str] = "tiers that became worse"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._tiers: dict[str, int] = {}
        self._enabled: set[str] = set()

    def on(self) -> dict[type[Event], Handler]:
        return {Durable: self._durable, Wire: self._wire}

    def _durable(self, event: Durable) -> Sentences:
        for kept in event.entries:
            match kept.payload:
                case Enabled() as enabled:
                    self._enabled.add(enabled.latch)
                case TierChanged() as changed:
                    before = self._tiers.get(changed.scope, 0)
                    self.witness += changed.tier > before
                    if before >= 4 > changed.tier and f"tier4.{changed.scope}" not in self._enabled:
                        yield f"{changed.scope} left tier 4 for {changed.tier} and no person had enabled it"
                    self._enabled.discard(f"tier4.{changed.scope}")
                    self._tiers[changed.scope] = changed.tier
                case _:
                    pass

    def _wire(self, event: Wire) -> Sentences:
        message = readable(event)
        if message is None or not message.is_entry:
            return
        lane = self.facts.lane_of(message.id)
        for scope in (f"account.{message.account}", f"lane.{lane}"):
            if self._tiers.get(scope, 0) >= 3:
                yield f"{message.id} entered while {scope} stood at tier {self._tiers[scope]}"


class CrashSafety(Oracle):
    invariant: ClassVar[str] = "INV-23"
    claim: ClassVar[str] = (
        "A restart finds every entry that was durable and the state that they made; damage is refused, never "
        "emptied.")
    witnessed: ClassVar[str] = "restarts after something was lost or the disk had failed"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._last: dict[str, int] = {}
        self._was_lost: set[str] = set()
        self._failed: dict[str, Nanos] = {}
        self._flipped: set[str] = set()

    def on(self) -> dict[type[Event], Handler]:
        return {Durable: self._durable, Recovered: self._recovered, Lost: self._lost, Disk: self._disk, Wire: self._wire}

    def _durable(self, event: Durable) -> Sentences:
        if event.entries:
            first, before = event.entries[0].seq, self._last.get(event.node, 0)
            if first != before + 1:
                yield f"entry {first} became durable after entry {before}"
            self._last[event.node] = event.entries[-1].seq
        return

    def _lost(self, event: Lost) -> Sentences:
        self._was_lost.add(event.node)
        if event.why == "commit":
            self._failed[event.node] = event.ts
        return ()

    def _disk(self, event: Disk) -> Sentences:
        if event.what == "flip":
            self._flipped.add(event.node)
        if not event.ok:
            self._was_lost.add(event.node)
        return ()

    def _recovered(self, event: Recovered) -> Sentences:
        self.witness += event.node in self._was_lost or event.node in self._flipped
        self._was_lost.discard(event.node)
        self._failed.pop(event.node, None)
        if event.refused:
            return
        last = self._last.get(event.node, 0)
        if event.last_seq < last:
            yield f"{event.node} started at entry {event.last_seq}; entry {last} had been durable"
        self._last[event.node] = event.last_seq
        if event.state and event.state != event.replayed:
            yield f"{event.node} folded its record up to entry {event.last_seq} into another state than the live one"

    def _wire(self, event: Wire) -> Sentences:
        since = self._failed.get(event.node)
        message = readable(event)
        if since is not None and message is not None:
            yield f"{message.id} left after the journal of {event.node} could not be written"


class NeverMixed(Oracle):
    invariant: ClassVar[str] = "INV-24"
    claim: ClassVar[str] = "Paper and live never mix: no order reaches a live endpoint without every condition."
    witnessed: ClassVar[str] = "starts in which one condition of live trading was broken"

    def on(self) -> dict[type[Event], Handler]:
        return {Wire: self._wire, Node: self._node}

    def _node(self, event: Node) -> Sentences:
        self.witness += event.what == "refused" and "live" in event.detail
        return ()

    def _wire(self, event: Wire) -> Sentences:
        if event.direction == "out" and event.kind in WRITES and event.venue.startswith("live") and not self.terms.is_live:
            yield f"an order was written to {event.venue} by a desk that is not live"


class OneBuild(Oracle):
    invariant: ClassVar[str] = "INV-25"
    claim: ClassVar[str] = "Every process runs the build and configuration that the record approves, or enters nothing."
    witnessed: ClassVar[str] = "starts with another build or configuration than the one before"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._approved: tuple[str, str] | None = None
        self._differs: dict[str, str] = {}

    def on(self) -> dict[type[Event], Handler]:
        return {Node: self._node, Wire: self._wire}

    def _node(self, event: Node) -> Sentences:
        if event.what != "start" or not event.build:
            return ()
        if self._approved is None:
            self._approved = event.build, event.config
        elif (event.build, event.config) != self._approved:
            self.witness += 1
            self._differs[event.node] = event.detail
        else:
            self._differs.pop(event.node, None)
        return ()

    def _wire(self, event: Wire) -> Sentences:
        message = readable(event)
        if message is not None and message.is_entry and event.node in self._differs and self._differs[event.node] != "approved":
            yield f"{message.id} entered from {event.node}, which runs another build or configuration than the approved one"


class Isolation(Oracle):
    invariant: ClassVar[str] = "INV-29"
    claim: ClassVar[str] = (
        "What fails beside the path delays neither clearance nor kill, and one broker's trouble is not "
        "another's.")
    witnessed: ClassVar[str] = "faults of what the engine depends on beside its path, and of one account among several"

    def on(self) -> dict[type[Event], Handler]:
        return {FaultDone: self._fault, Task: self._task}

    def _fault(self, event: FaultDone) -> Sentences:
        self.witness += event.verb.startswith("dep.") or event.verb in ("broker.failed_read", "gate.raise")
        return ()

    def _task(self, event: Task) -> Sentences:
        if event.what in ("died", "leaked", "full"):
            yield f"{event.node}: {event.name} {event.what} {event.detail}"


class Liveness(Oracle):
    invariant: ClassVar[str] = "INV-30"
    claim: ClassVar[str] = (
        "Once faults have healed and people have answered, the platform trades, or is halted for a reason it "
        "names.")
    witnessed: ClassVar[str] = "runs in which something was broken and healed"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._has_fault = False

    def on(self) -> dict[type[Event], Handler]:
        return {Phase: self._phase, FaultDone: self._fault, Task: self._task}

    def _fault(self, _event: FaultDone) -> Sentences:
        self._has_fault = True
        return ()

    def _phase(self, event: Phase) -> Sentences:
        self.witness += event.what == "healed" and self._has_fault
        return ()

    def _task(self, event: Task) -> Sentences:
        if event.what == "waits":
            yield f"{event.node}: {event.name} waits {event.detail}"

    def at_quiet(self, ts: Nanos) -> Sentences:
        facts = self.facts
        if not facts.is_ready:
            if facts.is_up.get("engine") not in ("refused", "halted"):
                yield "the engine is not up although everything has healed"
            return
        for account in self.terms.accounts:
            _, is_up, _ = facts.connections.get(account, (0, False, 0))
            if not is_up:
                if not any(account in key for key in facts.alarms):
                    yield f"the line of {account} is down and no alarm says so"
                continue
            read = facts.reads.get(account)
            if read is None or ts - read[0] > 40 * SECOND:
                yield f"{account} was not read for 40 s although its line is up"
        for leg in facts.told.values():
            if leg.outcome or leg.is_acknowledged or facts.is_proven_missing(leg) or leg.parent:
                continue
            if ts - leg.ts > 35 * SECOND and not any(leg.id in alarm.text + key for key, alarm in facts.alarms.items()):
                yield f"{leg.id} of {leg.account} is unknown since {(ts - leg.ts) / 1e9:.0f} s and nobody is told"


ORACLES: tuple[type[Oracle], ...] = (
    SingleWriter, TrueHeartbeat, TierMonotony, CrashSafety, NeverMixed, OneBuild, Isolation, Liveness)
