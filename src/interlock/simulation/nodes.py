"""Simulated processes: the product's own wiring on a simulated disk, clock and network, started, killed, paused and stopped.

What runs in here is what `interlock run` runs: `build_desk` on the wall-clock path, with a task for every act, its driver, inbox
and doors, the hook's ASGI app, the socket transport. Exchanged are the store and its writer thread, the lease's files, the
clock's source and the socket. Web servers, the page and the control socket are not part of it.
"""

import asyncio
import dataclasses
import hashlib
import json
import socket as sockets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from interlock.brokers.paper.remote import RemotePaper, SocketBroker
from interlock.brokers.paper.socket import SocketLine
from interlock.config.schema import Config
from interlock.engine.setup import Setup
from interlock.engine.step import Engine, unpack
from interlock.errors import InterlockError, JournalDamaged, LeaseHeld, StorageError
from interlock.intake.hook import Hook
from interlock.intake.secret_book import SecretBook
from interlock.model.command import Command, ConfirmAccount
from interlock.model.entry import records
from interlock.model.ids import AccountName, LaneName
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Bar, MarketState, Quote, Trade
from interlock.model.money import MINUTE, Nanos
from interlock.model.record import Header, RecordVerified, TapeMark
from interlock.ports import Batch, Capabilities
from interlock.runtime.clock import Clock as AnyClock
from interlock.runtime.clock import WallClock
from interlock.runtime.connect import Venue
from interlock.runtime.heartbeat import Heartbeat
from interlock.runtime.inbox import AlertDoor, CommandDoor
from interlock.runtime.live import LiveDoor
from interlock.runtime.slow import SlowChecks
from interlock.runtime.wiring import Built, Place, build_desk
from interlock.simulation import core, scenes
from interlock.simulation.disk import SimLease, SimStore
from interlock.simulation.history import Beat, Durable, Kept, Lost, Node, Opened, Recovered, Seen, Task
from interlock.simulation.loop import Owner, owned
from interlock.simulation.net import Net, SimSocket
from interlock.storage.committer import Committer
from interlock.storage.journal import open_journal, verify
from interlock.storage.lease import RENEW_EVERY

if TYPE_CHECKING:
    from interlock.simulation.world import World

MarketMessage = Quote | Trade | MarketState | Bar
NEVER: Final[Nanos] = 1 << 62
ADDRESSES: Final = (("127.0.0.1", 8750), ("127.0.0.1", 8751))
BUSY: Final[Nanos] = 5_000_000_000
"""How long the journal's writer waits for a file that another program holds, as the product's own does."""
STOP: Final[Nanos] = 20_000_000_000
"""Within which a process that was asked to stop must have ended."""


class SimCommitter(Committer):
    """The product's committer without its thread: a batch is written at a seeded moment, and told at the next step."""

    def __init__(self, store: SimStore, node: "Engines") -> None:
        super().__init__(store)
        self._node = node
        self.waiting: list[Batch] = []

    async def commit(self, batch: Batch) -> None:
        async with self._room:
            self._refuse_after_failure()
            loop, world = asyncio.get_running_loop(), self._node.world
            world.begin_commit()
            if world.point("turn.after"):
                await loop.create_future()         # the process did not live to see it
            done: asyncio.Future[None] = loop.create_future()
            self.waiting.append(batch)
            world.loop.call_in(world.commit_delay(), self._begin, batch, done)
            await done

    def _begin(self, batch: Batch, done: "asyncio.Future[None]") -> None:
        world = self._node.world
        if not world.point("commit.before"):
            world.loop.call_in(min(world.locked_for(), BUSY), self._work, batch, done)

    def _work(self, batch: Batch, done: "asyncio.Future[None]") -> None:
        world = self._node.world
        failure = world.commit_fault()
        error = self._try(batch) if not world.locked_for() else self._give_up()
        if error is None:
            self._node.note_durable()
            if failure == "answer lost":           # it stands, and nobody says so
                self.failure = "the answer of the disk was lost"
                error = StorageError(self.failure)
        self.waiting.remove(batch)
        if error is None and world.point("commit.after"):
            return
        world.loop.call_soon(self._end, done, error)

    def _give_up(self) -> StorageError:
        self.failure = f"another program held the file for {BUSY / 1e9:.0f} s"
        return StorageError(self.failure)

    def _end(self, done: "asyncio.Future[None]", error: StorageError | None) -> None:
        if not done.done():
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

    def commit_now(self, batch: Batch) -> None:
        super().commit_now(batch)
        self._node.note_durable()

    def close(self) -> None:
        self.failure = self.failure or "the journal's writer was closed"


@dataclass(frozen=True)
class SimPlace(Place):
    """A state directory on a simulated disk."""

    node: Any = None

    def build(self) -> str:
        build: str = self.node.build
        return build

    def committer(self) -> Committer:
        return SimCommitter(cast(SimStore, self.store), self.node)

    def heartbeat(self) -> Heartbeat | None:
        node: Engines = self.node
        return Heartbeat(cast(Any, self.lease), node.beat, boot=node.world.wiring.boot(node.world), wall=node.world.wall)


class Feed:
    """What a process is told of the market: a queue that the network fills."""

    def __init__(self, node: "Engines") -> None:
        self.name, self.rows = "simulated", 0
        self.waiting: deque[MarketMessage] = deque()
        self._node = node

    def peek(self) -> Nanos | None:
        return 0 if self.waiting else NEVER

    def take(self) -> MarketMessage:
        message = self.waiting.popleft()
        self.rows += 1
        world = self._node.world
        world.record(Seen(ts=world.now, node=self._node.name, message=message))
        return message

    def share(self) -> float:
        return 0.0


class FeedMarket:
    """The market as the wiring asks for it."""

    name, provenance, is_simulated, digest = "simulated", "simulated", False, ""

    def __init__(self, feed: Feed) -> None:
        self.dropped: dict[str, int] = {}
        self.fed = tuple((symbol, MINUTE) for symbol in scenes.BASE)
        self._feed = feed

    def source(self, _: int) -> Any:
        return self._feed


class SimLine(SocketLine):
    """The product's socket transport over a simulated socket."""

    def __init__(self, net: Net, address: tuple[str, int], **options: Any) -> None:
        super().__init__(*address, "trade", monotonic=net.loop.time, **options)
        self._net = net

    def _make(self) -> sockets.socket:
        return cast(sockets.socket, SimSocket(self._net))


class Broke(RuntimeError):
    """A task of a process broke, as a plan wanted it."""


class SimRemote(RemotePaper):
    """The product's remote venue, with its line over the simulated network."""

    def __init__(self, net: Net, address: tuple[str, int], setup: Setup, accounts: tuple[AccountName, ...],
                 capabilities: Capabilities, wake: Callable[[], None], *, is_live_expected: bool) -> None:
        self.accounts = accounts
        self._is_live_expected = is_live_expected
        self.line = SimLine(net, address, check=self._check)
        table = {symbol: setup.instruments[symbol] for symbol in scenes.BASE}
        self.broker = SocketBroker(self.line, table, accounts, capabilities, None, wake)
        self.is_broken = False
        self.ping = self._ping

    def _ping(self, ts: Nanos) -> list[Any]:
        if self.is_broken:
            raise Broke("a task broke by plan")
        return self.broker.ping(ts)


class Narrow:
    """Stands before a SafeBroker and lets things happen between a durable attempt and its checks and write."""

    def __init__(self, safe: Any, node: "Engines") -> None:
        self._safe, self._node = safe, node

    async def place(self, order: Any, clearance: Any) -> None:
        world = self._node.world
        if world.point("egress.before_write"):
            await asyncio.get_running_loop().create_future()
        if world.has_struck:                       # what was ordered for this point happens first
            await asyncio.sleep(0.08)
        await self._safe.place(order, clearance)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._safe, name)


class Engines:
    """One life of an engine's process, from its start to its end, with the interface that the core's has."""

    def __init__(self, world: "World", number: int, *, name: str = "engine") -> None:
        self.world, self.number, self.name = world, number, name
        self.owner = Owner(name, number)
        self.built: Built | None = None
        self.store: SimStore | None = None
        self.lease: SimLease | None = None
        self.feed = Feed(self)
        self.hook: Hook | None = None
        self.has_ended = False
        self.was_asked_to_stop = False
        self.driving: asyncio.Task[None] | None = None
        self._clock = WallClock(wall=world.wall, boot=lambda: world.loop.ns)
        self.build, self.loaded, self.start_of, self.has_paper_record = world.next_start()
        with owned(self.owner):
            self.task = world.loop.create_task(self._live())

    # -- what the core's people and faults ask of a process

    @property
    def is_dead(self) -> bool:
        return self.owner.is_dead or self.has_ended

    @property
    def is_ready(self) -> bool:
        return self.built is not None and not self.is_dead

    @property
    def engine(self) -> Engine:
        assert self.built is not None
        return self.built.engine

    @property
    def inbox(self) -> Any:
        assert self.built is not None
        return self.built.desk.inbox

    @property
    def line(self) -> Any:
        """The line to the venue; of several the first that is down."""
        assert self.built is not None
        lines = [cast(SimRemote, venue).line for venue in self.built.venues]
        return next((line for line in lines if not line.is_up), lines[0])

    @property
    def clock_now(self) -> Nanos:
        """What the clock of this process said when the process last looked."""
        return self._clock._now

    def do(self, act: Callable[[], None]) -> None:
        """Let something happen in this process, when it next runs."""
        if not self.is_dead:
            with owned(self.owner):
                self.world.loop.call_soon(act)

    def start(self, work: Any) -> None:
        """Start a task of this process."""
        with owned(self.owner):
            self.world.loop.create_task(work)

    def _note(self, what: str, detail: str = "") -> None:
        world = self.world
        world.record(Node(ts=world.now, node=self.name, what=what, epoch=self.number, build=self.build,
                          config=self.loaded.digest, detail=detail))

    # -- its life

    async def _live(self) -> None:
        world, start = self.world, self.start_of
        world.record(Opened(ts=world.now, node=self.name, epoch=self.number, mode=self.loaded.config.desk.mode, who=start.who,
                            where=start.where, phrase=start.phrase or "", wants_watch=start.wants_watch,
                            approved=start.approved))
        self._note("start")
        try:
            self.lease = lease = world.wiring.lease(SimLease.take(
                world.disk, self.owner, self.name, world.wiring.boot(world), is_fenced=lambda: self.owner.is_dead))
        except LeaseHeld as error:
            self._end(f"the lease is held: {error}")
            return
        except StorageError as error:
            self._end(f"no lease: {error}")
            return
        try:
            built = self._build()
        except (JournalDamaged, StorageError, InterlockError) as error:
            world.record(Recovered(ts=world.now, node=self.name, last_seq=0, refused=str(error)))
            world.disk.process_ends(self.owner)
            self._end(f"it refuses to start: {error}", is_refused=isinstance(error, JournalDamaged))
            return
        await self._serve(built, lease)

    def _build(self) -> Built:
        world, scene = self.world, self.world.scene
        if world.point("restart.folding"):
            raise StorageError("the process is gone")
        if world.locked_for():
            raise StorageError("the journal is held by another program")
        if self.has_paper_record:
            self._build_on_paper()
        self.store = store = world.wiring.store(world.disk, lambda: self.owner.is_dead)
        opened = open_journal(store)
        if opened.journal.head[0] == 0:
            opened.journal.append(self._clock.now(), Header(scenes.STATE_ID, self.loaded.config.desk.mode, "wall", 1))
            store.commit(opened.journal.seal())
        last_seq = store.head()[0]
        self.note_durable()
        place = SimPlace(None, store, cast(Any, self.lease), None, node=self)
        built = build_desk(self.loaded, place, self._clock, FeedMarket(self.feed), ends_with_market=False,
                           snapshot_every=world.snapshot_every, connect=self._connect, start=self.start_of)
        scenes.warm(built.engine, world.warm_since())
        built.engine.watch = SlowChecks(built.desk.inbox.put, now=lambda: world.loop.ns)
        state, at = world.state_before, world.state_seq
        world.record(Recovered(ts=world.now, node=self.name, last_seq=last_seq, state=state if at == last_seq else "",
                               replayed=folded(store, scene, last_seq) if state and at == last_seq else ""))
        world.state_before = ""
        self.registry = core.Breakable(built.engine.setup.registry)
        built.engine.setup = dataclasses.replace(built.engine.setup, registry=self.registry)
        brokers = {account: Narrow(safe, self) for account, safe in built.desk._brokers.items()}
        built.desk._brokers = cast(Any, brokers)
        secrets = {LaneName(lane): (f"token-{lane}", f"secret-{lane}") for lane in scene.loaded.config.lanes}
        self.hook = Hook(SecretBook(b"local" * 7, secrets), AlertDoor(built.desk.inbox).submit, self._clock.now)
        self.built = built
        world.wiring.after_build(self, built)
        return built

    def _connect(  # the line is all that a desk of the world needs
            self, config: Config, setup: Setup, directory: Path | None, clock: AnyClock,  # noqa: ARG002
            wake: Callable[[], None]) -> list[Venue]:
        scene = self.world.scene
        return [SimRemote(self.world.net, address, setup, tuple(map(AccountName, names)), scene.capabilities, wake,
                          is_live_expected=config.desk.mode == "live")
                for address, (_, names) in zip(ADDRESSES, scene.venues, strict=False)]

    def _build_on_paper(self) -> None:
        """Started on a state directory that was begun in the other mode. It raises ConfigError, or somebody trades on it."""
        world = self.world
        name = "other.log"
        store = SimStore(world.disk, name=name, is_fenced=lambda: self.owner.is_dead)
        opened = open_journal(store)
        if opened.journal.head[0] == 0:
            other = "paper" if self.loaded.config.desk.mode == "live" else "live"
            opened.journal.append(self._clock.now(), Header("another-desk", other, "wall", 1))
            store.commit(opened.journal.seal())
        place = SimPlace(None, store, cast(Any, self.lease), None, node=self)
        build_desk(self.loaded, place, self._clock, FeedMarket(self.feed), ends_with_market=False, connect=self._connect,
                   start=self.start_of)

    async def _serve(self, built: Built, lease: SimLease) -> None:
        """As the service does: the lease is kept, the desk is driven, the first failure of either ends both."""
        loop, world = self.world.loop, self.world
        renewing = loop.create_task(self._keep_lease(built.driver.heartbeat))
        driving = self.driving = loop.create_task(built.driver.run())
        if built.unverified and self.store is not None:
            loop.run_in_executor(None, self._verify_older, built)
        world.wiring.beside(self, built)
        self._note("ready")
        world.point("restart.ready")
        why = "it was asked to stop"
        await asyncio.wait({renewing, driving}, return_when=asyncio.FIRST_COMPLETED)
        for task in (driving, renewing):
            error = task.exception() if task.done() and not task.cancelled() else None
            if error is not None:
                why = f"{type(error).__name__}: {error}"
                if not isinstance(error, InterlockError | Broke):
                    world.record(Task(ts=world.now, node=self.name, name="driver" if task is driving else "lease", what="died",
                                      detail=why))
                break
        for task in (driving, renewing):
            task.cancel()
        await asyncio.gather(driving, renewing, return_exceptions=True)
        try:
            built.close(why)
        except InterlockError as error:
            why = f"{why}; and at its end: {error}"
        self._remember()
        try:
            lease.release()
        except StorageError as error:
            why = f"{why}; and the lease: {error}"
        assert self.store is not None
        self.store.close()
        world.disk.process_ends(self.owner)
        self._end(why)

    async def _keep_lease(self, heartbeat: Heartbeat | None) -> None:
        """As the service does until the decision loop runs; from then on its own beats keep the lease."""
        while heartbeat is not None and not heartbeat.has_begun:
            heartbeat.start()
            await asyncio.sleep(RENEW_EVERY / 1e9)
        await asyncio.get_running_loop().create_future()

    def beat(self, body: bytes) -> None:
        """The heartbeat's file is written; whoever watches it from outside has seen it."""
        world = self.world
        if self.owner.is_dead:
            raise StorageError("the process is gone")
        try:
            world.disk.replace("heartbeat.json", body)
        except OSError as error:
            raise StorageError(f"heartbeat.json cannot be written: {error.strerror}") from error
        found = json.loads(body)
        world.record(Beat(ts=world.now, node=self.name, epoch=self.number, number=int(found["seq"])))

    def _verify_older(self, built: Built) -> None:
        """As the service does: the part of the record before the snapshot is read beside, and entries wait for it."""
        assert self.store is not None
        found = verify(self.store)
        if found.ok:
            built.desk.inbox.put(RecordVerified(found.entries))

    def note_durable(self) -> None:
        """Tell the history which entries the disk holds for good: what a sync has covered, whatever was answered."""
        assert self.store is not None
        world = self.world
        seq = world.durable_seq()
        if seq <= world.told_seq:
            return
        entries = []
        for batch in self.store.since(world.told_seq):
            for raw in records(batch.records, prev_hash=batch.prev_hash, first_seq=batch.first_seq):
                if world.told_seq < raw.seq <= seq:
                    entries.append(Kept(raw.seq, raw.ts, raw.cause, raw.decode().payload))
                    world.digest_entry(raw)
        world.told_seq = seq
        if entries:
            world.record(Durable(ts=world.now, node="engine", entries=tuple(entries)))

    def _end(self, why: str, *, is_refused: bool = False) -> None:
        self.has_ended = True
        world = self.world
        if is_refused:
            self._note("refused", why)
        elif self.was_asked_to_stop and why == "it was asked to stop":
            self._note("exit", why)
        else:
            self._note("halted", why)
            self._lose("commit")
            self._note("exit", why)
        world.net.drop_process(self.owner)
        world.loop.kill(self.owner)
        world.process_ended(self, is_refused=is_refused)

    def _lose(self, why: str) -> None:
        """What was made and never became durable."""
        built = self.built
        if built is None:
            return
        world = self.world
        durable = world.told_seq
        payloads = [payload for seq, _, payload in built.desk._open.entries if seq > durable]
        for batch in cast(SimCommitter, built.committer).waiting:
            payloads[:0] = [raw.decode().payload for raw in records(
                batch.records, prev_hash=batch.prev_hash, first_seq=batch.first_seq) if raw.seq > durable]
        if payloads:
            world.record(Lost(ts=world.now, node=self.name, payloads=tuple(payloads), why=why))

    # -- what is done to it

    def crash(self, *, is_power_cut: bool = False) -> None:
        """SIGKILL, or the machine's power: no handler runs, its ports are fenced, its connections close."""
        if self.is_dead:
            return
        world = self.world
        self._remember()
        world.loop.kill(self.owner)
        world.net.drop_process(self.owner)
        world.disk.process_ends(self.owner)
        if is_power_cut:
            world.disk.crash()
        self._lose("crash")
        self._note("crash", "power" if is_power_cut else "kill")

    def _remember(self) -> None:
        """The live state, where it stands on the record alone: a fold of the record must come to the same."""
        if self.built is None or self.store is None:
            return
        journal = self.built.desk.journal
        if not journal.pending.entries and not journal.pending.rows and journal.head[0] == self.store.head()[0]:
            self.world.state_before, self.world.state_seq = state_of(self.built.engine), journal.head[0]

    def pause(self, length: Nanos, what: str = "pause") -> None:
        """SIGSTOP, a suspended host, a collection that takes long."""
        if self.is_dead or self.owner.is_paused:
            return
        self._note(what)
        self.world.loop.pause(self.owner)
        self.world.at(self.world.now + length, self._resume)

    def hang(self, length: Nanos) -> None:
        """The decision loop hangs; the process's other tasks go on."""
        if not self.is_ready or self.owner.is_paused or self.owner.stuck is not None or self.driving is None:
            return
        self._note("hang")
        self.owner.stuck = self.driving
        self.world.at(self.world.now + length, self._resume)

    def _resume(self) -> None:
        if self.is_dead:
            return
        self._note("resume")
        self.owner.stuck = None
        self.world.loop.resume(self.owner)

    def stop(self) -> None:
        """SIGTERM; SIGKILL when it takes too long."""
        if not self.is_ready:
            self.crash()
            return
        self._note("stop")
        self.was_asked_to_stop = True
        assert self.built is not None
        self.do(self.built.driver.stop)
        self.world.at(self.world.now + STOP, lambda: self.world.deadline(self))

    def break_task(self) -> None:
        """A task beside the decisions raises what nobody expects."""
        if self.is_ready and self.built is not None:
            cast(SimRemote, self.built.venues[0]).is_broken = True

    # -- the doors

    async def confirm(self, account: str, typed: str, tell: Callable[[Any, Any, Exception | None], None]) -> None:
        """A person looks at a live account, types its number, and is told what came of it; `tell` hears of the act before."""
        built = self.built
        assert built is not None
        door = LiveDoor(built.watch.shown, built.desk.inbox, tuple(built.setup.accounts), self._clock.now)
        shown = (await door.look(AccountName(account)))["accounts"]
        if not shown or shown[0]["confirmed"] or shown[0]["digest"] is None:
            return
        command = ConfirmAccount(AccountName(account), typed, shown[0]["digest"])
        tell(command, None, None)
        try:
            outcome = await CommandDoor(self.inbox).submit(command, who="ann", origin="page")
        except InterlockError as error:
            tell(command, None, error)
            return
        tell(command, outcome, None)

    async def post(self, lane: str, body: Mapping[str, Any], answered: Callable[[int, str], None]) -> None:
        """One alert at the hook's own app."""
        raw = json.dumps(dict(body, secret=f"secret-{lane}")).encode()
        sent: list[Any] = []
        inbound = [{"type": "http.request", "body": raw, "more_body": False}]

        async def receive() -> Any:
            return inbound.pop(0) if inbound else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        path = f"/hook/token-{lane}"
        assert self.hook is not None
        await self.hook({"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
                         "headers": [], "client": ("127.0.0.1", 40_000), "scheme": "http"}, receive, send)
        found = json.loads(b"".join(each.get("body", b"") for each in sent))
        answered(int(sent[0]["status"]), str(found["code"]))

    async def command(self, command: Command, who: str, answered: Callable[[Any, Exception | None], None]) -> None:
        """A person's act at the door that page and control socket have."""
        try:
            outcome = await CommandDoor(self.inbox).submit(command, who=who, origin="cli")
        except InterlockError as error:
            answered(None, error)
            return
        answered(outcome, None)


def folded(store: SimStore, scene: "scenes.Scene", last_seq: int) -> str:
    """The state that a restart comes to at entry `last_seq`: the last snapshot before it, and everything recorded since."""
    engine = Engine(scene.setup, None)
    first, row = 1, 0
    snapshot = next((each for each in reversed(store._snapshots) if each.seq <= last_seq), None)
    kept = None if snapshot is None else unpack(snapshot.body)
    if snapshot is not None and kept is not None:
        engine.restore(kept)
        first, row = snapshot.seq + 1, snapshot.last_row
    tape = store.tape(row)
    for raw in store.raw(first):
        if raw.seq > last_seq:
            break
        payload = raw.decode().payload
        if isinstance(payload, TapeMark):
            for _ in range(payload.last_row - row):
                engine.apply(next(tape), raw.ts)
            row = payload.last_row
        else:
            engine.apply(payload, raw.ts)
    for message in tape:               # rows that no entry has followed yet
        engine.apply(message, engine.now)
    return state_of(engine)


def state_of(engine: Engine) -> str:
    """A digest of what must be the same after a replay: orders and books, latches, the ledger."""
    digest = hashlib.sha256()
    for room in (engine.execution, engine.latches, engine.ledger):
        digest.update(room.snapshot())
    return digest.hexdigest()


assert set(scenes.BASE) <= set(INSTRUMENTS)
