"""Processes, their disks, leases and builds: one writer, a true heartbeat, a whole record, an end to every wait."""

from typing import ClassVar

from interlock.model.command import AccountConfirmed, ConfirmAccount, Enabled, Flatten, Kill
from interlock.model.market import Bar, MarketState
from interlock.model.record import ConfigRead, Header, Started, TierChanged
from interlock.simulation.history import (
    Act,
    Beat,
    Disk,
    Durable,
    Event,
    FaultDone,
    Lease,
    Lost,
    Nanos,
    Node,
    Opened,
    Phase,
    Recovered,
    Seen,
    Task,
    VenueLine,
    Wire,
)
from interlock.simulation.oracles import frames
from interlock.simulation.oracles.base import Handler, Oracle, Sentences
from interlock.simulation.oracles.facts import Facts
from interlock.simulation.oracles.orders import WRITES, readable

SECOND = 1_000_000_000
TTL = 15 * SECOND
SILENCE = 13 * SECOND
"""No quote for so long, and a lane that needs it opens nothing: ten seconds, and the time that it takes to find out."""
PHRASE = "I_MEAN_IT"
"""What a person gives as the second key of live trading."""


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
        self._opened: dict[str, Nanos] = {}            # when the market opened or shut, or a bar gave a price

    def on(self) -> dict[type[Event], Handler]:
        return {Durable: self._durable, Wire: self._wire, Seen: self._seen}

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

    def at_time(self, ts: Nanos) -> Sentences:
        facts = self.facts
        for symbol, (at, _) in facts.quotes.items():
            state = facts.states.get(symbol)
            is_shut = state is not None and (state.is_halted or not state.is_open)
            if is_shut or not facts.is_whole or ts < max(at, facts.ts_whole, self._opened.get(symbol, 0)) + SILENCE:
                continue
            for lane in self.terms.lanes:
                if self._tiers.get(f"lane.{lane}", 0) < 3:
                    yield (f"lane.{lane} stands at tier {self._tiers.get(f'lane.{lane}', 0)}, and no quote of {symbol} has come "
                           f"for {(ts - at) / 1e9:.1f} s")
                    return

    def _seen(self, event: Seen) -> Sentences:
        if isinstance(event.message, MarketState | Bar):
            self._opened[event.message.instrument] = event.ts
        return ()

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
    witnessed: ClassVar[str] = (
        "starts in which one condition of live trading was broken, and lines to an endpoint of the other kind")

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._opened: dict[str, Opened] = {}
        self._header = ""
        self._typed: dict[str, set[str]] = {}          # by account, since the start: what a person typed and was told yes to
        self._reported: dict[str, str] = {}            # by account: its number, as the venue last told
        self._asked: dict[str, Nanos] = {}             # by account: when a person last had it flattened, with its number
        self._killed: Nanos = -1

    def on(self) -> dict[type[Event], Handler]:
        return {Opened: self._open, Durable: self._durable, Act: self._act, Wire: self._wire, VenueLine: self._line,
                Node: self._node}

    def _open(self, event: Opened) -> Sentences:
        self._opened[event.node] = event
        self._typed.clear()
        is_whole = event.phrase == PHRASE and event.where and not event.wants_watch
        self.witness += self.terms.is_live and not is_whole
        return ()

    def _node(self, event: Node) -> Sentences:
        self.witness += event.what in ("refused", "halted") and "was begun in mode" in event.detail
        return ()

    def _line(self, event: VenueLine) -> Sentences:
        self.witness += event.is_up and event.is_live is not self.terms.is_live
        return ()

    def _durable(self, event: Durable) -> Sentences:
        for kept in event.entries:
            if isinstance(kept.payload, Header):
                self._header = kept.payload.mode
            elif isinstance(kept.payload, AccountConfirmed):
                account = kept.payload.account
                if kept.payload.number != self.terms.accounts[account].number:
                    yield f"{account} was confirmed as {kept.payload.number}"
        return

    def _act(self, event: Act) -> Sentences:
        match event.command:
            case ConfirmAccount(account=account, typed=typed) if event.ok:
                self._typed.setdefault(account, set()).add(typed)
            case ConfirmAccount(account=account, typed=typed) if event.ok is None:
                self.witness += typed != self.terms.accounts[account].number
            case Flatten(account=account, typed=typed) if account is not None:
                if typed == self.terms.accounts[account].number:
                    self._asked[account] = event.ts
            case Kill():
                self._killed = event.ts
            case _:
                pass
        return ()

    def _wire(self, event: Wire) -> Sentences:
        if event.direction == "in":
            if event.kind == "read" and event.is_answer:
                self._hear(event)
            return
        if not event.venue.startswith("live") or event.kind not in (*WRITES, "cancel"):
            return
        why = self._missing(event)
        if why:
            yield f"{event.kind} {event.account} reached {event.venue} although {why}"

    def _hear(self, event: Wire) -> None:
        try:
            found = frames.message(event.body)
            number = str(found["number"])
        except (frames.Unreadable, KeyError):
            return
        self.witness += number != self._reported.get(event.account, number)
        self._reported[event.account] = number

    def _missing(self, event: Wire) -> str:
        """The condition that does not hold for these bytes; "" where all do."""
        opened, account = self._opened.get(event.node), event.account
        if opened is None or opened.mode != "live":
            return "its configuration is paper"
        if self._header != "live":
            return f"its record was begun in mode {self._header or 'unknown'}"
        number = self.terms.accounts[account].number
        is_whole = opened.phrase == PHRASE and opened.where and not opened.wants_watch
        is_confirmed = is_whole and number in self._typed.get(account, ()) and self._reported.get(account) == number
        if is_confirmed:
            return ""
        if event.kind == "cancel":                      # of a kill, or of a flatten with the account's number
            is_ordered = self._killed >= 0 or account in self._asked
            return "" if is_ordered else "nobody has confirmed the account, and no person has asked for a cancel"
        message = readable(event)
        if message is not None and message.legs[0].purpose == "flatten" and account in self._asked:
            return ""
        if not is_whole:
            return "nobody has started it with both keys"
        typed = sorted(self._typed.get(account, ()))
        return f"the venue tells account {self._reported.get(account)}, and what was typed is {typed}"


class OneBuild(Oracle):
    invariant: ClassVar[str] = "INV-25"
    claim: ClassVar[str] = "Every process runs the build and configuration that the record approves, or enters nothing."
    witnessed: ClassVar[str] = "starts with another build or configuration than the one before"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._runs: dict[str, tuple[str, str]] = {}    # by node: build and configuration, as a look at the process shows them
        self._before: tuple[str, str] | None = None
        self._build = self._config = ""                # as the record has them
        self._approved: set[str] = set()               # what a person has said yes to; the first one goes without

    def on(self) -> dict[type[Event], Handler]:
        return {Opened: self._open, Node: self._node, Durable: self._durable, Wire: self._wire}

    def _open(self, event: Opened) -> Sentences:
        if event.approved:
            self._approved.add(event.approved)
        return ()

    def _node(self, event: Node) -> Sentences:
        if event.what == "start":
            found = self._runs[event.node] = event.build, event.config
            self.witness += self._before not in (None, found)
            self._before = found
        return ()

    def _durable(self, event: Durable) -> Sentences:
        for kept in event.entries:
            if isinstance(kept.payload, Started):
                self._build = kept.payload.build
            elif isinstance(kept.payload, ConfigRead):
                is_first, digest = not self._config, kept.payload.digest
                self._config = digest
                if self.terms.is_live and not is_first and not any(digest.startswith(each) for each in self._approved if each):
                    yield f"a live desk took up configuration {digest[:12]}, which nobody has approved"
        return

    def _wire(self, event: Wire) -> Sentences:
        message = readable(event)
        if message is None or not message.is_entry:
            return
        runs = self._runs.get(event.node)
        if runs != (self._build, self._config):
            yield f"{message.id} entered from {event.node}, which runs {runs}; the record has {(self._build, self._config)}"


class Isolation(Oracle):
    invariant: ClassVar[str] = "INV-29"
    claim: ClassVar[str] = (
        "What fails beside the path delays neither clearance nor kill, and one broker's trouble is not "
        "another's.")
    witnessed: ClassVar[str] = "faults of what the engine depends on beside its path, and of one account among several"

    def on(self) -> dict[type[Event], Handler]:
        return {FaultDone: self._fault, Task: self._task}

    def _fault(self, event: FaultDone) -> Sentences:
        self.witness += event.verb in ("broker.failed_read", "gate.raise")
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
