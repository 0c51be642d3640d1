"""The desk as `interlock run` builds it, moved by hand: real journal, real paper book, real hook, and a clock that a test sets.

Nothing sleeps. `go` lets engine time pass in half seconds, with a fresh quote for each instrument at each of them; `post`
hands an alert to the hook and lets everything that follows from it happen at one instant.
"""

import asyncio
import json
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from interlock.brokers.paper.paper import Paper
from interlock.brokers.safe import SafeBroker
from interlock.config import secrets
from interlock.config.load import FILE_NAME, default_text, load
from interlock.config.write import make_state
from interlock.engine.questions import Question, questions
from interlock.model.clearance import Clearance
from interlock.model.command import Command
from interlock.model.entry import Payload
from interlock.model.ids import AccountName
from interlock.model.instrument import INSTRUMENTS, Instrument
from interlock.model.market import Bar, MarketState, Provenance, Quote, Trade
from interlock.model.money import MINUTE, SECOND, Nanos, plain
from interlock.model.record import Attempt
from interlock.records import Records, order_row, position_rows
from interlock.runtime.clock import WallClock
from interlock.runtime.connect import Connector, connect_configured
from interlock.runtime.inbox import CommandDoor
from interlock.runtime.live import NOBODY, Start
from interlock.runtime.sources import SimulatedMarketplace, merge_bars
from interlock.runtime.wiring import Built, state_place
from interlock.web.serve import Ports, Service, page_token

T = TypeVar("T")

NOW: Nanos = 1_700_579_400 * SECOND            # Tuesday 2023-11-21, 15:10 UTC: 09:10 in Chicago
HALF: Nanos = SECOND // 2
PRICES = {"MNQ": "16000", "MES": "4550", "ES": "4550", "NQ": "16000", "BTCUSD": "37000", "SPY": "453"}
FOREVER = 1e9


class HandClock(WallClock):
    """Wall time that stands until a test moves it."""

    def __init__(self, ts: Nanos = NOW) -> None:
        super().__init__(ts)

    def now(self) -> Nanos:
        return self._now

    def set(self, ts: Nanos) -> None:
        assert ts >= self._now, "engine time never runs backwards"
        self._now = ts

    def seconds_until(self, ts: Nanos) -> float:
        return FOREVER                 # whoever waits is woken by the test


class Script:
    """A source that brings what a test puts into it."""

    def __init__(self) -> None:
        self.name = "scripted"
        self.rows = 0
        self.waiting: deque[tuple[Nanos, Quote | Trade | MarketState | Bar]] = deque()

    def peek(self) -> Nanos | None:
        return self.waiting[0][0] if self.waiting else 1 << 62

    def take(self) -> Quote | Trade | MarketState | Bar:
        self.rows += 1
        return self.waiting.popleft()[1]

    def share(self) -> float:
        return 0.0


class ScriptedMarket(SimulatedMarketplace):
    """The simulated market's history, and from there on whatever the test says."""

    def __init__(self, instruments: Iterable[Instrument], script: Script) -> None:
        super().__init__(7, tuple(instruments), start=NOW)
        self.name = "scripted"
        self.script = script

    def source(self, done: int) -> Any:
        return self.script

    def history(self, length: Nanos) -> Any:
        return iter(_history(tuple(instrument.symbol for instrument in self.instruments), self.start - self.start % MINUTE))


@cache
def _history(symbols: tuple[str, ...], end: Nanos) -> tuple[Bar, ...]:
    market = SimulatedMarketplace(7, [INSTRUMENTS[symbol] for symbol in symbols], start=end)
    return tuple(merge_bars([market.market.bars(symbol, MINUTE, end - 1600 * MINUTE, end) for symbol in symbols]))


@dataclass(frozen=True)
class Reply:
    status: int
    body: dict[str, Any]
    headers: dict[bytes, bytes]

    @property
    def code(self) -> str:
        return str(self.body["code"])

    @property
    def signal_id(self) -> str:
        return str(self.body["signal_id"])


class Desk:
    """One state directory, started. `text` is its configuration; a second start on the same directory needs none."""

    def __init__(self, directory: Path, text: str | None = None, *, clock: HandClock | None = None,
                 start: Start = NOBODY, connect: Connector = connect_configured) -> None:
        self.directory = directory
        if not (directory / FILE_NAME).exists():
            make_state(directory)
        if text is not None:
            (directory / FILE_NAME).write_text(text)
        self.loaded = load(directory, {})
        _complete_secrets(directory, self.loaded.config)
        self.clock = clock or HandClock()
        self.script = Script()
        self.prices = {symbol: Decimal(price) for symbol, price in PRICES.items()}
        self.quoted = list(self.loaded.config.feeds.simulated.instruments)
        self.barred = {row.instrument for lane in self.loaded.config.lanes.values() for row in lane.alerts}
        self._how: dict[str, Any] = {"start": start, "connect": connect}
        self._runner = asyncio.Runner()
        self._stack = ExitStack()
        self._start()

    # -- starting and stopping

    def _start(self) -> None:
        table = self.loaded.config.table()
        market = ScriptedMarket([table[symbol] for symbol in self.quoted], self.script)
        self.place = self._stack.enter_context(state_place(self.directory, "a test"))
        self.service = Service(self.directory, self.loaded, self.clock, market, Ports("127.0.0.1", 1, 2), self.place,
                               **self._how)
        self.built: Built = self.service.build()
        self.page, self.hook = self.service.apps(self.built, page_token(self.directory))
        self.run(self.service.warm(self.built))
        self._driving = self.run(self._drive())
        self.service._is_ready = True
        self._started = self.clock.now()
        self.go(1)

    async def _drive(self) -> "asyncio.Task[None]":
        return asyncio.get_running_loop().create_task(self.built.driver.run())

    def stop(self) -> None:
        """As SIGTERM does."""
        async def end() -> None:
            self.built.driver.stop()
            await self._driving

        self.run(end())
        self.built.close("it was asked to stop")
        self._stack.close()
        self._runner.close()

    def crash(self) -> None:
        """The process is gone: nothing more is written. What the venue holds, it holds."""
        self._driving.cancel()
        self.built.committer.close()
        for paper in self.built.papers:
            paper.close()
        self._stack.close()
        self._runner.close()

    def again(self, *, text: str | None = None, **how: Any) -> "Desk":
        """The next process on the same state directory, at the same instant."""
        desk = Desk(self.directory, text, clock=self.clock, **(self._how | how))
        desk.prices = self.prices
        return desk

    # -- time

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coroutine)

    async def _settled(self) -> None:
        """Until the driver waits for something to happen, and goes on waiting."""
        inbox, quiet = self.built.desk.inbox, 0
        inbox.wake()
        while quiet < 8:
            await asyncio.sleep(0)
            if self._driving.done():
                self._driving.result()
                raise AssertionError("the driver has ended")
            quiet = quiet + 1 if inbox._arrived is not None and not inbox._arrived.is_set() else 0

    def settle(self) -> None:
        self.run(self._settled())

    def go(self, seconds: float = 1.0, *, quotes: bool = True) -> None:
        """Let engine time pass, half a second at a time."""
        end = self.clock.now() + int(seconds * SECOND)
        while self.clock.now() < end:
            self.clock.set(min(end, self.clock.now() + HALF))
            if quotes:
                for symbol in self.quoted:
                    if self.clock.now() % MINUTE == 0 and symbol in self.barred:
                        self.bar(symbol)
                    self.quote(symbol)
            self.settle()
        self.service._feed.refresh()

    def quote(self, symbol: str, price: str | None = None, *, spread_ticks: int = 1, size: int | None = None) -> None:
        """A quote around a price, which stays the price from here on."""
        if price is not None:
            self.prices[symbol] = Decimal(price)
        instrument, now = self.loaded.config.table()[symbol], self.clock.now()
        bid = instrument.increments(self.prices[symbol])
        ask = bid + spread_ticks * instrument.tick_increments
        shown = instrument.quote_size * 4 if size is None else size
        self.script.waiting.append((now, Quote(symbol, bid, ask, shown, shown, now, now, Provenance.SIMULATED)))

    def bar(self, symbol: str) -> None:
        """The minute that ends now: eight ticks around the price."""
        instrument, now = self.loaded.config.table()[symbol], self.clock.now()
        price, reach = instrument.increments(self.prices[symbol]), 4 * instrument.tick_increments
        self.script.waiting.append((now, Bar(symbol, MINUTE, price, price + reach, price - reach, price, 100, now - MINUTE, now,
                                             Provenance.SIMULATED)))

    def move(self, symbol: str, price: str) -> None:
        """The market trades at another price."""
        self.quote(symbol, price)
        self.go(0.5)

    # -- the outside

    def post(self, message: Mapping[str, Any] | bytes, *, lane: str = "main", token: str | None = None) -> Reply:
        """One alert over the hook's own ASGI app."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return self.http("POST", f"/hook/{token or self.secret(f'{lane}_hook_token')}", body, app=self.hook)

    def http(self, method: str, path: str, body: bytes = b"", *, app: Callable[..., Awaitable[None]] | None = None,
             headers: Mapping[str, str] | None = None) -> Reply:
        sent: list[Any] = []
        inbound = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return inbound.pop(0) if inbound else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        lines = [(name.lower().encode(), value.encode()) for name, value in {"host": "127.0.0.1:1", **(headers or {})}.items()]
        scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"", "headers": lines,
                 "client": ("127.0.0.1", 40_000), "server": ("127.0.0.1", 1), "scheme": "http", "http_version": "1.1",
                 "asgi": {"version": "3.0"}, "root_path": "", "extensions": {}}

        async def exchange() -> None:
            await (app or self.page)(scope, receive, send)
            await self._settled()

        self.run(exchange())
        raw = b"".join(each.get("body", b"") for each in sent)
        found = json.loads(raw) if raw[:1] in (b"{", b"[") else {}
        return Reply(sent[0]["status"], found, dict(sent[0]["headers"]))

    def alert(self, action: str = "buy", symbol: str = "MES", *, strategy: str = "demo", script: str = "demo-1",
              source: str | None = None, lane: str = "main", **changes: Any) -> dict[str, Any]:
        """An alert that the running lane accepts now; a change to None leaves the field out."""
        instrument, price = self.loaded.config.table()[symbol], self.prices[symbol]
        step = instrument.tick * 32
        sign = -1 if action == "sell" else 1
        at = datetime.fromtimestamp(self.clock.now() / 1e9, tz=UTC)
        message: dict[str, Any] = {
            "strategy": strategy, "action": action, "symbol": symbol, "source_symbol": source or f"{symbol}1!",
            "script_id": script, "secret": self.secret(f"{lane}_hook_secret"), "price": plain(price),
            "stop": plain(price - sign * step), "target": plain(price + sign * step * 2),
            "bar_time": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "sent_time": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return {name: value for name, value in (message | changes).items() if value is not None}

    def command(self, command: Command) -> dict[str, Any]:
        """A person's act, by the door that the control socket and the page have."""
        async def give() -> dict[str, Any]:
            outcome = await CommandDoor(self.built.desk.inbox).submit(command, who="test", origin="cli")
            await self._settled()
            return outcome

        return self.run(give())

    def questions(self) -> dict[str, Question]:
        """What waits for a person, by id."""
        return {each.id: each for each in questions(self.built.engine)}

    def seen(self, question: str) -> str:
        """The digest of what a person is shown now; "" where nothing of that name waits."""
        found = self.questions().get(question)
        return "" if found is None else found.digest

    def secret(self, name: str) -> str:
        return secrets.load(self.directory, {})[name].reveal()

    # -- what there is to see

    @property
    def paper(self) -> Paper:
        return self.built.papers[0]

    def safe(self, account: str = "paper-a") -> SafeBroker:
        return self.built.desk._brokers[AccountName(account)]

    @property
    def order_bytes(self) -> int:
        """Bytes of order messages that have arrived at the venues."""
        return sum(paper.wire.order_bytes_to_venue for paper in self.built.papers)

    def orders(self, **where: str) -> list[dict[str, Any]]:
        rows = [order_row(record) for record in self.built.engine.execution.orders.records()]
        return [row for row in rows if all(row[name] == value for name, value in where.items())]

    def positions(self) -> dict[tuple[str, str], tuple[str, str]]:
        """(account, instrument) -> (quantity, protected)."""
        return {(row["account"], row["instrument"]): (row["quantity"], row["protected"])
                for row in position_rows(self.built.engine)}

    def booked(self) -> dict[tuple[str, str], str]:
        """(account, symbol) -> quantity, read from the venue's own file."""
        rows = self.in_book("SELECT account, symbol, quantity FROM positions")
        return {(account, symbol): quantity for account, symbol, quantity in rows if Decimal(quantity)}

    def in_book(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the paper venue's book, by a reader of its own."""
        with closing(sqlite3.connect(f"file:{self.directory / 'paper-book.db'}?mode=ro", uri=True)) as book:
            return book.execute(query).fetchall()

    def entries(self, *kinds: type[T]) -> list[T]:
        """What stands in the journal, of these kinds."""
        with Records.open(self.directory) as records:
            return [entry.payload for entry in records.entries() if isinstance(entry.payload, kinds)]

    def codes(self, signal_id: str) -> dict[str, str]:
        """The gate's answer to a signal, by account: "cleared" or its code."""
        with Records.open(self.directory) as records:
            return {verdict.account: getattr(verdict.result, "code", "cleared") for verdict in records.verdicts()
                    if verdict.signal_id == signal_id}

    def board(self) -> dict[str, Any]:
        """What a page is shown now."""
        return self.service._board.snapshot()

    def truth(self, account: str) -> str:
        return next(str(row["truth"]) for row in self.board()["accounts"] if row["name"] == account)

    # -- between signing and writing

    def withhold(self) -> list[tuple[Attempt, Clearance]]:
        """From here on nothing that was cleared is written; it is kept in the list instead."""
        kept: list[tuple[Attempt, Clearance]] = []

        async def keep(attempt: Attempt, clearance: Clearance) -> None:
            kept.append((attempt, clearance))

        self.built.desk._place = keep  # type: ignore[method-assign]
        return kept

    def during_commit(self, act: Callable[[Iterable[Payload]], None]) -> None:
        """Call `act` with what a batch holds after it is durable and before anything of it leaves."""
        desk, commit = self.built.desk, self.built.committer.commit

        async def committed(batch: Any) -> None:
            entries = [payload for _, _, payload in self._closing]
            await commit(batch)
            act(entries)

        seal = desk.seal

        def sealed(*, with_snapshot: bool) -> Any:
            self._closing = list(desk._open.entries)
            return seal(with_snapshot=with_snapshot)

        desk.seal = sealed  # type: ignore[method-assign]
        self.built.committer.commit = committed  # type: ignore[method-assign]


def configured(*, replace: Mapping[str, str] | None = None, more: str = "") -> str:
    """The shipped configuration with pieces of its text replaced, and tables added."""
    text = default_text()
    for old, new in (replace or {}).items():
        assert old in text, f"the shipped configuration has no {old!r}"
        text = text.replace(old, new)
    return text + "\n" + more


def fault(on: str, verb: str, **numbers: Any) -> str:
    """One line of the paper venue's fault plan, as configuration."""
    lines = [f'{name} = {json.dumps(value)}' for name, value in {"on": on, "verb": verb, **numbers}.items()]
    return "\n".join(["[[brokers.paper.plan]]", *lines, ""])


def _complete_secrets(directory: Path, config: Any) -> None:
    """A secret for every lane of the configuration."""
    path = directory / secrets.FILE_NAME
    known = secrets.load(directory, {})
    names = [name for lane in config.lanes.values() for name in (lane.hook_token, lane.hook_secret)
             if name and name not in known]
    with path.open("a") as file:
        file.write("".join(f'{name} = "{name}-0123456789"\n' for name in names))
