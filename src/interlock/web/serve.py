"""`interlock run`: the desk with its servers around it, from the first check to the last entry."""

import asyncio
import contextlib
import gc
import os
import secrets as randomness
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import uvicorn

from interlock import __version__
from interlock.config import secrets
from interlock.config.load import Loaded, load
from interlock.config.schema import Config
from interlock.engine.questions import digest_of, positions_state, questions
from interlock.engine.step import Engine
from interlock.errors import ConfigError, InputError, InterlockError, InvariantBroken, JournalDamaged, StorageError
from interlock.intake.hook import TRADINGVIEW, Hook
from interlock.intake.perimeter import Perimeter
from interlock.intake.secret_book import SecretBook
from interlock.model.command import Command, ConfirmAccount, DeclineLive, LiveDeclined
from interlock.model.entry import Payload
from interlock.model.ids import AccountName, LaneName
from interlock.model.money import plain
from interlock.model.record import FallbackUsed, RecordVerified
from interlock.records import JOURNAL, status_rows
from interlock.runtime import live
from interlock.runtime.board import Board
from interlock.runtime.boardfeed import BoardFeed, truth_of
from interlock.runtime.clock import WALL, Clock, PlaybackClock, WallClock
from interlock.runtime.connect import Connector, connect_configured
from interlock.runtime.control import ControlServer, Handler
from interlock.runtime.drill import DrillDoor
from interlock.runtime.environment import is_taken
from interlock.runtime.heartbeat import ENTRY_AGE_MAX, Heartbeat
from interlock.runtime.inbox import AlertDoor, CommandDoor
from interlock.runtime.mirrors import Mirrors
from interlock.runtime.replay import HISTORY, notes_of, open_recordings
from interlock.runtime.sources import Recordings, SimulatedMarketplace
from interlock.runtime.status import spell_kills
from interlock.runtime.wiring import Built, build_desk, local_key, state_place
from interlock.storage.journal import verify
from interlock.storage.lease import RENEW_EVERY
from interlock.web.app import create_app

PAGE_TOKEN: Final = "page.token"
RECENT: Final = 5_000
"""How many of the record's last entries the page is told again after a start."""
CHART_HISTORY: Final = 600 * 60 * 1_000_000_000
"""How much warm-up history a chart begins with."""


@dataclass(frozen=True)
class Ports:
    host: str
    page: int
    hook: int


def serve(directory: Path, *, port: int | None, hook_port: int | None, data: Sequence[str], speed: float | None,
          is_bad_allowed: bool, on_progress: Callable[[float], None] | None = None, start: live.Start = live.NOBODY,
          on_ready: Callable[[Path], None] | None = None) -> bool:
    """Run until SIGTERM, SIGINT or a failure. Raises InterlockError for whatever keeps it from starting or ends it.

    `start` says who starts a live desk; `on_ready` is called once it answers, where a person is to confirm its accounts.
    Returns False when a person declined live.
    """
    loaded = load(_state(directory))
    web = loaded.config.web
    ports = Ports(web.host, port or web.port, hook_port or web.hook_port)
    _check(loaded.config, ports, directory, plays_recording=bool(data))
    clock: Clock
    market: Recordings | SimulatedMarketplace
    if data:
        recordings = open_recordings(data, loaded.config, is_bad_allowed=is_bad_allowed)
        for note in notes_of(recordings, loaded.config):
            _say(note)
        clock, market = PlaybackClock(speed), recordings
    else:
        clock = WallClock()
        table, feed = loaded.config.table(), loaded.config.feeds.simulated
        market = SimulatedMarketplace(feed.seed, [table[symbol] for symbol in feed.instruments], start=clock.now())
    with state_place(directory, "interlock run") as place:
        service = Service(directory, loaded, clock, market, ports, place, on_progress, start=start, on_ready=on_ready)
        if sys.platform != "win32":
            import uvloop

            uvloop.run(service.run())
        else:
            asyncio.run(service.run())
    return service.declined_by is None


class Service:
    """One running desk: its driver, its two ports, its socket, its lease."""

    def __init__(self, directory: Path, loaded: Loaded, clock: Clock, market: Recordings | SimulatedMarketplace, ports: Ports,
                 place: Any, on_progress: Callable[[float], None] | None = None, *, start: live.Start = live.NOBODY,
                 on_ready: Callable[[Path], None] | None = None, connect: Connector = connect_configured) -> None:
        self._directory = directory
        self._loaded = loaded
        self._clock = clock
        self._market = market
        self._ports = ports
        self._place = place
        self._on_progress = on_progress
        self._start = start
        self._connect = connect
        self._on_ready = on_ready
        self.declined_by: LiveDeclined | None = None
        self._is_ready = False
        self._is_late = False          # the heartbeat
        self._is_open = False
        self._board = Board(clock.now)
        self._feed = BoardFeed(self._board, loaded.config)
        self._mirrors = Mirrors(directory)
        self._built: Built | None = None

    async def run(self) -> None:
        built = self.build()
        why = "it was asked to stop"
        try:
            await self._serve(built)
        except BaseExceptionGroup as group:
            error = _cause(group)
            why = f"{type(error).__name__}: {error}"
            raise error from group
        else:
            if self.declined_by is not None:
                why = f"{self.declined_by.who} declined live"
        finally:
            built.close(why)
            _say(f"stopped: {why}; {len(built.engine.ledger.positions())} positions stay open at the venue, with their stops")

    def build(self) -> Built:
        """The desk at its journal's end, told to page and mirrors; not yet driven."""
        built = self._built = build_desk(self._loaded, self._place, self._clock, self._market,
                                         watchers=(self._feed, self._mirrors), ends_with_market=False, start=self._start,
                                         connect=self._connect)
        built.watch.on_declined = self._on_declined
        for note in built.notes:
            _say(note)
        self._take_note(built, self._mirrors.catch_up(self._place.store))
        return built

    def _on_declined(self, declined: LiveDeclined) -> None:
        """Not live after all: disconnect, and end."""
        self.declined_by = declined
        if self._built is not None:
            self._built.driver.stop()

    def _door(self, built: Built) -> live.LiveDoor:
        return live.LiveDoor(built.watch.shown, built.desk.inbox, built.setup.accounts, self._clock.now)

    def apps(self, built: Built, token: str) -> tuple[Perimeter, Hook]:
        """What the two ports serve: the page with the hook behind its perimeter, and the hook alone."""
        web = self._loaded.config.web
        hook = Hook(self._secret_book(), AlertDoor(built.desk.inbox).submit, self._clock.now,
                    body_bytes_max=web.body_bytes_max, proxies=web.declared_proxies,
                    sources=TRADINGVIEW if web.declared_proxies else ())
        page = create_app(board=self._board, door=CommandDoor(built.desk.inbox), token=token, hook=hook, health=self._health,
                          live_door=self._door(built), positions_shown=partial(_positions_shown, built.engine),
                          drill=None if self._loaded.config.desk.mode == "live" else
                          partial(_drill, DrillDoor(CommandDoor(built.desk.inbox))))
        return Perimeter(page), hook

    async def _serve(self, built: Built) -> None:
        token = page_token(self._directory)
        page, hook = self.apps(built, token)
        servers = [_server(page, self._ports.host, self._ports.page), _server(hook, self._ports.host, self._ports.hook)]
        control = ControlServer(self._directory, self._handlers(built))
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(server.serve()) for server in servers]
            machinery = [tasks.create_task(_keep_lease(built.driver.heartbeat))]
            if self._clock.kind == WALL:
                tasks.create_task(_verify_older(built))
            else:
                await _verify_older(built)     # a recording waits: what it decides must not depend on how long this takes
            await control.start()          # a kill given now waits for its turn, and is the first to have one
            await self.warm(built)
            machinery.append(tasks.create_task(self._refresh()))
            built.driver.on_progress = self._on_progress
            if not self._market.is_simulated:
                self._feed.progress = built.driver.source.share
            driving = tasks.create_task(built.driver.run())
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, built.driver.stop)
            gc.collect()
            gc.freeze()                # what the start has built stays; an order does not wait for a walk through all of it
            self._is_ready = True
            _say(f"Interlock {__version__}: {self._loaded.config.desk.mode}, {self._market.name}")
            print(f"http://{self._ports.host}:{self._ports.page}/?token={token}", flush=True)
            self._say_live(built)
            _say(f"alert hook on port {self._ports.hook}; stop with Ctrl+C")
            try:
                await driving
            finally:
                await control.stop()
                for task in machinery:
                    task.cancel()
                for server in servers:
                    server.should_exit = True
                await asyncio.gather(*running, return_exceptions=True)

    def _say_live(self, built: Built) -> None:
        opening = built.opening
        if opening is None:
            return
        if opening.is_watch:
            _say(f"watching: {opening.why}. Nothing is placed; kill is taken, and flatten with the account's number")
        else:
            _say(f"live: {opening.why}. Entries stay off until each account is confirmed, here, with `interlock confirm` or in "
                 "the page")
            if self._on_ready is not None:
                self._on_ready(self._directory)

    def _recent(self) -> Iterator[tuple[int, int, Payload]]:
        """The last entries of the record, for the page."""
        store = self._place.store
        for raw in store.raw(max(1, store.head()[0] - RECENT)):
            yield raw.seq, raw.ts, raw.decode().payload

    async def warm(self, built: Built) -> None:
        """Fast-forward the simulated market with entries off, in a thread: the page and /health answer meanwhile."""
        market = self._market
        if isinstance(market, SimulatedMarketplace):
            market.start = self._clock.now()
            history = list(await asyncio.to_thread(lambda: list(market.history(HISTORY))))
            await asyncio.to_thread(built.engine.warm, history)
            built.driver.source = market.source(0)     # from where the history ends: no minute twice, none left out
            if not built.engine.is_warm():
                raise InputError("the simulated market's history does not warm every feature and regime")
        self._feed.attach(built.engine, built.intake, is_simulated=self._market.is_simulated, state_id=built.state_id,
                          clock=self._clock.kind, version=__version__, recent=self._recent())
        if isinstance(market, SimulatedMarketplace):
            for bar in history:
                if bar.ts_known > market.start - CHART_HISTORY:
                    self._feed.bar(bar)

    def _health(self) -> dict[str, Any] | None:
        built = self._built
        if built is None or not self._is_ready or not self._has_read(built):
            return None
        kills = built.engine.latches.kills
        return {"status": "ready", "mode": self._loaded.config.desk.mode, "clock": self._clock.kind,
                "simulated": self._market.is_simulated, "killed": bool(kills),
                "feed": "ended" if built.driver.has_ended else "running",
                "progress": round(built.driver.source.share(), 4), "entries": built.desk.journal.head[0],
                "heartbeat": self._beat(built)}

    @staticmethod
    def _beat(built: Built) -> dict[str, Any] | None:
        return None if built.driver.heartbeat is None else built.driver.heartbeat.row()

    def _has_read(self, built: Built) -> bool:
        """Once every account was read and the market has spoken: before, the gate would refuse every entry. It stays so."""
        if not self._is_open:
            latches = built.engine.latches
            self._is_open = built.driver.source.rows > 0 and not any(
                latches.is_frozen_for(account, "start_gate") for account in latches.lines)
        return self._is_open

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._feed.refresh()
            self._watch_beat()
            if self._built is not None:
                self._take_note(self._built, self._mirrors.flush())

    @staticmethod
    def _take_note(built: Built, used: Sequence[FallbackUsed]) -> None:
        built.fallbacks.use(*used)
        for each in used:
            _say(each.why)

    def _watch_beat(self) -> None:
        """The loop that would raise this alarm is the one that hangs: the page and the console are told from beside it."""
        heartbeat = None if self._built is None else self._built.driver.heartbeat
        if heartbeat is None or not heartbeat.has_begun:
            return
        is_late = heartbeat.age() > ENTRY_AGE_MAX
        if is_late and not self._is_late:
            text = (f"the decision loop has not come round for {heartbeat.age() / 1e9:.0f} s: nothing is entered, and the lease "
                    "runs out")
            self._board.alarm("heartbeat", "critical", text)
            _say(text)
        elif self._is_late and not is_late:
            self._board.alarm_cleared("heartbeat")
        self._is_late = is_late

    def _handlers(self, built: Built) -> Mapping[str, Handler]:
        door, shown = CommandDoor(built.desk.inbox), self._door(built)
        engine = built.engine

        async def status(_: Mapping[str, Any]) -> dict[str, Any]:
            now = self._clock.now()        # the engine's own stands while its loop hangs
            truths = {account: truth_of(engine, account, now) for account in engine.setup.accounts}
            lanes, accounts = status_rows(self._loaded.config, engine, built.intake.fires_left(), truths=truths)
            kills = engine.latches.kills
            return {"running": True, "mode": self._loaded.config.desk.mode, "clock": self._clock.kind, "state_id": built.state_id,
                    "killed": bool(kills), "killed_by": spell_kills(kills), "lanes": lanes, "accounts": accounts,
                    "feed": "ended" if built.driver.has_ended else "running", "pid": os.getpid(), "port": self._ports.page,
                    "heartbeat": self._beat(built)}

        async def market(request: Mapping[str, Any]) -> dict[str, Any]:
            symbol = str(request.get("instrument"))
            instrument = engine.setup.instruments.get(symbol)
            if instrument is None:
                raise InputError(f"{symbol} has no definition")
            mark, row = engine.views.mark(symbol, self._clock.now()), engine.rows.get(symbol)
            atr = None if row is None or not row.is_ready(("atr",), is_synth_ok=True) else str(row["atr"])
            return {"now": self._clock.now(), "mid": None if mark is None else plain(mark.mid), "atr": atr,
                    "tick": plain(instrument.tick), "heard": [watched for watched, _ in engine.setup.watched]}

        async def open_questions(_: Mapping[str, Any]) -> Any:
            return msgspec.to_builtins(questions(engine))

        async def shown_positions(request: Mapping[str, Any]) -> dict[str, Any]:
            return _positions_shown(engine, request.get("account"), request.get("instrument"))

        async def command(request: Mapping[str, Any]) -> dict[str, Any]:
            try:
                given = msgspec.convert(request.get("command"), Command)
            except msgspec.ValidationError as error:
                raise InputError(f"no command: {error}") from error
            return await door.submit(given, who=str(request.get("who", "")), origin="cli")

        async def look(request: Mapping[str, Any]) -> dict[str, Any]:
            named = request.get("account")
            return await shown.look(None if named is None else AccountName(str(named)))

        async def confirm(request: Mapping[str, Any]) -> dict[str, Any]:
            command = ConfirmAccount(AccountName(str(request.get("account"))), str(request.get("typed")),
                                     str(request.get("seen")))
            return await door.submit(command, who=str(request.get("who", "")), origin="terminal")

        async def decline(request: Mapping[str, Any]) -> dict[str, Any]:
            return await door.submit(DeclineLive(), who=str(request.get("who", "")), origin="terminal")

        return {"status": status, "market": market, "command": command, "live": look, "confirm": confirm, "decline": decline,
                "questions": open_questions, "positions_state": shown_positions}

    def _secret_book(self) -> SecretBook:
        found = secrets.load(self._directory)
        lanes = {}
        for name, lane in self._loaded.config.lanes.items():
            if lane.alerts:
                lanes[LaneName(name)] = (secrets.require(found, lane.hook_token, f"lanes.{name}.hook_token").reveal(),
                                         secrets.require(found, lane.hook_secret, f"lanes.{name}.hook_secret").reveal())
        return SecretBook(local_key(self._directory), lanes)


def page_token(directory: Path) -> str:
    """The token of the page, made at the first start and kept 0600 in the state directory."""
    path = directory / PAGE_TOKEN
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(randomness.token_urlsafe(24))
    except FileExistsError:
        return path.read_text().strip()
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
    return path.read_text().strip()


def _positions_shown(engine: Engine, account: str | None, instrument: str | None) -> dict[str, Any]:
    """What a flatten of this reach is decided on."""
    state = positions_state(engine, None if account is None else AccountName(account), instrument)
    return {"state": [list(row) for row in state], "digest": digest_of(state)}


async def _drill(door: DrillDoor, orders: int, who: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(await door.hold(orders, who=who, origin="page"))
    return found


async def _verify_older(built: Built) -> None:
    """Read the part of the record before the snapshot in a thread; entries wait for it. Raises JournalDamaged."""
    if not built.unverified or built.place.directory is None:
        return
    found = await asyncio.to_thread(verify, built.place.directory / JOURNAL)
    if not found.ok:
        raise JournalDamaged(f"{found.damage}; look with `interlock journal verify`")
    built.desk.inbox.put(RecordVerified(found.entries))


async def _keep_lease(heartbeat: Heartbeat | None) -> None:
    """Keep the lease until the decision loop runs; from then on its own beats do. One that was slept through is not taken again
    in passing: the desk ends, and a start reconciles."""
    while heartbeat is not None and not heartbeat.has_begun:
        heartbeat.start()
        await asyncio.sleep(RENEW_EVERY / 1e9)


def _server(app: Callable[..., Awaitable[None]], host: str, port: int) -> uvicorn.Server:
    server = uvicorn.Server(uvicorn.Config(
        app, host=host, port=port, log_level="error", access_log=False, lifespan="off", proxy_headers=False, server_header=False,
        date_header=False, http="httptools", ws="websockets-sansio", timeout_graceful_shutdown=1, timeout_keep_alive=75))
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    return server


def _state(directory: Path) -> Path:
    if not (directory / "interlock.toml").exists():
        raise ConfigError(f"{directory} holds no Interlock state; `interlock init --state {directory}` makes one")
    return directory


def _check(config: Config, ports: Ports, directory: Path, *, plays_recording: bool) -> None:
    if config.desk.mode == "live":
        for problem in (*live.problems(config, plays_recording=plays_recording), *live.persisted(live.unit_places(directory))):
            raise ConfigError(problem)
    if ports.host not in ("127.0.0.1", "::1", "localhost"):
        raise ConfigError(f"web.host is {ports.host!r}: the page binds to loopback alone; a proxy goes before the hook port")
    if ports.page == ports.hook:
        raise ConfigError(f"page and hook both ask for port {ports.page}; the hook needs one of its own")
    for what, number in (("--port", ports.page), ("--hook-port", ports.hook)):
        if is_taken(ports.host, number):
            raise StorageError(f"port {number} is in use; choose another with {what}, or stop what listens there")


def _cause(group: BaseExceptionGroup[Any]) -> InterlockError:
    """What ended the desk: the first failure of ours that the group holds, else our own mistake, by its name."""
    leaves = list(_leaves(group))
    for error in leaves:
        if isinstance(error, InterlockError):
            return error
    return InvariantBroken(f"the desk broke: {leaves[0]!r}")


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
