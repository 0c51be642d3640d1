"""The core simulator: the real stages, signer, SafeBroker and adapter under a seeded scheduler, without an event loop.

Time is a heap of what happens next. A process is a real journal, engine, intake and desk; its writes run as coroutines that
this file resumes when an answer arrives, so that everything can happen between two of their steps. A crash throws away what
is not durable and every coroutine with it; the next process begins with the store alone.
"""

import dataclasses
import hashlib
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, Final

import msgspec

from interlock.brokers.paper.adapter import PaperBroker
from interlock.brokers.paper.wire import AnswerLost, ConnectFailed
from interlock.brokers.safe import AccountFacts, SafeBroker
from interlock.engine.setup import Setup
from interlock.engine.step import Engine, unpack
from interlock.errors import InterlockError, InvariantBroken, StorageError
from interlock.gate.clearance import Signer
from interlock.gate.registry import Checks, Registry
from interlock.intake.stage import Intake
from interlock.model.clearance import Clearance
from interlock.model.command import CommandGiven, Kill
from interlock.model.entry import records
from interlock.model.ids import AccountName
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Bar, MarketState, Provenance, Quote
from interlock.model.money import MINUTE, SECOND, Nanos
from interlock.model.record import (
    Attempt,
    CancelRequested,
    ConfigRead,
    Header,
    LookupRequested,
    Reading,
    ReadRequested,
    Started,
    TapeMark,
    Tick,
)
from interlock.model.report import LineChanged
from interlock.ports import Batch
from interlock.runtime import desk as desks
from interlock.runtime.epochs import EpochRecord
from interlock.runtime.inbox import Inbox
from interlock.simulation import scenes
from interlock.simulation.history import (
    Durable,
    Event,
    FaultDone,
    History,
    Kept,
    Lost,
    Node,
    Phase,
    Recovered,
    Seen,
    VenueFill,
    VenueLine,
    VenueOrder,
    Violation,
    Wire,
)
from interlock.simulation.oracles import CORE, calendar
from interlock.simulation.oracles.base import Court
from interlock.simulation.people import People
from interlock.simulation.plans import VERBS, AtOperation, AtPoint, AtState, AtTime, Fault, Plan, Streams
from interlock.simulation.venue import Venue
from interlock.storage.journal import open_journal
from interlock.storage.memory import MemoryStore

MILLISECOND: Final = 1_000_000
ANSWER: Final[Nanos] = 3 * SECOND
"""How long a request waits for its answer before it counts as lost."""
SETTLE: Final[Nanos] = 45 * SECOND
"""How long the world goes on after the horizon, whole and with people at hand, before it is judged at rest."""
CLOCK: Final[Nanos] = 10 * SECOND
PING: Final[Nanos] = 2 * SECOND
RECONCILE: Final[Nanos] = 30 * SECOND
DAY: Final[Nanos] = 86_400 * SECOND
STEPS_MAX: Final = 3_000
_TAKEN: Final = frozenset((Quote, MarketState, Bar))


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one run came to."""

    seed: int
    violation: Violation | None
    witnesses: dict[str, int]
    cells: tuple[tuple[str, str], ...]
    digest: str
    steps: int
    round_trips: int
    marks: dict[str, int] = {}         # states that were reached, and how often


# -- what may be exchanged in the wiring of a run (tests plant defects here; detection is the oracles' alone)

@dataclass(frozen=True)
class Parts:
    """The makers of everything that a run is wired from."""

    setup: Callable[[Setup], Setup] = lambda setup: setup
    engine: Callable[[Setup, Signer], Engine] = Engine
    signer: Callable[[], Signer] = Signer
    epochs: Callable[..., Any] = EpochRecord
    broker: Callable[..., Any] = PaperBroker
    safe: Callable[..., Any] = SafeBroker
    intake: Callable[[Intake], Intake] = lambda intake: intake
    desk: Callable[..., "Desk"] = lambda **parts: Desk(**parts)
    restore: Callable[["Process", Engine, Intake], None] = lambda process, engine, intake: process.fold(engine, intake)
    process: Callable[["Run", int], "Process"] = lambda run, number: Process(run, number)


SOUND: Final = Parts()


class Clock:
    """The engine clock of the simulated process."""

    kind = "wall"

    def __init__(self, run: "Run") -> None:
        self._run = run

    def now(self) -> Nanos:
        return self._run.now

    def target(self) -> Nanos:
        return self._run.now

    def move(self, ts: Nanos) -> None:
        pass

    def seconds_until(self, ts: Nanos) -> float:
        return max(0.0, (ts - self._run.now) / 1e9)


class Reply:
    """Stands where a future would: somebody waits for an answer."""

    def __init__(self, then: Callable[[Any, Exception | None], None]) -> None:
        self._then, self._is_done = then, False

    def done(self) -> bool:
        return self._is_done

    def set_result(self, value: Any) -> None:
        self._is_done = True
        self._then(value, None)

    def set_exception(self, error: Exception) -> None:
        self._is_done = True
        self._then(None, error)


class Breakable(Registry):
    """The gate's lists, of which one check can be broken for a while."""

    def __init__(self, sound: Any) -> None:
        self._sound = sound
        self.rules = sound.rules
        self.broken: dict[str, str] = {}

    def checks(self, profile: Any, source: Any) -> Any:
        checks = self._sound.checks(profile, source)
        if not self.broken:
            return checks
        return Checks(Broken(check, self.broken[check.name]) if check.name in self.broken else check for check in checks)


class Broken:
    """Stands in the place of a check: raises, or forgets to answer."""

    def __init__(self, check: Any, how: str) -> None:
        self.name, self.needs_quantity, self._how = check.name, check.needs_quantity, how

    def check(self, _intent: Any, _view: Any) -> Any:
        if self._how == "gate.raise":
            raise ZeroDivisionError("broken by plan")


class Waiting:
    """A request on its way: the coroutine that made it stands still until `end`."""

    __slots__ = ("_error", "_is_over", "_result", "connection", "resume")

    def __init__(self, connection: int) -> None:
        self.connection = connection
        self.resume: Callable[[], None] | None = None
        self._is_over = False
        self._result = b""
        self._error: Exception | None = None

    def end(self, result: bytes = b"", error: Exception | None = None) -> None:
        if self._is_over:
            return
        self._is_over, self._result, self._error = True, result, error
        if self.resume is not None:
            self.resume()

    def __await__(self) -> Generator["Waiting", None, bytes]:
        if not self._is_over:
            yield self
        if self._error is not None:
            raise self._error
        return self._result


class Desk(desks.Desk):
    """The product's desk, whose commits and releases are made by the scheduler."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.on_taken: Callable[[Any], None] | None = None     # hears what the market said, as it is taken in

    def turn(self, message: Any, *, reply: Any = None) -> list[Any]:
        if type(message) in _TAKEN and self.on_taken is not None:
            self.on_taken(message)
        return super().turn(message, reply=reply)

    def close_batch(self) -> tuple[Any, Batch]:
        """What waits to be committed, and its batch."""
        self._since_snapshot += len(self._open.entries)
        batch = self.seal(with_snapshot=self._since_snapshot >= self._snapshot_every)
        closing, self._open = self._open, type(self._open)()
        return closing, batch

    def acts(self, entries: list[tuple[int, Nanos, Any]]) -> list[tuple[Any, Coroutine[Any, Any, None]]]:
        """What leaves now that these entries are durable, in order, each with its payload."""
        clearances: dict[tuple[str, int], Clearance] = {}
        acts: list[tuple[Any, Coroutine[Any, Any, None]]] = []
        for _, _, payload in entries:
            match payload:
                case Clearance():
                    clearances[payload.content.nonce] = payload
                case Attempt():
                    clearance = clearances.pop((payload.client_order_id, payload.attempt), None)
                    if clearance is None:
                        raise InvariantBroken(f"{payload.client_order_id}: an attempt without its clearance")
                    acts.append((payload, self._place(payload, clearance)))
                case CancelRequested():
                    acts.append((payload, self._cancel(payload)))
                case LookupRequested():
                    acts.append((payload, self._lookup(payload)))
                case ReadRequested():
                    acts.append((payload, self._read(payload)))
                case _ if type(payload).__name__ == "Reconnecting" and hasattr(self, "_reconnect"):
                    acts.append((payload, self._reconnect(payload)))
                case _:
                    pass
        return acts


class Line:
    """The wire between the process and the venue: bytes go out and come back when the run says so."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._on_frame: Callable[[bytes], None] | None = None
        self._on_line: Callable[[bool, str], None] | None = None
        self.is_up = True
        self.waiting: list[Waiting] = []

    @property
    def connection(self) -> int:
        return self._run.connection

    def listen(self, on_frame: Callable[[bytes], None], on_line: Callable[[bool, str], None]) -> None:
        self._on_frame, self._on_line = on_frame, on_line

    async def request(self, kind: str, body: bytes) -> bytes:
        if not self.is_up:
            raise ConnectFailed("the line is down")
        return await self._run.send(self, kind, body)

    def exchange(self, kind: str, body: bytes) -> bytes:
        if not self.is_up:
            raise ConnectFailed("the line is down")
        return self._run.exchange(kind, body)

    def deliver(self, body: bytes) -> None:
        if self.is_up and self._on_frame is not None:
            self._on_frame(body)

    def disconnect(self, reason: str) -> None:
        if not self.is_up:
            return
        self.is_up = False
        self._run.lose_line()
        if self._on_line is not None:
            self._on_line(False, reason)
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.end(error=AnswerLost("the line broke"))

    async def reconnect(self) -> None:
        self.connect()

    def connect(self) -> None:
        """A new connection. Raises ConnectFailed while the line is kept down."""
        if self._run.now < self._run.line_down_until:
            raise ConnectFailed("the venue is not reached")
        if not self.is_up:
            self.is_up = True
            self._run.new_connection()
            if self._on_line is not None:
                self._on_line(True, "connected")

    def close(self) -> None:
        self.is_up = False


class Process:
    """One life of the engine's process, from its start to its end."""

    def __init__(self, run: "Run", number: int) -> None:
        self.run, self.number = run, number
        self.is_dead = False
        self.is_committing = False
        self.is_catching_up = False        # with what was held while it was paused
        self.paused_until: Nanos = 0
        self._held: deque[Callable[[], None]] = deque()
        self._tick_at: Nanos = 0
        self.line = Line(run)
        self._coroutines: list[Coroutine[Any, Any, None]] = []
        self._start()

    # -- starting

    def _start(self) -> None:
        run, scene, parts = self.run, self.run.scene, self.run.parts
        run.record(Node(ts=run.now, node="engine", what="start", epoch=self.number, build="sim", config=scene.digest))
        self.opened = open_journal(run.store)
        setup = parts.setup(scene.setup)
        self.registry = Breakable(setup.registry)
        setup = dataclasses.replace(setup, registry=self.registry)
        self.signer = signer = parts.signer()
        self.engine = engine = parts.engine(setup, signer)
        self.intake = intake = parts.intake(scenes.intake(scene.name))
        parts.restore(self, engine, intake)
        scenes.warm(engine, run.begins)
        run.record(Recovered(ts=run.now, node="engine", last_seq=self.opened.journal.head[0],
                             state=run.state_before, replayed=_state(engine) if run.state_before else ""))
        run.state_before = ""
        self.inbox = Inbox()
        self.epochs = parts.epochs(kill=engine.kill_epoch, config=1, lease=lambda: run.lease_epoch)
        self.clock = Clock(run)
        accounts = scenes.accounts(scene)
        self.broker = parts.broker(self.line, setup.instruments, accounts, scene.capabilities)
        self.safe = parts.safe(
            self.broker, keys=signer.public_keys(), state_id=setup.state_id, epochs=self.epochs, now=self.clock.now,
            instruments=setup.instruments, limits={name: setup.accounts[name].limits for name in accounts},
            accounts=dict.fromkeys(accounts, AccountFacts(is_paper=True)), trip=self._trip)
        self.desk = parts.desk(
            engine=engine, intake=intake, journal=self.opened.journal, committer=None, clock=self.clock, epochs=self.epochs,
            brokers=dict.fromkeys(accounts, self.safe), inbox=self.inbox, snapshot_every=run.snapshot_every)
        desk = self.desk
        desk.on_taken = lambda message: run.record(Seen(ts=run.now, node="engine", message=message))
        if self.opened.journal.head[0] == 0:
            desk.turn(Header(scenes.STATE_ID, "paper", "wall", 1))
        desk.turn(Started("sim", "0", run.lease_epoch, signer.public_hex(), False, self.opened.cut, 0))
        if engine.begun.config is None:
            desk.turn(ConfigRead(scene.digest, scene.canonical, 1))
        for account in accounts:
            desk.turn(LineChanged(account, True, run.connection, "connected"))
        for message in engine.marks.latest():
            self.safe.on_market(message)
        self.measure()
        run.record(Node(ts=run.now, node="engine", what="ready", epoch=self.number))

    def measure(self) -> None:
        """What only the machinery can tell: how far the host's clock is off. Here it never is."""
        self.measured = self.run.now
        self.inbox.put(Reading("clock_offset", "", 0.0))

    def fold(self, engine: Engine, intake: Intake) -> None:
        """As a restart does: the last snapshot, and everything recorded since. Nothing is decided."""
        store, opened = self.run.store, self.opened
        first, row = 1, 0
        if opened.snapshot is not None and (kept := unpack(opened.snapshot.body)) is not None:
            engine.restore(kept)
            intake.restore(engine.intake_snapshot)
            first, row = opened.snapshot.seq + 1, opened.snapshot.last_row
        tape = store.tape(row)
        for raw in store.raw(first):
            payload = raw.decode().payload
            if isinstance(payload, TapeMark):
                while row < payload.last_row:
                    engine.apply(next(tape), raw.ts)
                    row += 1
                continue
            engine.apply(payload, raw.ts)
            intake.apply(payload, raw.ts)
        for message in tape:
            engine.apply(message, engine.now)

    def _trip(self, account: AccountName, why: str) -> None:
        self.inbox.put(CommandGiven(Kill(why=why, account=account), "safebroker", "limit", self.run.now))

    # -- being run

    def do(self, act: Callable[[], None]) -> None:
        """Let something happen in this process: now, or when it wakes."""
        if self.is_dead:
            return
        if self.paused_until > self.run.now or self._held:
            self._held.append(act)
            return
        act()
        self.work()

    def pause(self, length: Nanos) -> None:
        """Stop for a while, as SIGSTOP or a suspended host does."""
        run = self.run
        if self.is_dead or self.paused_until > run.now:
            return
        self.paused_until = run.now + length
        run.record(Node(ts=run.now, node="engine", what="pause", epoch=self.number))
        run.at(self.paused_until, self._resume)

    def _resume(self) -> None:
        if self.is_dead:
            return
        self.run.record(Node(ts=self.run.now, node="engine", what="resume", epoch=self.number))
        self.is_catching_up = True
        while self._held and not self.is_dead and self.paused_until <= self.run.now:
            self._held.popleft()()
        self.is_catching_up = False
        self.work()

    def work(self) -> None:
        """Turn what waits, close the batch, and ask to be woken."""
        if self.is_dead or self.is_committing or self.paused_until > self.run.now:
            return
        desk, inbox = self.desk, self.inbox
        for report in self.safe.drain():
            inbox.put(report)
        try:
            desk.take(1000)
        except InterlockError as error:
            self.exit(f"a turn broke: {error!r}")
            return
        if desk.has_open and desk.halted_by is None:
            self._begin_commit()
        self._arrange_tick()

    def _arrange_tick(self) -> None:
        wake = self.engine.next_wake()
        if wake is None or self.is_committing:
            return
        due = max(wake, self.run.now)
        if self._tick_at != due or due <= self.run.now:
            self._tick_at = due
            self.run.at(due, lambda: self.do(self._tick))

    def _tick(self) -> None:
        wake = self.engine.next_wake()
        if wake is not None and wake <= self.run.now and not self.is_committing:
            self._tick_at = 0
            self.inbox.put(Tick())

    def _begin_commit(self) -> None:
        run = self.run
        if run.point("turn.after"):
            return
        self.is_committing = True
        closing, batch = self.desk.close_batch()
        delay = run.rng_disk.randint(200_000, 12 * MILLISECOND)
        run.begin_commit()
        slow = run.take_armed("disk.slow", "commit.before")
        if slow is not None:
            delay += int(slow.args.get("ms", 500)) * MILLISECOND
        self._closing = closing
        self.on_sealed(closing)
        run.at(run.now + delay, lambda: self._gate(lambda: self._commit(closing, batch)))

    def on_sealed(self, closing: Any) -> None:
        """A batch is on its way to the disk; nothing of it may leave yet."""

    def _gate(self, act: Callable[[], None]) -> None:
        """As `do`, for what happens while a commit is under way."""
        if self.is_dead:
            return
        if self.paused_until > self.run.now or self._held:
            self._held.append(act)
        else:
            act()

    def _commit(self, closing: Any, batch: Batch) -> None:
        run = self.run
        if run.point("commit.before"):
            return
        fails = run.take_armed("disk.commit_fails", "commit.before")
        unknown = run.take_armed("disk.commit_unknown", "commit.before")
        stands = fails is None and (unknown is None or run.rng_disk.random() < 0.5)
        if stands:
            run.commit(batch)
        else:
            lost = tuple(payload for _, _, payload in closing.entries)
            run.record(Lost(ts=run.now, node="engine", payloads=lost, why="commit"))
        if fails is not None or unknown is not None:
            for reply, _ in closing.replies:
                reply.set_exception(StorageError("the journal cannot be written"))
            self.exit("the journal cannot be written")
            return
        self.is_committing = False
        for reply, answer in closing.replies:
            if not reply.done():
                reply.set_result(answer)
        if run.point("commit.after"):
            return
        self._release(closing.entries)
        self.work()

    def _release(self, entries: list[tuple[int, Nanos, Any]]) -> None:
        run, at = self.run, self.run.now
        for payload, act in self.desk.acts(entries):
            at += run.rng_disk.randint(0, run.lag)
            self._coroutines.append(act)
            run.at(at, partial(self._gate, partial(self._begin, payload, act)))

    def _begin(self, payload: Any, act: Coroutine[Any, Any, None]) -> None:
        if isinstance(payload, Attempt) and self.run.point("egress.before_write"):
            return
        if self.paused_until > self.run.now:
            self._held.append(lambda: self.resume(act))
            return
        self.resume(act)

    def resume(self, act: Coroutine[Any, Any, None]) -> None:
        """Let a coroutine go on until it waits for an answer again."""
        if self.is_dead:
            return
        try:
            waiting: Waiting = act.send(None)
        except StopIteration:
            self.work()
            return
        waiting.resume = lambda: self.run.at(self.run.now, lambda: self._gate(lambda: self.resume(act)))
        self.work()

    # -- ending

    def exit(self, why: str) -> None:
        """The process ends by itself; somebody starts it again."""
        run = self.run
        if self.is_dead:
            return
        run.record(Node(ts=run.now, node="engine", what="halted", epoch=self.number, detail=why))
        self.crash(what="exit")
        run.at(run.now + 2 * SECOND, run.start_process)

    def crash(self, *, what: str = "crash") -> None:
        """Gone: no handler runs, nothing more is written."""
        run = self.run
        if self.is_dead:
            return
        self.is_dead = True
        desk = self.desk
        open_payloads = tuple(payload for _, _, payload in desk._open.entries)
        if self.is_committing:
            open_payloads = tuple(payload for _, _, payload in self._closing.entries) + open_payloads
        run.state_before = "" if open_payloads or desk.journal.pending.rows else _state(self.engine)
        if open_payloads:
            run.record(Lost(ts=run.now, node="engine", payloads=open_payloads, why="crash"))
        self.line._on_frame = self.line._on_line = None
        self.line.is_up = False
        for act in self._coroutines:
            act.close()
        run.record(Node(ts=run.now, node="engine", what=what, epoch=self.number))
        run.lose_line()


def _state(engine: Engine) -> str:
    """A digest of what must be the same after a replay: orders and books, latches, the ledger."""
    digest = hashlib.sha256()
    for room in (engine.execution, engine.latches, engine.ledger):
        digest.update(room.snapshot())
    return digest.hexdigest()


@dataclass
class _Market:
    """A market as the plan moves it."""

    symbol: str
    ticks: int
    spread: int = 1
    size: int = 40
    is_open: bool = True
    is_halted: bool = False
    muted_until: Nanos = 0
    odd: str = ""                      # zero, minus_one, crossed, scale: what the next quotes say instead


class Run:
    """One run of one plan."""

    def __init__(self, plan: Plan, parts: Parts = SOUND, *, keeps: bool = False) -> None:
        self.plan, self.parts = plan, parts
        self.scene = scenes.scene(plan.scene)
        self.streams = Streams(plan.seed)
        self.rng_net, self.rng_disk = self.streams.of("net"), self.streams.of("disk")
        terms = self.scene.terms
        self.begins = plan.begins or scenes.MOMENTS["tuesday"]
        sessions = calendar.around(self.begins, scenes.CUT_OFF, 4 + plan.horizon // DAY)
        terms = msgspec.structs.replace(terms, sessions=sessions)
        self.terms = terms
        self.history = History(terms, begins=self.begins, keeps=keeps)
        self.court = Court(self.history, CORE)
        self.now: Nanos = self.begins
        self.steps = 0
        self._heap: list[tuple[Nanos, int, Callable[[], None]]] = []
        self._count = 0
        self._digest = hashlib.sha256()
        self.store = MemoryStore()
        self._committed_hash = bytes(32)
        self.lease_epoch = 0
        self.connection = 1
        self.line_down_until: Nanos = 0
        self._half_open_until: Nanos = 0
        self._venue_down_until: Nanos = 0
        self._last_out = self._last_in = 0
        self.state_before = ""
        self.snapshot_every = self.streams.of("snapshots").choice((20, 60, 150, 100_000))
        self.lag: Nanos = self.streams.of("lag").choice((2, 2, 2, 30, 80)) * MILLISECOND   # until a released act gets its turn
        self.venue = Venue(terms, self.record, self._push, visibility=min(plan.visibility, scenes.VISIBILITY),
                           keeps_reduce_only=plan.scene == "brackets")
        self.markets = {symbol: _Market(symbol, ticks) for symbol, ticks in scenes.BASE.items()}
        self.process: Process | None = None
        self.is_healed = False
        self.cells: dict[tuple[str, str], None] = {}
        self.marks: dict[str, int] = {}
        self.last_state = "starting"
        self._armed: dict[str, list[Fault]] = {}
        self._counts: dict[str, int] = {}
        self._by_operation: dict[tuple[str, int], list[Fault]] = {}
        self._by_point: dict[tuple[str, int], list[Fault]] = {}
        self._by_state: dict[tuple[str, int], list[Fault]] = {}
        self.people = People(self)
        self._end: Nanos = 0
        self.round_trips = 0

    # -- the scheduler

    def at(self, ts: Nanos, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (max(ts, self.now), self._count, act))

    def record(self, event: Event) -> None:
        self.history.add(event)
        self._note(event)

    def run(self) -> Result:
        plan = self.plan
        self._arrange()
        self.record(Phase(ts=self.now, what="begun"))
        self.start_process()
        self._until(self.begins + plan.horizon)
        if self.history.violation is None:
            self._heal()
            self._until(self.now + SETTLE)
        if self.history.violation is None:
            self.record(Phase(ts=self.now, what="quiet"))
            self.court.at_quiet(self.now)
        if self.process is not None and not self.process.is_dead:
            for act in self.process._coroutines:
                act.close()
        return Result(seed=plan.seed, violation=self.history.violation, witnesses=self.court.witnesses(),
                      cells=tuple(self.cells), digest=self._digest.hexdigest(), steps=self.steps,
                      round_trips=self.round_trips, marks=self.marks)

    def _until(self, end: Nanos) -> None:
        heap, court, history = self._heap, self.court, self.history
        self._end = end
        while heap and heap[0][0] <= end and history.violation is None:
            ts, _, act = heapq.heappop(heap)
            if ts > self.now:
                self.now = ts
                court.at_time(ts)
            self.steps += 1
            if self.steps > STEPS_MAX:
                history.blame("INV-30", self.now, f"no end after {STEPS_MAX} steps: something goes round in a circle")
                return
            act()
        self.now = max(self.now, end)
        court.at_time(self.now)

    def _arrange(self) -> None:
        plan = self.plan
        for fault in plan.faults:
            match fault.trigger:
                case AtTime(after=after):
                    self.at(self.begins + after, partial(self.strike, fault))
                case AtOperation(kind=kind, nth=nth):
                    self._by_operation.setdefault((kind, nth), []).append(fault)
                case AtPoint(point=point, nth=nth):
                    self._by_point.setdefault((point, nth), []).append(fault)
                case AtState(state=state, nth=nth):
                    self._by_state.setdefault((state, nth), []).append(fault)
        for work in plan.work:
            self.at(self.begins + work.at, partial(self.people.do, work))
        self.at(self.begins, self._quote_all)
        self.at(self.begins + SECOND, self._ping)
        self.at(self.begins - self.begins % MINUTE + MINUTE, self._bars)
        self.at(self.begins + RECONCILE, self._read_all)
        for opened, closed, _ in self.terms.sessions:
            for ts, is_open in ((opened, True), (closed, False)):
                if self.begins <= ts <= self.begins + plan.horizon + SETTLE:
                    self.at(ts, partial(self._session, is_open))
        is_open = any(opened <= self.begins < closed for opened, closed, _ in self.terms.sessions)
        if not is_open:
            for symbol in self.markets:
                self.markets[symbol].is_open = False
                self.venue.state(symbol, is_open=False, is_halted=False, ts=self.now)

    # -- processes

    def start_process(self) -> None:
        if self.process is not None and not self.process.is_dead:
            return
        self.lease_epoch += 1
        if self.process is not None:
            self.connection += 1
        self.record(VenueLine(ts=self.now, node="engine", accounts=self.venue.accounts, connection=self.connection, is_up=True))
        number = 1 if self.process is None else self.process.number + 1
        self.process = self.parts.process(self, number)
        self.process.work()

    def crash(self, restart: Nanos) -> None:
        if self.process is None or self.process.is_dead:
            return
        self.process.crash()
        self.at(self.now + restart, self.start_process)

    def begin_commit(self) -> None:
        self._operate("commit")

    def commit(self, batch: Batch) -> None:
        """The batch is on the disk."""
        self.store.commit(batch)
        entries = []
        for raw in records(batch.records, prev_hash=batch.prev_hash, first_seq=batch.first_seq):
            entries.append(Kept(raw.seq, raw.ts, raw.cause, raw.decode().payload))
            if not raw.is_host:
                self._digest.update(raw.payload)
        if entries:
            self.record(Durable(ts=self.now, node="engine", entries=tuple(entries)))

    # -- faults

    def _operate(self, kind: str) -> list[Fault]:
        """Count an operation; the faults that are due at it."""
        nth = self._counts[kind] = self._counts.get(kind, 0) + 1
        due = self._by_operation.get((kind, nth), [])
        armed = self._armed.pop(kind, None)
        found = []
        for fault in due:
            if kind in VERBS[fault.verb].at:
                found.append(fault)
            else:
                self.at(self.now, partial(self.strike, fault))
        if armed:
            found.extend(armed)
        return [] if self.is_healed else found

    def point(self, name: str) -> bool:
        """Pass a named point. True when the process did not survive it, or what was to follow has been put off."""
        nth = self._counts[name] = self._counts.get(name, 0) + 1
        due = list(self._by_point.get((name, nth), ()))
        armed = self._armed.pop(name, [])
        for fault in (*due, *armed):
            if VERBS[fault.verb].name.startswith("disk."):
                self._armed.setdefault(f"{fault.verb}@{name}", []).append(fault)
            else:
                self.strike(fault)
        return self.process is None or self.process.is_dead

    def take_armed(self, verb: str, where: str) -> Fault | None:
        """A fault of this kind that waits for this place."""
        waiting = self._armed.get(f"{verb}@{where}")
        if not waiting or self.is_healed:
            return None
        fault = waiting.pop(0)
        self._struck(fault)
        return fault

    def _struck(self, fault: Fault, what: str = "") -> None:
        state = fault.trigger.state if isinstance(fault.trigger, AtState) else self.last_state
        self.cells[state, fault.verb] = None
        self.history.add(FaultDone(ts=self.now, verb=fault.verb, state=state, what=what))

    def strike(self, fault: Fault) -> None:
        """Do it now, or at the next operation of the kind that it needs."""
        if self.is_healed:
            return
        verb = VERBS[fault.verb]
        if "" in verb.at or fault.verb.startswith(("proc.", "ops.")):
            self._struck(fault)
            self._act(fault)
            return
        place = verb.at[0]
        if isinstance(fault.trigger, AtOperation) and fault.trigger.kind in verb.at:
            place = fault.trigger.kind
        if fault.verb.startswith("disk."):
            self._armed.setdefault(f"{fault.verb}@{place}", []).append(fault)
        else:
            self._armed.setdefault(place, []).append(fault)

    def _hit(self, fault: Fault) -> None:
        self._struck(fault)
        self._act(fault)

    def _act(self, fault: Fault) -> None:
        args, process = fault.args, self.process
        length = int(args.get("ms", 1_000)) * MILLISECOND
        account = str(args.get("account", "alfa"))
        symbol = str(args.get("symbol", "MES"))
        match fault.verb:
            case "proc.kill9":
                self.crash(length)
            case "proc.pause":
                if process is not None:
                    process.pause(length)
            case "ops.kill":
                self.people.kill(args)
            case "ops.manual_trade":
                self.venue.trade_by_hand(account, symbol, Fraction(int(args.get("lots", 1))), self.now)
            case "ops.cancel_stop":
                self.venue.cancel_stop_by_hand(account, self.now)
            case "ops.move_stop":
                step = int(args.get("ticks", 4)) * self.terms.contracts[symbol].tick
                self.venue.move_stop_by_hand(account, step, self.now)
            case "net.reset" | "net.partition":
                self.line_down_until = self.now + length
                if process is not None and not process.is_dead:
                    line = process.line
                    process.do(lambda: line.disconnect("reset"))
            case "broker.expire_tif":
                self.venue.expire(symbol, every=True)
            case "broker.liquidate":
                self.venue.liquidate(account, self.now)
            case "broker.halt":
                self._halt(symbol, True)
                self.at(self.now + length, lambda: self._halt(symbol, False))
            case "broker.replay":
                self.venue.replay(account, self.now)
            case "broker.shrink_stop":
                self.venue.shrink_stop(account, self.now)
            case "broker.reject_stop":
                self.venue.rejects_stops = int(args.get("times", 1))
            case "broker.same_exec_id":
                self.venue.repeat_execution_id()
            case "broker.id_rollback":
                self.venue.roll_back_ids(3)
            case "broker.restart":
                self._venue_down_until = self.now + length
                self.line_down_until = self.now + length
                if process is not None and not process.is_dead:
                    process.do(lambda: process.line.disconnect("the venue restarts"))
            case "feed.stall":
                self.markets[symbol].muted_until = self.now + length
            case "feed.zero" | "feed.minus_one" | "feed.crossed" | "feed.scale" | "feed.out_of_order":
                self.markets[symbol].odd = fault.verb[5:]
                self._quote(symbol)
            case "feed.gap":
                self.markets[symbol].ticks += int(args.get("ticks", 20))
                self._quote(symbol)
            case "feed.wide":
                self.markets[symbol].spread = int(args.get("ticks", 6))
                self._quote(symbol)
            case "feed.thin":
                self.markets[symbol].size = 0
                self._quote(symbol)
            case "gate.raise" | "gate.none":
                if process is not None and not process.is_dead:
                    self._break_check(process, fault.verb, int(args.get("check", 0)), length)
            case "signal.replay":
                self.people.replay_alerts()
            case _:
                raise KeyError(f"the core knows no way to {fault.verb}")

    def _break_check(self, process: Process, how: str, index: int, length: Nanos) -> None:
        names = self.terms.checks["enter|alerts"]
        name = names[index % len(names)]
        process.registry.broken[name] = how
        self.history.add(FaultDone(ts=self.now, verb=how, state=self.last_state, what=name))

        def mend() -> None:
            process.registry.broken.pop(name, None)
            self.history.add(FaultDone(ts=self.now, verb="gate.mended", what=name))

        self.at(self.now + length, mend)

    def _heal(self) -> None:
        """Everything that was broken is whole, and people come back to their desks."""
        self.is_healed = True
        self.line_down_until = self._half_open_until = self._venue_down_until = 0
        self.venue.is_dumb, self.venue.rejects_stops = False, 0
        for market in self.markets.values():
            market.muted_until, market.odd, market.spread, market.size = 0, "", 1, 40
            if market.is_halted:
                self._halt(market.symbol, False)
        self.record(Phase(ts=self.now, what="healed"))
        if self.process is None or self.process.is_dead:
            self.start_process()
        self.people.come_back()

    # -- the wire

    def _latency(self) -> Nanos:
        low, high = self.plan.latency
        return self.rng_net.randint(low, high)

    def send(self, line: Line, kind: str, body: bytes) -> Waiting:
        """Bytes leave now. They arrive, or not, later; so does the answer."""
        waiting = Waiting(self.connection)
        faults = {fault.verb: fault for fault in self._operate(f"wire.{kind}")}
        for fault in faults.values():
            self._struck(fault, kind)
        if "net.half_open" in faults:
            self._half_open_until = self.now + int(faults["net.half_open"].args["ms"]) * MILLISECOND
            self.at(self._half_open_until, lambda: self._drop_line(line, "the line was dead"))
        is_dead = "net.drop_request" in faults or self.now < self._half_open_until or self.now < self._venue_down_until
        is_throttled = "broker.throttle" in faults
        self._wire("out", kind, body, arrived=not is_dead)
        line.waiting.append(waiting)
        self.at(self.now + ANSWER, lambda: self._give_up(line, waiting))
        if is_dead:
            return waiting
        delay = self._latency()
        if "net.latency" in faults:
            delay += int(faults["net.latency"].args["ms"]) * MILLISECOND
        due = self._last_out = max(self.now + delay, self._last_out + 1)
        if "net.reset" in faults:
            self.line_down_until = self.now + int(faults["net.reset"].args["ms"]) * MILLISECOND
            self.at(due + (1 if self.rng_net.random() < 0.5 else -1), lambda: self._drop_line(line, "reset"))
        args = {verb: _arguments(fault) for verb, fault in faults.items()}
        connection = self.connection
        self.at(due, lambda: self._arrive(line, waiting, kind, body, args, connection, is_throttled=is_throttled))
        return waiting

    def _arrive(self, line: Line, waiting: Waiting, kind: str, body: bytes, faults: dict[str, dict[str, Any]], connection: int,
                *, is_throttled: bool) -> None:
        if connection != self.connection or self.now < self._venue_down_until or not line.is_up:
            return
        if is_throttled or "broker.failed_read" in faults:
            answer = b'{"is":"failed","reason":"429 too many requests","ts":%d}' % self.now
        else:
            answer = self.venue.handle(kind, body, self.now, faults)
        if kind == "place" and self.point("egress.after_write"):
            return
        if "net.drop_response" in faults or "broker.never_answer" in faults:
            return
        if "net.status" in faults:
            answer = b'{"is":"failed","reason":"502 bad gateway","ts":%d}' % self.now
        elif "net.slice" in faults:
            answer = answer[:len(answer) // 2]
        elif "net.garbage" in faults or "broker.unknown_enum" in faults:
            answer = b'{"is":"maintenance","ts":0}' if "broker.unknown_enum" in faults else b"<html>"
        due = self.now + self._latency()
        self.at(due, lambda: self._answered(line, waiting, kind, answer, connection))

    def _answered(self, line: Line, waiting: Waiting, kind: str, answer: bytes, connection: int) -> None:
        process = self.process
        if process is None or process.is_dead or process.line is not line or connection != self.connection or not line.is_up:
            return
        if waiting in line.waiting:
            line.waiting.remove(waiting)
            self._wire("in", kind, answer, is_answer=True)
            waiting.end(answer)

    def _give_up(self, line: Line, waiting: Waiting) -> None:
        if waiting in line.waiting:
            line.waiting.remove(waiting)
            waiting.end(error=AnswerLost("no answer"))

    def _drop_line(self, line: Line, reason: str) -> None:
        process = self.process
        if process is not None and process.line is line:
            process.do(lambda: line.disconnect(reason))

    def exchange(self, kind: str, body: bytes) -> bytes:
        """A request whose answer comes at once: a ping."""
        if self.now < max(self._half_open_until, self._venue_down_until):
            raise AnswerLost("no answer")
        return self.venue.handle(kind, body, self.now)

    def lose_line(self) -> None:
        self.record(VenueLine(ts=self.now, node="engine", accounts=self.venue.accounts, connection=self.connection, is_up=False))

    def new_connection(self) -> None:
        self.connection += 1
        self.record(VenueLine(ts=self.now, node="engine", accounts=self.venue.accounts, connection=self.connection, is_up=True))

    def _push(self, kind: str, _account: str, body: bytes) -> None:
        """A report of the venue sets out for the process that is connected."""
        connection = self.connection
        delays = [self._latency()]
        ordered = True
        for fault in self._operate(f"report.{kind}"):
            args = fault.args
            if fault.verb == "broker.reject_stop" or fault.verb.startswith(("ops.", "proc.")) or \
                    fault.verb in ("broker.shrink_stop", "broker.same_exec_id", "feed.gap"):
                self.at(self.now, partial(self._hit, fault))
                continue
            self._struck(fault, kind)
            if fault.verb == "net.drop_frame":
                delays = []
            elif fault.verb == "net.duplicate":
                delays += [delays[0] + (each + 1) * int(args["ms"]) * MILLISECOND for each in range(int(args["times"]))] \
                    if delays else []
                ordered = False
            elif fault.verb in ("net.latency", "net.reorder"):
                delays = [delay + int(args["ms"]) * MILLISECOND for delay in delays]
                ordered = False
        for delay in delays:
            due = self.now + delay
            if ordered:
                due = self._last_in = max(due, self._last_in + 1)
            self.at(due, lambda: self._deliver(body, connection))

    def _deliver(self, body: bytes, connection: int) -> None:
        process = self.process
        if process is None or process.is_dead or connection != self.connection or not process.line.is_up \
                or self.now < self._half_open_until:
            return
        process.do(lambda: self._hear(process, body))

    def _hear(self, process: Process, body: bytes) -> None:
        if process.line.is_up:
            self._wire("in", "report", body)
            process.line.deliver(body)

    def _wire(self, direction: str, kind: str, body: bytes, *, is_answer: bool = False, arrived: bool = True) -> None:
        process = self.process
        self._digest.update(b"%d %s %s %s\n" % (self.now, direction.encode(), kind.encode(), body))
        self.record(Wire(ts=self.now, node="engine", direction=direction, kind=kind, account="", body=body,
                         connection=self.connection, is_answer=is_answer, arrived=arrived,
                         epoch=0 if process is None else process.number))

    # -- the market and the machinery

    def _session(self, is_open: bool) -> None:
        for market in self.markets.values():
            market.is_open = is_open
            self._tell_state(market)

    def _halt(self, symbol: str, is_halted: bool) -> None:
        self.markets[symbol].is_halted = is_halted
        self._tell_state(self.markets[symbol])

    def _tell_state(self, market: _Market) -> None:
        self.venue.state(market.symbol, is_open=market.is_open, is_halted=market.is_halted, ts=self.now)
        state = MarketState(market.symbol, market.is_open, market.is_halted, self.now, self.now)
        self._feed(state)

    def _quote_all(self) -> None:
        for symbol in self.markets:
            self._quote(symbol)
        self.at(self.now + (2 * SECOND if self.is_healed else SECOND), self._quote_all)

    def _quote(self, symbol: str) -> None:
        market, contract = self.markets[symbol], self.terms.contracts[symbol]
        if not market.is_open or market.is_halted:
            return
        bid, ask, size = market.ticks, market.ticks + market.spread, market.size
        self.venue.quote(symbol, bid * contract.tick, ask * contract.tick, size, size, self.now)
        if self.now < market.muted_until:
            return
        ts = self.now
        match market.odd:
            case "zero":
                bid = ask = 0
            case "minus_one":
                bid = ask = -1
            case "crossed":
                bid, ask = ask + 4, bid
            case "scale":
                bid, ask = bid * 100, ask * 100
            case "out_of_order":
                ts -= 5 * SECOND
            case _:
                pass
        market.odd = ""
        self._feed(Quote(symbol, bid, ask, size, size, ts, ts, Provenance.SIMULATED))

    def _bars(self) -> None:
        for symbol, market in self.markets.items():
            if market.is_open and not market.is_halted:
                self._feed(scenes.bar(symbol, self.now - MINUTE, market.ticks))
        self.at(self.now + MINUTE, self._bars)

    def _feed(self, message: Quote | MarketState | Bar) -> None:
        process = self.process
        if process is not None and not process.is_dead:
            process.do(lambda: self._see(process, message))

    def _see(self, process: Process, message: Quote | MarketState | Bar) -> None:
        process.safe.on_market(message)
        process.inbox.put(message)
        if process.is_catching_up:             # else it is taken in at once, or before anything can leave
            self.record(Seen(ts=self.now, node="engine", message=message, is_taken=False))

    def _ping(self) -> None:
        process = self.process
        if process is not None and not process.is_dead:
            process.do(lambda: self._prove(process))
        self.at(self.now + PING, self._ping)

    def _prove(self, process: Process) -> None:
        for proof in process.broker.ping(self.now):
            process.inbox.put(proof)
        if self.now >= process.measured + CLOCK:
            process.measure()

    def _read_all(self) -> None:
        process = self.process
        if process is not None and not process.is_dead:
            def ask() -> None:
                for account in self.scene.setup.accounts:
                    process.inbox.put(ReadRequested(account, "every reconcile"))
            process.do(ask)
        self.at(self.now + RECONCILE, self._read_all)

    # -- states, for the matrix and for faults that wait for one

    def _note(self, event: Event) -> None:
        kind = type(event)
        if kind is VenueOrder:
            name = _ORDER_EVENTS.get(event.what)  # type: ignore[attr-defined]
            if name is not None:
                self._enter("protected" if name == "working" and event.what == "live" else name)  # type: ignore[attr-defined]
            self._digest.update(f"{event.ts} {event.id} {event.what}\n".encode())  # type: ignore[attr-defined]
        elif kind is VenueFill:
            self._digest.update(f"{event.ts} {event.execution} {event.quantity} {event.price}\n".encode())  # type: ignore[attr-defined]
            self._on_fill(event)  # type: ignore[arg-type]
        elif kind is Wire:
            if event.direction == "out":  # type: ignore[attr-defined]
                name = {"place": "written", "cancel": "cancel_pending", "modify": "modify_pending", "read": "reconciling"
                        }.get(event.kind)  # type: ignore[attr-defined]
                if name is not None:
                    self._enter(name)
        elif kind is Durable:
            for kept in event.entries:  # type: ignore[attr-defined]
                name = _ENTRY_STATES.get(type(kept.payload).__name__)
                if name is not None:
                    self._enter(name)
        elif kind is Node:
            if event.what == "start":  # type: ignore[attr-defined]
                self._enter("starting")
        elif kind is VenueLine and not event.is_up:  # type: ignore[attr-defined]
            self._enter("disconnected")

    def _on_fill(self, fill: VenueFill) -> None:
        order = self.court.facts.book.get((fill.account, fill.id))
        held = self.court.facts.positions.get((fill.account, fill.symbol), Fraction(0))
        if order is not None and order.role == "enter":
            self._enter("filled_unprotected" if order.remaining <= 0 else "partial")
        elif held == 0:
            self.round_trips += 1

    def _enter(self, state: str) -> None:
        self.last_state = state
        nth = self._counts[f"state {state}"] = self._counts.get(f"state {state}", 0) + 1
        self.marks[state] = self.marks.get(state, 0) + 1
        for fault in self._by_state.get((state, nth), ()):
            self.at(self.now, partial(self.strike, fault))


_ORDER_EVENTS: Final[Mapping[str, str]] = {
    "accepted": "acknowledged", "live": "protected", "cancelled": "closed", "expired": "closed", "rejected": "closed",
    "filled": "closed", "replaced": "closed"}
_ENTRY_STATES: Final[Mapping[str, str]] = {
    "Intent": "intent", "Clearance": "cleared", "OrderAccepted": "working", "WriteUnknown": "unknown", "ExitBegun": "exiting",
    "Killed": "killed", "AccountRead": "trading", "QuestionOpened": "drift_open", "FlattenBegun": "flattening"}


def _arguments(fault: Fault) -> dict[str, Any]:
    """A fault's arguments as the venue takes them: milliseconds as nanoseconds."""
    args: dict[str, Any] = dict(fault.args)
    if "ms" in args:
        args["ns"] = int(args["ms"]) * MILLISECOND
    return args


def run(plan: Plan, parts: Parts = SOUND) -> Result:
    """One run of a plan in the core simulator."""
    return Run(plan, parts).run()


assert set(scenes.BASE) <= set(INSTRUMENTS)
