"""The paper venue as a process of its own: its book, its copy of the simulated market, its port, on wall time.

Everything it has stands in its state directory: `venue.toml` (made with defaults), the book, and one credential per session,
each in a file of its own with mode 0600.
"""

import asyncio
import json
import os
import secrets as randomness
import signal
import sys
import time
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import field

from interlock.brokers.paper.book import SqliteBook
from interlock.brokers.paper.port import STATUS, VenuePort
from interlock.brokers.paper.socket import SocketLine
from interlock.brokers.paper.talk import FLATTEN, SESSIONS
from interlock.brokers.paper.translate import LIVE
from interlock.brokers.paper.venue import ENVIRONMENT, PaperVenue
from interlock.config import build
from interlock.config.schema import Broker, Section
from interlock.errors import BrokerError, ConfigError, StorageError
from interlock.model.instrument import INSTRUMENTS
from interlock.runtime.clock import WallClock
from interlock.runtime.connect import definitions
from interlock.runtime.sources import SimulatedMarketplace
from interlock.storage.files import replace
from interlock.storage.lease import Lease

VENUE_TOML: Final = "venue.toml"
VENUE_JSON: Final = "venue.json"
BOOK: Final = "book.db"
REHEARSAL: Final = "live-rehearsal"
HOST: Final = "127.0.0.1"

_DEFAULT: Final = """# The paper venue: a broker's far end. Its market is the simulated one of this seed.
seed = 7
instruments = ["MNQ", "MES"]

[accounts]                     # what a new account begins with
paper-a = "50000"
paper-b = "50000"

[broker]
latency_ms = 250
"""


class VenueFile(Section, frozen=True, kw_only=True):
    """What stands in venue.toml."""

    accounts: dict[str, Decimal]
    seed: int = 7
    instruments: tuple[str, ...] = ("MNQ", "MES")
    broker: Broker = field(default_factory=Broker)


def read_file(directory: Path) -> VenueFile:
    """The venue's configuration; made with defaults where there is none. Raises ConfigError, StorageError."""
    path = directory / VENUE_TOML
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(_DEFAULT)
        found = msgspec.convert(tomllib.loads(path.read_text()), VenueFile)
    except OSError as error:
        raise StorageError(f"{path} cannot be read or made: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from error
    for symbol in found.instruments:
        if symbol not in INSTRUMENTS:
            raise ConfigError(f"{path}: instruments: {symbol!r} is not in the shipped table")
    return found


def token(directory: Path, session: str) -> str:
    """The credential of a session, made the first time it is asked for. Raises StorageError."""
    path = directory / f"{session}.token"
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(randomness.token_urlsafe(24))
    except FileExistsError:
        return path.read_text().strip()
    except OSError as error:
        raise StorageError(f"{path} cannot be made: {error.strerror}") from error
    return path.read_text().strip()


def serve_venue(directory: Path, *, port: int | None, environment: str, say: Callable[[dict[str, Any]], None]) -> None:
    """Run until SIGTERM or SIGINT; `say` is told once where it listens. Raises ConfigError, StorageError, LeaseHeld."""
    if environment not in (ENVIRONMENT, REHEARSAL):
        raise ConfigError(f"--environment is {ENVIRONMENT} or {REHEARSAL}, found {environment!r}")
    wanted = read_file(directory)
    lease = Lease.take(directory, "interlock venue")
    try:
        process = VenueProcess(directory, wanted, LIVE if environment == REHEARSAL else environment)
        try:
            if sys.platform != "win32":
                import uvloop

                uvloop.run(process.run(port, say))
            else:
                asyncio.run(process.run(port, say))
        finally:
            process.venue.close()
    finally:
        lease.release()


class VenueProcess:
    """Venue, market and port, moved by wall time."""

    def __init__(self, directory: Path, wanted: VenueFile, environment: str) -> None:
        self._directory = directory
        self._clock = WallClock()
        table, plan = dict(INSTRUMENTS), build.faults(wanted.broker)
        market = SimulatedMarketplace(wanted.seed, [table[symbol] for symbol in wanted.instruments], start=self._clock.now())
        self._source = market.source(0)
        self.venue = PaperVenue(table, dict(wanted.accounts), book=SqliteBook(directory / BOOK),
                                rules=build.matching_rules(wanted.broker), plan=plan,
                                visibility=wanted.broker.visibility_delay_ms * build.MILLISECOND, clock=self._clock,
                                definitions=definitions(wanted.broker, table), environment=environment)
        self._moved = asyncio.Event()
        self.port = VenuePort(self.venue, {token(directory, session): session for session in SESSIONS},
                              environment=environment, plan=plan, moved=self._moved.set)
        self._environment = environment

    async def run(self, port: int | None, say: Callable[[dict[str, Any]], None]) -> None:
        last = _last_port(self._directory) if port is None else port
        try:
            found = await self.port.start(HOST, last)
        except OSError as error:
            raise ConfigError(f"port {last} cannot be listened on ({error.strerror}); give another with --port") from error
        replace(self._directory / VENUE_JSON, json.dumps({"port": found, "pid": os.getpid()}).encode())
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        moving = asyncio.get_running_loop().create_task(self._move())
        stopping = asyncio.get_running_loop().create_task(ended.wait())
        say({"port": found, "pid": os.getpid(), "environment": self._environment, "accounts": list(self.venue.accounts),
             "tokens": {session: str(self._directory / f"{session}.token") for session in SESSIONS}})
        try:
            await asyncio.wait({moving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if moving.done():
                moving.result()
        finally:
            moving.cancel()
            stopping.cancel()
            await self.port.stop()

    async def _move(self) -> None:
        """Deliver the market as it falls due, and let the venue do what it has due."""
        while True:
            now = self._clock.now()
            at = self._source.peek()
            while at is not None and at <= now:
                self.venue.on_market(self._source.take())
                at = self._source.peek()
            self.venue.advance(now)
            dues = [due for due in (at, self.venue.next_due()) if due is not None]
            self._moved.clear()
            try:
                async with asyncio.timeout(self._clock.seconds_until(min(dues)) if dues else 1.0):
                    await self._moved.wait()
            except TimeoutError:
                continue


def _last_port(directory: Path) -> int:
    """Where it listened the last time, so that who is configured for it finds it again; 0: any."""
    try:
        return int(json.loads((directory / VENUE_JSON).read_text())["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def where(directory: Path) -> int:
    """The port that the venue of a directory listens on. Raises StorageError when it never did."""
    found = _last_port(directory)
    if not found:
        raise StorageError(f"{directory} has no {VENUE_JSON}; `interlock venue start paper --state {directory}` makes one")
    return found


def venue_status(directory: Path, *, timeout: float = 5.0) -> dict[str, Any]:
    """What has arrived at a running venue, by its own count. Raises StorageError when none answers."""
    async def asked() -> bytes:
        line = SocketLine(HOST, where(directory), token(directory, FLATTEN), timeout=timeout)
        line.listen(lambda _: None, lambda _, __: None)
        try:
            await line.reconnect()
            return await line.request(STATUS, b"{}")
        finally:
            line.close()

    began = time.monotonic()
    try:
        found: dict[str, Any] = json.loads(asyncio.run(asked()))
    except BrokerError as error:
        raise StorageError(f"no venue answers in {directory}: {error}") from error
    return found | {"answered_ms": round((time.monotonic() - began) * 1000, 3)}
