"""The world simulator: the real runtime in one deterministic process, on the plans, the venue and the oracles of the core.

`core.Run` judges decisions with a scheduler of its own; here the production path runs under the simulated loop: tasks for every
act, proofs and pings, the adapter down to the bytes of its socket, commits to a disk that can fail, the lease, restarts from the
disk alone, alerts over the hook's app, people at the command door. Time is the loop's; faults strike bytes, files and processes.
"""

import asyncio
import contextvars
import gc
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

from interlock.model.command import Command
from interlock.model.market import Bar, MarketState, Quote
from interlock.model.money import SECOND, Nanos
from interlock.simulation import core, oracles
from interlock.simulation.core import SETTLE, Result
from interlock.simulation.disk import JOURNAL, LEASE, Disk, SimLease, SimStore, record_of
from interlock.simulation.history import Act, History, Lease, Phase, Signal, Task
from interlock.simulation.history import Disk as DiskDone
from interlock.simulation.loop import SimLoop, Stuck
from interlock.simulation.loop import run as run_on
from interlock.simulation.net import Gateway, Net
from interlock.simulation.nodes import ADDRESS, Engines
from interlock.simulation.oracles.base import Court, Oracle
from interlock.simulation.people import People
from interlock.simulation.plans import Fault, Plan
from interlock.storage.lease import LeaseRecord

MILLISECOND: Final = 1_000_000
JUDGED_EVERY: Final[Nanos] = 5 * MILLISECOND
"""How often deadlines are looked at where nothing happens."""
RESTART: Final[Nanos] = 2 * SECOND
"""After how long somebody starts a process again that has ended by itself."""
INBOX_MAX: Final = 8192
STEPS_MAX: Final = 25_000
"""A run takes a few thousand; more means that something goes round in a circle."""
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
            world.at(world.now + 4 * SECOND, self._attend)

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
        self.loop = SimLoop(plan.seed, adversarial=adversarial, steps_max=STEPS_MAX)
        self._wall = 0
        super().__init__(plan, keeps=keeps)
        self.wiring = parts
        self.history = History(self.terms, begins=self.begins, keeps=keeps)
        self.court = Court(self.history, kinds)
        self.disk = Disk(plan.seed)
        self.disk.on_operation = self._on_disk
        self.net = Net(self.loop, plan.seed, plan.latency)
        self.gateway = Gateway(self.net, "paper", tuple(self.venue.accounts), self._handle, self._faults_at, self.record,
                               lambda: self.now, self.streams.of("gateway"), self._engine_time)
        self.net.listen(ADDRESS, self.gateway)
        self.people = Crowd(self)
        self.offset: Nanos = 0                     # what the node's wall clock is wrong by
        self.drift = 0                             # ns that it gains each second
        self.node: Engines | None = None
        self.others: list[Engines] = []
        self.told_seq = self.state_seq = 0
        self._lease_epoch = 0
        self.has_struck = False
        self._journal_digest = hashlib.sha256()
        self._judged: Nanos = 0
        self._over: asyncio.Future[None] | None = None
        self._is_ending = False
        self.is_refusing = False

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
        try:
            run_on(self.loop, self._main())
        except Stuck as error:
            self.history.blame("INV-30", self.now, f"the run came to no end: {error}")
        finally:
            self._end_all()
        self._watch_tasks()
        digest = hashlib.sha256(f"{self.loop.digest} {self.net.digest} {self._journal_digest.hexdigest()}".encode())
        return Result(seed=self.plan.seed, violation=self.history.violation, witnesses=self.court.witnesses(),
                      cells=tuple(self.cells), digest=digest.hexdigest(), steps=self.loop.steps, round_trips=self.round_trips,
                      marks=self.marks)

    async def _main(self) -> None:
        self._arrange()
        self.record(Phase(ts=self.now, what="begun"))
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
        if self._is_ending or self.is_refusing:
            return
        number = 1 if self.node is None else self.node.number + 1
        self.process = cast(Any, None)
        self.node = Engines(self, number)
        self.process = cast(Any, self.node)

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
        """On its way to every process that listens; stamped with the node's own clock when it arrives."""
        delay = self.rng_net.randint(1 * MILLISECOND, 8 * MILLISECOND)
        self.at(self.now + delay, lambda: self._fed(message))

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

    def _handle(self, kind: str, body: bytes, faults: dict[str, Any]) -> bytes:
        answer = self.venue.handle(kind, body, self.now, faults)
        self._venue_later()
        if kind == "place":
            self.point("egress.after_write")
        return answer

    def _venue_later(self) -> None:
        due = self.venue.next_due()
        if due is not None:
            self.at(due, lambda: self.venue.advance(self.now))

    def _push(self, kind: str, account: str, body: bytes) -> None:
        self.gateway.push(kind, account, body)

    def _faults_at(self, operation: str) -> list[tuple[str, Any]]:
        """The faults that strike one operation of the wire; those of the world around it are carried out at once."""
        struck = []
        for fault in self._operate(operation):
            if fault.verb.startswith(("net.", "broker.")) and fault.verb not in _AROUND:
                self._struck(fault, operation)
                if fault.verb == "broker.throttle":
                    self.gateway.throttled_until = self.loop.ns + int(fault.args.get("ms", 1000)) * MILLISECOND
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
        args, node = fault.args, self.node
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
                self.crash(RESTART)
            case "net.reset":
                self.gateway.refuse(ns)
                self.gateway.drop_all()
            case "net.partition":
                self.net.partition(True)
                self.at(self.now + ns, lambda: self.net.partition(False))
            case "broker.restart":
                self.gateway.refuse(ns)
                self.gateway.drop_all()
            case "disk.enospc":
                self.disk.space = 0
            case "disk.eio":
                self.disk.fail_syncs = 1
            case "disk.lock":
                self.disk.fail_writes = 1          # a commit gives up on a lock after a while
            case "disk.flip":
                self._flip()
            case "clock.step":
                self.offset += ns
            case "clock.skew":
                self.drift = ns // 100
            case "dep.notifier" | "dep.redis" | "ops.config_change" | "ops.old_build" | "broker.truncate_cid":
                pass                               # nothing in an embedded desk hangs on these yet
            case _:
                super()._act(fault)

    def _flip(self) -> None:
        """A bit changes in what was acknowledged long ago."""
        size = len(self.disk.read(JOURNAL)) if self.disk.exists(JOURNAL) else 0
        if size > 4_000:
            self.disk.flip(JOURNAL, self.rng_disk.randrange(8 * (size // 2)))

    def _heal(self) -> None:
        self.is_healed = True
        self.gateway.heal()
        self.net.partition(False)
        self.disk.space, self.disk.fail_writes, self.disk.fail_syncs, self.disk.is_read_only = None, 0, 0, False
        self.disk.has_handles = True
        self.drift = 0
        super()._heal()


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
