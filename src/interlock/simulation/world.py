"""The world simulator: the real runtime in one deterministic process, on the plans, the venue and the oracles of the core.

`core.Run` judges decisions with a scheduler of its own; here the production path runs under the simulated loop: tasks for every
act, proofs and pings, the adapter down to the bytes of its socket, commits to a disk that can fail, the lease, restarts from the
disk alone, alerts over the hook's app, people at the command door. Time is the loop's; faults strike bytes, files and processes.
"""

import asyncio
import contextvars
import gc
import hashlib
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

import msgspec

from interlock.config.load import Loaded
from interlock.model.command import Command
from interlock.model.ids import AccountName
from interlock.model.market import Bar, MarketState, Quote
from interlock.model.money import MINUTE, SECOND, Nanos
from interlock.runtime.live import NOBODY, PHRASE, Start
from interlock.simulation import core, oracles, scenes
from interlock.simulation.core import SETTLE, Result
from interlock.simulation.disk import JOURNAL, LEASE, Disk, SimLease, SimStore, record_of
from interlock.simulation.history import Act, History, Lease, Phase, Signal, Task
from interlock.simulation.history import Disk as DiskDone
from interlock.simulation.loop import SimLoop, Stuck
from interlock.simulation.loop import run as run_on
from interlock.simulation.net import Gateway, Net
from interlock.simulation.nodes import ADDRESSES, Engines
from interlock.simulation.oracles.base import Court, Oracle
from interlock.simulation.people import People
from interlock.simulation.plans import Fault, Plan
from interlock.simulation.venue import Venue
from interlock.storage.lease import LeaseRecord

MILLISECOND: Final = 1_000_000
JUDGED_EVERY: Final[Nanos] = 5 * MILLISECOND
"""How often deadlines are looked at where nothing happens."""
RESTART: Final[Nanos] = 2 * SECOND
"""After how long somebody starts a process again that has ended by itself."""
INBOX_MAX: Final = 8192
STEPS_MAX: Final = 25_000
"""A run takes a few thousand; more means that something goes round in a circle."""
STEPS_A_SITTING: Final = 15_000
NIGHT: Final[Nanos] = 30 * MINUTE
"""How often prices are told where no process listens."""
PERSON: Final = Start("ann", "/dev/pts/1", PHRASE)
"""Somebody who starts a live desk as it is meant to be started."""
BROKEN_STARTS: Final[dict[int, Start]] = {
    0: Start("ann", "/dev/pts/1"), 1: Start("ann", "/dev/pts/1", "yes"), 2: Start("ann", "", PHRASE),
    3: Start("ann", "/dev/pts/1", PHRASE, wants_watch=True)}
"""Conditions of live trading that the start itself breaks; 4 to 7 are the endpoint, the account that it reaches, the record
that it goes on with, and what the person types."""
WORLD: Final[tuple[type[Oracle], ...]] = getattr(oracles, "WORLD", oracles.CORE)


@dataclass(frozen=True)
class Parts:
    """The makers of what a process of the world is wired from. Tests plant defects here; detection is the oracles' alone."""

    store: Callable[[Disk, Callable[[], bool]], SimStore] = lambda disk, is_fenced: SimStore(disk, is_fenced=is_fenced)
    lease: Callable[[SimLease], SimLease] = lambda lease: lease
    boot: Callable[["World"], Callable[[], Nanos]] = lambda world: lambda: world.loop.ns
    after_build: Callable[[Engines, Any], None] = lambda _node, _built: None
    beside: Callable[[Engines, Any], None] = lambda _node, _built: None


SOUND: Final = Parts()


class Crowd(People):
    """The core's people, at the doors of a real process."""

    def __init__(self, run: "World") -> None:
        super().__init__(run)
        self._world = run

    def _give(self, command: Command, who: str) -> None:
        world = self._world
        world._operate("command")
        node = world.node
        if node is None or not node.is_ready:
            return
        seen = str(getattr(command, "seen", ""))

        def answered(value: Any, error: Exception | None) -> None:
            is_ok = error is None and isinstance(value, dict) and "refused" not in value
            world.record(Act(ts=world.now, who=who, command=command, seen=seen, answer=repr(value or error), ok=is_ok))

        world.record(Act(ts=world.now, who=who, command=command, seen=seen))
        node.start(node.command(command, who, answered))

    def _post(self, lane: str, body: dict[str, Any], *, remember: bool = True) -> None:
        world = self._world
        node = world.node
        if remember:
            self._alerts.append((lane, body))
        if node is None or not node.is_ready:
            return
        hidden = dict(body, secret="[secret]")

        def answered(status: int, code: str) -> None:
            world.record(Signal(ts=world.now, lane=lane, body=hidden, code=code if status < 500 else "unwritten"))

        node.start(node.post(lane, body, answered))

    def look(self) -> None:
        if self._world.node is not None and self._world.node.is_ready:
            super().look()

    def _flatten_digest(self, account: str | None, args: Any) -> str:
        if self._world.node is None or not self._world.node.is_ready:
            return ""
        return super()._flatten_digest(account, args)

    def _attend(self) -> None:
        world = self._world
        if world.node is not None and world.node.is_ready:
            super()._attend()
        else:
            world.at(max(world.now + 4 * SECOND, world.next_sitting()), self._attend)

    def confirm(self, node: Engines) -> None:
        """Somebody confirms each account of a live desk, as soon as its broker tells it; with the wrong number if so planned."""
        world = self._world
        if node.is_dead or node is not world.node:
            return

        def tell(command: Command, value: Any, error: Exception | None) -> None:
            answer = "" if value is None and error is None else repr(value or error)
            is_ok = None if not answer else error is None and bool(value.get("ok"))
            world.record(Act(ts=world.now, who="ann", command=command, seen=str(getattr(command, "seen", "")), answer=answer,
                             ok=is_ok))

        held = [name for name in world.terms.accounts if node.is_ready and node.engine.live.is_held(AccountName(name))]
        if held:                                   # one after the other: who was refused waits
            name = held[(world.loop.ns // SECOND) % len(held)]
            typed = world.terms.accounts[name].number
            if world.wrong_numbers:
                world.wrong_numbers -= 1
                typed = typed[:-1]
            node.start(node.confirm(name, typed, tell))
        if held or not node.is_ready:
            world.at(world.now + SECOND, partial(self.confirm, node))

    def _open_line(self, process: Any) -> None:
        asked = [question for question in self._questions(process) if question.id.startswith("line.")]
        if asked:
            super()._open_line(process)
        else:
            process.start(_reconnect(process))


async def _reconnect(process: Engines) -> None:
    from interlock.brokers.paper.wire import ConnectFailed
    try:
        await process.line.reconnect()
    except ConnectFailed:
        return                                     # it stays down; somebody will try again


class World(core.Run):
    """One run of one plan on the real runtime."""

    loop: SimLoop

    def __init__(self, plan: Plan, parts: Parts = SOUND, *, keeps: bool = False,
                 kinds: tuple[type[Oracle], ...] = WORLD, adversarial: bool = False) -> None:
        steps_max = max(STEPS_MAX, STEPS_A_SITTING * len(plan.sittings))
        self.loop = SimLoop(plan.seed, adversarial=adversarial, steps_max=steps_max)
        self._wall = 0
        super().__init__(plan, keeps=keeps)
        self.wiring = parts
        self.history = History(self.terms, begins=self.begins, keeps=keeps)
        self.court = Court(self.history, kinds)
        self.disk = Disk(plan.seed)
        self.disk.on_operation = self._on_disk
        self.net = Net(self.loop, plan.seed, plan.latency)
        self.gateways: dict[str, Gateway] = {}         # by account
        self._open_venues(plan)
        self.people = Crowd(self)
        self.offset: Nanos = 0                     # what the node's wall clock is wrong by
        self.drift = 0                             # ns that it gains each second
        self.node: Engines | None = None
        self.others: list[Engines] = []
        self.told_seq = self.state_seq = 0
        self._lease_epoch = 0
        self.has_struck = False
        self._fed_until: Nanos = 0
        self.locked_until: Nanos = 0                   # another program holds the journal, on the loop's clock
        self.build, self.loaded, self.wrong_numbers = "sim", self.scene.loaded, 0
        self._broken_start: Start | None = None        # how the next start will be wrong
        self._is_on_other_record = False
        self._approved = ""
        self._journal_digest = hashlib.sha256()
        self._judged: Nanos = 0
        self._over: asyncio.Future[None] | None = None
        self._is_ending = False
        self.is_refusing = False

    def _open_venues(self, plan: Plan) -> None:
        """Each venue of the scene behind an address of its own."""
        venues: list[Venue] = []
        environment = "live" if self.scene.is_live else "paper_sim"
        for address, (name, accounts) in zip(ADDRESSES, self.scene.venues, strict=False):
            venue = Venue(self.terms, self.record, self._push, accounts=accounts, name=name,
                          visibility=min(plan.visibility, scenes.VISIBILITY), keeps_reduce_only=plan.scene != "single"
                          and plan.scene != "pair")
            gateway = Gateway(self.net, name, accounts, partial(self._handle, venue), self._faults_of(name), self.record,
                              lambda: self.now, self.streams.of(f"gateway {name}" if venues else "gateway"), self._engine_time)
            venue.environment = gateway.environment = environment
            self.net.listen(address, gateway)
            self.gateways.update(dict.fromkeys(accounts, gateway))
            venues.append(venue)
        self.venues = tuple(venues)
        self.venue = venues[0] if len(venues) == 1 else cast(Venue, Both(self.venues))

    def gateway_of(self, account: str = "") -> Gateway:
        """The venue that holds an account; for a name that is none the first."""
        return self.gateways.get(account) or next(iter(self.gateways.values()))

    # -- time

    @property
    def now(self) -> Nanos:
        """The world's own time."""
        return self.begins + self.loop.ns

    @now.setter
    def now(self, _: Nanos) -> None:
        """It moves by itself."""

    def wall(self) -> Nanos:
        """What the clock on the node's wall says."""
        return self.now + self.offset + self.loop.ns // SECOND * self.drift

    def _engine_time(self) -> Nanos:
        """What the clock of the process said when it last looked, which it does right before it writes."""
        return self.wall() if self.node is None else self.node.clock_now

    def at(self, ts: Nanos, act: Callable[[], None]) -> None:
        """What happens in the world belongs to no process."""
        contextvars.Context().run(self.loop.call_in, max(0, ts - self.now), act)

    # -- the run

    def run(self) -> Result:
        self.loop.observers.append(self._judge)
        was_enabled = gc.isenabled()
        gc.disable()                               # until everything has ended: a collection ends tasks at its own moment
        try:
            run_on(self.loop, self._main())
        except Stuck as error:
            self.history.blame("INV-30", self.now, f"the run came to no end: {error}")
        finally:
            self._end_all()
            if was_enabled:
                gc.enable()
        self._watch_tasks()
        digest = hashlib.sha256(f"{self.loop.digest} {self.net.digest} {self._journal_digest.hexdigest()}".encode())
        return Result(seed=self.plan.seed, violation=self.history.violation, witnesses=self.court.witnesses(),
                      cells=tuple(self.cells), digest=digest.hexdigest(), steps=self.loop.steps, round_trips=self.round_trips,
                      marks=self.marks)

    async def _main(self) -> None:
        self._arrange()
        self.record(Phase(ts=self.now, what="begun"))
        for start, end in self.plan.sittings:
            self.at(self.begins + start, self.start_process)
            if end < self.plan.horizon:
                self.at(self.begins + end, self._leave)
        if self.plan.sittings:
            self.people.come_back()
        else:
            self.start_process()
        self._end = self.begins + self.plan.horizon
        await self._until_ts(self._end)
        if self.history.violation is None:
            self._heal()
            self._end = self.now + SETTLE
            await self._until_ts(self._end)
        if self.history.violation is None:
            self.record(Phase(ts=self.now, what="quiet"))
            self.court.at_quiet(self.now)
            await self._shut_down()
        self._is_ending = True

    def _end_all(self) -> None:
        """The world is over: whatever runs is gone."""
        for node in (self.node, *self.others):
            if node is not None and not node.owner.is_dead:
                self.loop.kill(node.owner)

    async def _until_ts(self, end: Nanos) -> None:
        if self.history.violation is not None:
            return
        self._over = over = self.loop.create_future()
        timer = self.loop.call_in(max(0, end - self.now), _finish, over)
        await over
        timer.cancel()

    async def _shut_down(self) -> None:
        """Asked to stop, the process ends within its deadline."""
        node = self.node
        if node is None or node.is_dead:
            return
        self._is_ending = True
        node.stop()
        await self._until_ts(self.now + 25 * SECOND)

    def _judge(self) -> None:
        ns = self.loop.ns
        if ns - self._judged >= JUDGED_EVERY:
            self._judged = ns
            self.court.at_time(self.now)
            node = self.node
            if node is not None and node.is_ready and len(node.inbox) > INBOX_MAX:
                self.record(Task(ts=self.now, node=node.name, name="inbox", what="full"))
        over = self._over
        if over is None or over.done():
            return
        if self.history.violation is not None or (self._is_ending and self.node is not None and self.node.is_dead):
            over.set_result(None)

    def deadline(self, node: Engines) -> None:
        """It was asked to stop; by now it has."""
        if node.is_dead:
            return
        self.history.blame("INV-30", self.now, f"{node.name} was asked to stop and has not ended within its deadline")
        node.crash()

    def _watch_tasks(self) -> None:
        for text in self.loop.unobserved:
            self.record(Task(ts=self.now, node="engine", name="task", what="died", detail=text))

    # -- processes

    def start_process(self) -> None:
        if self.node is not None and not self.node.is_dead:
            return
        if self._is_ending or self.is_refusing or not self.is_sitting():
            return
        number = 1 if self.node is None else self.node.number + 1
        self.process = cast(Any, None)
        self.node = Engines(self, number)
        self.process = cast(Any, self.node)
        if self.scene.is_live:
            self.at(self.now + SECOND, partial(cast(Crowd, self.people).confirm, self.node))

    def next_start(self) -> tuple[str, Loaded, Start, bool]:
        """How the next process will be started: build, configuration, by whom and with which keys, on the other mode's record."""
        start = self._broken_start
        if start is None:
            start = msgspec.structs.replace(PERSON, approved=self._approved) if self.scene.is_live else NOBODY
        if self.loaded is not self.scene.loaded:
            self._approved = self.loaded.digest        # whoever was refused for it has read what it says
        return self.build, self.loaded, start, self._is_on_other_record

    # -- days: a long run has hours in which no process is meant to run

    def is_sitting(self) -> bool:
        """Whether a process is meant to run now."""
        if not self.plan.sittings or self.is_healed:
            return True
        past = self.now - self.begins
        return any(start <= past < end for start, end in self.plan.sittings)

    def next_sitting(self) -> Nanos:
        """When a process is meant to run next; now, where one is."""
        past = self.now - self.begins
        if self.is_sitting():
            return self.now
        return self.begins + min((start for start, _ in self.plan.sittings if start >= past), default=past)

    def warm_since(self) -> Nanos:
        """The moment up to which history is at hand for the process that starts now."""
        past = self.now - self.begins
        index = bisect_right(self.plan.sittings, (past, past)) - 1 if self.plan.sittings else -1
        return self.begins + (self.plan.sittings[index][0] if index >= 0 else 0)

    def _leave(self) -> None:
        """The sitting is over: the process is asked to stop."""
        if self.node is not None and not self.node.is_dead and not self.is_healed:
            self.node.stop()

    def _quote_all(self) -> None:
        if not self.plan.sittings or self.is_sitting() or not self._is_idle():
            super()._quote_all()
            return
        for symbol in self.markets:
            self._quote(symbol)
        self.at(max(self.now + SECOND, min(self.now + NIGHT, self.next_sitting() - 3 * SECOND)), self._quote_all)

    def _bars(self) -> None:
        if not self.plan.sittings or self.is_sitting() or not self._is_idle():
            super()._bars()
            return
        due = max(self.now, self.next_sitting() - MINUTE)
        self.at(due - due % MINUTE + MINUTE, self._bars)

    def _is_idle(self) -> bool:
        return self.node is None or self.node.is_dead

    def process_ended(self, node: Engines, *, is_refused: bool) -> None:
        """A process has ended by itself; what supervises it starts another one, but for a journal that is damaged."""
        if node in self.others:
            self.others.remove(node)
            return
        if is_refused:
            self.is_refusing = True
            return
        if not self._is_ending:
            self.at(self.now + RESTART, self.start_process)

    def crash(self, restart: Nanos) -> None:
        node = self.node
        if node is None or node.is_dead:
            return
        node.crash(is_power_cut=self.rng_disk.random() < 0.5)
        self.at(self.now + restart, self.start_process)

    def second_instance(self) -> None:
        """Somebody starts the same role again, on the same disk."""
        if self.node is not None and not self._is_ending:
            self.others.append(Engines(self, 100 + len(self.others), name="engine-2"))

    # -- the disk

    def locked_for(self) -> Nanos:
        """How much longer another program holds the journal's file."""
        return max(0, self.locked_until - self.loop.ns)

    def _on_disk(self, what: str, path: str, ok: bool, detail: str) -> None:
        """Who holds which lease is read from the disk, and so is when it has run out."""
        if not ok or what in ("flip", "crash"):
            self.record(DiskDone(ts=self.now, node="engine", what=what, path=path, ok=ok, detail=detail))
        if ok and what in ("write", "sync"):
            for fault in self._operate(what):
                self._struck(fault, what)
                self._act(fault)
        if what == "rename" and path == LEASE and self.disk.has_handles:
            record = record_of(self.disk)
            if record is None:
                return
            if record.epoch != self._lease_epoch:
                self._lease_epoch = record.epoch
                self.record(Lease(ts=self.now, node=record.holder, epoch=record.epoch))
            elif record.renewed == 0:
                self.record(Lease(ts=self.now, node=record.holder, epoch=record.epoch, what="released"))
            self.at(self.now + record.ttl + 1, lambda: self._has_expired(record))

    def _has_expired(self, record: LeaseRecord) -> None:
        found = record_of(self.disk) if self.disk.exists(LEASE) and self.disk.has_handles else None
        if found == record and record.renewed:
            self.record(Lease(ts=self.now, node=record.holder, epoch=record.epoch, what="expired"))

    def durable_seq(self) -> int:
        node = self.node
        return 0 if node is None or node.store is None else node.store.durable_seq()

    def digest_entry(self, raw: Any) -> None:
        if not raw.is_host:
            self._journal_digest.update(raw.payload)

    def begin_commit(self) -> None:
        self._operate("commit")

    def commit_delay(self) -> Nanos:
        delay: Nanos = self.rng_disk.randint(200_000, 12 * MILLISECOND)
        slow = self.take_armed("disk.slow", "commit.before")
        if slow is not None:
            delay += int(slow.args.get("ms", 500)) * MILLISECOND
        return delay

    def commit_fault(self) -> str:
        """What goes wrong with the commit that is about to be made; "" for nothing."""
        if self.take_armed("disk.commit_fails", "commit.before") is not None:
            self.disk.fail_writes = 1
            return "write"
        if self.take_armed("disk.commit_unknown", "commit.before") is not None:
            if self.rng_disk.random() < 0.5:
                self.disk.fail_syncs = 1
                return "sync"
            return "answer lost"
        return ""

    # -- the market

    def _ping(self) -> None:
        """The product's driver pings."""

    def _read_all(self) -> None:
        """The product's driver reconciles."""

    def _feed(self, message: Quote | MarketState | Bar) -> None:
        """On its way to every process that listens, in order; stamped with the node's own clock when it arrives."""
        delay = self.rng_net.randint(1 * MILLISECOND, 8 * MILLISECOND)
        self._fed_until = due = max(self.now + delay, self._fed_until + 1)
        self.at(due, lambda: self._fed(message))

    def _fed(self, message: Quote | MarketState | Bar) -> None:
        node = self.node
        if node is None or not node.is_ready:
            return
        ts = self.wall()
        told: Quote | MarketState | Bar = message
        if isinstance(message, Quote):
            told = Quote(message.instrument, message.bid, message.ask, message.bid_size, message.ask_size, message.ts_event, ts,
                         message.provenance)
        elif isinstance(message, MarketState):
            told = MarketState(message.instrument, message.is_open, message.is_halted, message.ts_event, ts)
        node.feed.waiting.append(told)
        node.do(node.inbox.wake)

    # -- the venue

    def _handle(self, venue: Venue, kind: str, body: bytes, faults: dict[str, Any]) -> bytes:
        answer = venue.handle(kind, body, self.now, faults)
        self._venue_later(venue)
        if kind == "place":
            self.point("egress.after_write")
        return answer

    def _venue_later(self, venue: Venue) -> None:
        due = venue.next_due()
        if due is not None:
            self.at(due, lambda: venue.advance(self.now))

    def _push(self, kind: str, account: str, body: bytes) -> None:
        self.gateways[account].push(kind, account, body)

    def _faults_of(self, venue: str) -> Callable[[str], list[tuple[str, Any]]]:
        return lambda operation: self._faults_at(operation, venue)

    def _faults_at(self, operation: str, venue: str) -> list[tuple[str, Any]]:
        """The faults that strike one operation of the wire; those of the world around it are carried out at once."""
        struck = []
        for fault in self._operate(operation):
            if fault.verb.startswith(("net.", "broker.")) and fault.verb not in _AROUND:
                self._struck(fault, operation)
                if fault.verb == "broker.throttle":
                    gateway = next(each for each in self.gateways.values() if each.name == venue)
                    gateway.throttled_until = self.loop.ns + int(fault.args.get("ms", 1000)) * MILLISECOND
                struck.append((fault.verb, dict(fault.args)))
            else:
                self.at(self.now, partial(self._befall, fault, operation))
        return struck

    def _befall(self, fault: Fault, what: str) -> None:
        self._struck(fault, what)
        self._act(fault)

    def lose_line(self) -> None:
        """The gateway tells of lines."""

    # -- faults

    def point(self, name: str) -> bool:
        """As in the core; `has_struck` tells whether something was ordered for this very moment."""
        before = len(self.cells), self.last_fault
        is_gone = super().point(name)
        self.has_struck = (len(self.cells), self.last_fault) != before
        return is_gone

    last_fault = 0

    def _struck(self, fault: Fault, what: str = "") -> None:
        self.last_fault += 1
        super()._struck(fault, what)

    def strike(self, fault: Fault) -> None:
        """As in the core; what befalls a disk waits for no operation of it."""
        if fault.verb in _AT_ONCE and not self.is_healed:
            self._struck(fault)
            self._act(fault)
        else:
            super().strike(fault)

    def _act(self, fault: Fault) -> None:
        args, node, gateway = fault.args, self.node, self.gateway_of(str(fault.args.get("account", "")))
        ns = int(args.get("ms", 1_000)) * MILLISECOND
        match fault.verb:
            case "proc.second_instance":
                self.at(self.now + ns, self.second_instance)
            case "proc.sigterm":
                if node is not None:
                    node.stop()
            case "proc.hang":
                if node is not None:
                    node.hang(ns)
            case "proc.loop_block":
                if node is not None:
                    node.pause(ns, "block")
            case "proc.pause":
                if node is not None:
                    node.pause(ns)
            case "clock.suspend":
                if node is not None:
                    node.pause(ns)
            case "proc.task_crash":
                if node is not None:
                    node.break_task()
            case "net.reset" | "broker.restart":
                gateway.refuse(ns)
                gateway.drop_all()
            case "net.partition":
                self.net.partition(True, gateway)
                self.at(self.now + ns, lambda: self.net.partition(False, gateway))
            case "disk.enospc":
                self.disk.space = 0
            case "disk.eio":
                self.disk.fail_syncs = 1
            case "disk.lock":
                self.locked_until = self.loop.ns + ns
            case "disk.flip":
                self._flip()
            case "clock.step":
                self.offset += ns
            case "clock.skew":
                self.drift = ns // 100
            case "ops.config_change":
                self.loaded = self.scene.changed if self.loaded is self.scene.loaded else self.scene.loaded
                self._start_anew()
            case "ops.old_build":
                self.build = "sim, as it was" if self.build == "sim" else "sim"
                self._start_anew()
            case "ops.live_endpoint":
                self._swap_endpoint()
                self.at(self.now + ns, self._swap_back)
            case "ops.live_start":
                self._start_wrongly(int(args.get("condition", 0)))
                self.at(self.now + ns, self._start_rightly)
            case _:
                super()._act(fault)

    def _flip(self) -> None:
        """A bit changes in what was acknowledged long ago: not in the last frame, where damage is a torn end."""
        store = None if self.node is None else self.node.store
        ends = [] if store is None else [end for end, _ in store._ends[:-1]]
        size = len(self.disk.read(JOURNAL)) if self.disk.exists(JOURNAL) else 0
        if size > 4_000 and ends:
            self.disk.flip(JOURNAL, self.rng_disk.randrange(8 * min(size // 2, ends[-1])))

    # -- people who deploy, and what they get wrong

    def _start_anew(self) -> None:
        """What runs is stopped and started again."""
        if self.node is not None and self.node.is_ready:
            self.node.stop()
        else:
            self.at(self.now + RESTART, self.start_process)

    def _swap_endpoint(self) -> None:
        """Behind the address stands a venue of the other kind."""
        for venue in self.venues:
            gateway = self.gateways[venue.accounts[0]]
            venue.environment = gateway.environment = "live" if gateway.environment != "live" else "paper_sim"
            gateway.drop_all()

    def _swap_back(self) -> None:
        is_right = (self.gateway_of().environment == "live") == self.scene.is_live
        if not is_right:
            self._swap_endpoint()

    def _start_wrongly(self, condition: int) -> None:
        """The process is started anew, with one condition of live trading broken."""
        self._broken_start = BROKEN_STARTS.get(condition)
        match condition:
            case 4:
                self._swap_endpoint()
            case 5:
                for account in self.terms.accounts:
                    self.venue_of(account).renumber(account, f"U-{account}")
            case 6:
                self._is_on_other_record = True
            case 7:
                self.wrong_numbers = 3
            case _:
                pass
        self.crash(SECOND)

    def _start_rightly(self) -> None:
        """Somebody has noticed."""
        was_watching, self._broken_start, self._is_on_other_record = self._broken_start is not None, None, False
        self._swap_back()
        for account, terms in self.terms.accounts.items():
            self.venue_of(account).renumber(account, terms.number)
        if was_watching and self.node is not None and not self.node.is_dead:
            self._start_anew()

    def venue_of(self, account: str) -> Venue:
        return next(venue for venue in self.venues if account in venue.accounts)

    def _heal(self) -> None:
        self.is_healed = True
        self._start_rightly()
        for gateway in self.gateways.values():
            gateway.heal()
        self.net.partition(False)
        self.locked_until = self.loop.ns
        self.disk.space, self.disk.fail_writes, self.disk.fail_syncs, self.disk.is_read_only = None, 0, 0, False
        self.disk.has_handles = True
        self.drift = self.offset = 0
        super()._heal()


class Both:
    """Several venues as one: what names an account goes to the one that has it, everything else to all."""

    def __init__(self, venues: tuple[Venue, ...]) -> None:
        self.__dict__.update(_venues=venues, accounts=tuple(account for venue in venues for account in venue.accounts))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            for venue in self._venues:  # type: ignore[attr-defined]
                if given and given[0] in venue.accounts:
                    return getattr(venue, name)(*given, **named)
            answers = [getattr(venue, name)(*given, **named) for venue in self._venues]  # type: ignore[attr-defined]
            return answers[0]

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        for venue in self._venues:  # type: ignore[attr-defined]
            setattr(venue, name, value)


def _finish(over: "asyncio.Future[None]") -> None:
    if not over.done():
        over.set_result(None)


_AT_ONCE: Final = frozenset(("disk.enospc", "disk.eio", "disk.lock"))
_AROUND: Final = frozenset(("broker.reject_stop", "broker.shrink_stop", "broker.same_exec_id"))


def run(plan: Plan, parts: Parts = SOUND) -> Result:
    """One run of a plan in the world simulator."""
    world = World(plan, parts)
    result = world.run()
    del world
    gc.collect(0)
    return result


Run = World
"""As the core calls its own."""
