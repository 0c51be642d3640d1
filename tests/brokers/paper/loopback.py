"""A paper venue behind a socket, with its broker, in an event loop of a thread of their own, moved by hand like the others."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from interlock.brokers.paper import Fault, PaperVenue, Plan, SqliteBook
from interlock.brokers.paper.port import VenuePort
from interlock.brokers.paper.remote import RemotePaper
from interlock.model.ids import AccountName
from interlock.model.instrument import Instrument
from interlock.model.money import Nanos
from interlock.ports import Capabilities

T = TypeVar("T")
TOKENS = {"trade-credential": "trade", "flatten-credential": "flatten"}


class Loop:
    """An event loop in a thread; `call` and `run` wait for what they ask of it."""

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop) -> None:
        self.loop = new_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float = 10.0) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def call(self, act: Callable[..., T], *arguments: Any) -> T:
        async def acting() -> T:
            return act(*arguments)

        return self.run(acting())

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


class Awaited:
    """The broker as callers outside of its loop see it."""

    def __init__(self, broker: Any, loop: Loop, port: VenuePort) -> None:
        self._broker, self._loop, self._port = broker, loop, port
        self.encode, self.read_back, self.capabilities = broker.encode, broker.read_back, broker.capabilities

    def drain(self) -> list[Any]:
        self.settle()
        return self._loop.call(self._broker.drain)

    def settle(self) -> None:
        """Let what is in the sockets arrive: a round trip comes behind everything that was sent before it."""
        if self._broker._socket.is_up:
            self._loop.run(self._broker._socket.request("status", b"{}"))

    def __getattr__(self, name: str) -> Any:
        async def asked(*arguments: Any) -> Any:
            return self._loop.run(getattr(self._broker, name)(*arguments))

        return asked


class Loopback:
    """One venue, one port, one broker. `now`, `on_market`, `advance` as `Paper` has them."""

    def __init__(self, instruments: dict[str, Instrument], balances: dict[str, Decimal], *, path: Path,
                 capabilities: Capabilities, faults: tuple[Fault, ...] = (), token: str = "trade-credential",
                 timeout: float = 0.3, new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop) -> None:
        self.loop = Loop(new_loop)
        plan = Plan(faults) if faults else None
        self.venue = PaperVenue(instruments, balances, book=SqliteBook(path), plan=plan, visibility=capabilities.visibility_delay)
        self.port = VenuePort(self.venue, TOKENS, environment="paper_sim", plan=plan)
        self.number = self.loop.run(self.port.start("127.0.0.1", 0))
        self.remote = RemotePaper(instruments, tuple(AccountName(name) for name in balances), host="127.0.0.1", port=self.number,
                                  token=token, capabilities=capabilities, timeout=timeout)
        self.loop.run(self.remote.open())
        self.broker = Awaited(self.remote.broker, self.loop, self.port)
        self.told = self.loop.call(self.remote.broker.drain)       # that the line is up

    @property
    def now(self) -> Nanos:
        return self.venue.schedule.now

    def on_market(self, message: Any) -> None:
        self.loop.call(self.venue.on_market, message)

    def advance(self, ts: Nanos) -> None:
        self.loop.call(self.venue.advance, ts)

    def close(self) -> None:
        self.loop.call(self.remote.close)
        self.loop.run(self.port.stop())
        self.venue.close()
        self.loop.stop()
