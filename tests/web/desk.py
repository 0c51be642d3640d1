"""A desk without an engine: a real board filled by a script, the real web room, and a door that answers commands.

`python -m tests.web.desk` serves it for work on the page: it prints a link, and goes on moving.
"""

import argparse
import asyncio
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn

from interlock.errors import StorageError
from interlock.model.command import (
    RELEASE_PHRASE,
    Command,
    DisableAccount,
    EnableAccount,
    Kill,
    Release,
)
from interlock.model.money import MINUTE, SECOND
from interlock.runtime.board import Board
from interlock.web.app import STATIC, create_app

TOKEN = "the-token-of-the-scripted-desk"
START = 1_772_461_800 * SECOND         # a Monday, 09:30 in New York
ACCOUNTS = ("paper-a", "paper-b")
CHECKS = (
    "kill", "truth", "phase.1_broker", "phase.2_balance", "phase.3_daily_loss", "phase.4_regime", "phase.5_size",
    "guard.01_session", "guard.02_feed", "guard.03_trajectory", "guard.04_reentry", "guard.06_slippage",
    "guard.09_exposure", "guard.10_liquidity", "guard.11_event",
)


class SteeredClock:
    """An engine clock that runs with the wall until it is told otherwise."""

    def __init__(self, start: int = START) -> None:
        self._start = start
        self._began = time.monotonic_ns()

    def now(self) -> int:
        return self._start + time.monotonic_ns() - self._began

    def skip(self, ns: int) -> None:
        self._start += ns


class Asked(NamedTuple):
    command: Command
    answer: asyncio.Future[dict[str, Any]]


class ScriptedDoor:
    """Takes commands like the runtime's own: they wait for whoever turns the desk."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Asked] = asyncio.Queue()
        self.closed_by: str | None = None

    async def submit(self, command: Command, *, who: str, origin: str) -> dict[str, Any]:
        if self.closed_by is not None:
            raise StorageError(self.closed_by)
        asked = Asked(command, asyncio.get_running_loop().create_future())
        self.queue.put_nowait(asked)
        return await asked.answer


class ScriptedDesk:
    """Two paper accounts of one lane, long MNQ and MES, with an hour of bars, orders, verdicts and alerts."""

    def __init__(self, static: Path = STATIC, *, bars: int = 240) -> None:
        self.clock = SteeredClock()
        self.board = Board(self.clock.now)
        self.door = ScriptedDoor()
        self.commands: list[Command] = []
        self.health: dict[str, Any] | None = {"status": "ready", "lanes": 1}
        self.app = create_app(board=self.board, door=self.door, token=TOKEN, hook=None, health=lambda: self.health,
                              static=static)
        self.is_heard = True           # whether the venue answers
        self._chance = random.Random(7)
        self._prices = {"MNQ": Decimal("25104.25"), "MES": Decimal("6912.50")}
        self._fill_board(bars)

    def _fill_board(self, bars: int) -> None:
        board, now = self.board, self.clock.now()
        board.set_identity("paper", "s7f3k2", "wall", "0.1.0", True)
        board.instrument("MNQ", tick="0.25", multiplier="2", exchange="CME", timeframe=MINUTE)
        board.instrument("MES", tick="0.25", multiplier="5", exchange="CME", timeframe=MINUTE)
        board.lane("futures", "paper", [{"name": "opening_drive", "kind": "bars", "fires_left": None},
                                        {"name": "demo", "kind": "alerts", "fires_left": 7}], ACCOUNTS)
        for name, pnl in zip(ACCOUNTS, ("214.5", "-38.75"), strict=True):
            board.account(name, mode="paper", truth="paper_sim", ts_proof=now, evidence="paper venue answered a ping",
                          enabled=True, account_id=f"PAPER-{name[-1].upper()}-0417",
                          equity=str(Decimal(50_000) + Decimal(pnl)), cash="50000", day_pnl=pnl)
        board.feed("simulated market", "simulated", "running", None, 48_211, {})
        for minute in range(bars, 0, -1):
            for instrument in self._prices:
                self.bar(instrument, now - minute * MINUTE)
        for instrument in self._prices:
            self.quote(instrument)
        self._fill_positions(now)
        self._fill_history(now)

    def bar(self, instrument: str, ts: int) -> None:
        price, tick = self._prices[instrument], Decimal("0.25")
        steps = [self._chance.gauss(0.35 if instrument == "MNQ" else 0.1, 9.0) for _ in range(8)]
        path = [price]
        for step in steps:
            path.append(path[-1] + tick * int(step))
        self._prices[instrument] = path[-1]
        self.board.bar(instrument, ts - ts % MINUTE, str(path[0]), str(max(path)), str(min(path)), str(path[-1]),
                       str(self._chance.randint(180, 2400)), "simulated")

    def quote(self, instrument: str) -> None:
        price = self._prices[instrument]
        self.board.quote(instrument, str(price - Decimal("0.25")), str(price), str(self._chance.randint(3, 40)),
                         str(self._chance.randint(3, 40)), self.clock.now(), "simulated")

    def _fill_positions(self, now: int) -> None:
        for instrument, strategy, multiplier in (("MNQ", "opening_drive", 2), ("MES", "demo", 5)):
            entry = self._prices[instrument] - Decimal("14.50")
            stop, target = entry - 30, entry + 45
            for account in ACCOUNTS:
                quantity = Decimal(2 if account == "paper-a" else 1)
                pnl = quantity * multiplier * (self._prices[instrument] - Decimal("0.25") - entry)
                self.board.position(
                    account, instrument, str(quantity), str(entry), str(quantity), str(stop), str(target),
                    str(pnl), strategy, str(quantity * multiplier * self._prices[instrument]))
                signal = f"sig{instrument.lower()}{account[-1]}0001"
                for purpose, state, side, price in (("enter", "closed", "buy", {}), ("protect", "working", "sell",
                                                    {"stop": str(stop)}), ("target", "working", "sell",
                                                    {"limit": str(target)})):
                    self.board.order({
                        "client_order_id": f"{purpose[:3]}{instrument.lower()}{account[-1]}8k2m4p6q0",
                        "account": account,
                        "signal_id": signal, "instrument": instrument, "side": side, "quantity": str(quantity),
                        "filled": str(quantity) if state == "closed" else "0", "state": state, "purpose": purpose,
                        "outcome": "filled" if state == "closed" else None, "stop": None, "limit": None, **price})
                self.board.fill({"account": account, "instrument": instrument, "side": "buy", "quantity": str(quantity),
                                 "price": str(entry), "purpose": "enter", "strategy": strategy,
                                 "ts": now - 21 * MINUTE})
                self.verdict(instrument, account, strategy, ts=now - 21 * MINUTE, quantity=str(quantity))

    def _fill_history(self, now: int) -> None:
        for minutes, side, purpose, price in ((95, "sell", "enter", 25080), (78, "buy", "target", 25051),
                                              (60, "buy", "enter", 25093), (52, "sell", "protect", 25071)):
            self.board.fill({"account": "paper-a", "instrument": "MNQ", "side": side, "quantity": "2",
                             "price": f"{price}.25", "purpose": purpose, "ts": now - minutes * MINUTE})
        self.board.alert({"status": "accepted", "code": "", "reason": "", "strategy": "demo", "action": "buy",
                          "symbol": "MES", "signal_id": "sigmesa0001", "ts": now - 21 * MINUTE})
        self.board.alert({"status": "duplicate", "code": "duplicate.transport", "reason": "the same bytes 5 s ago",
                          "strategy": "demo", "action": "buy", "symbol": "MES", "ts": now - 20 * MINUTE})
        self.board.alert({"status": "refused", "code": "symbol.delayed", "reason": "CME_MINI_DL is delayed data",
                          "strategy": "demo", "action": "sell", "symbol": "MES", "ts": now - 9 * MINUTE})
        self.board.decision("opening_drive on MNQ: hold, already in")
        self.verdict("MNQ", "paper-b", "opening_drive", "guard.09_exposure", "exposure.same_direction",
                     "index longs 2 of at most 2 across the lane", ts=now - 6 * MINUTE)

    def verdict(self, instrument: str, account: str, strategy: str, refused_by: str = "", code: str = "",
                reason: str = "", *, ts: int | None = None, quantity: str = "1") -> None:
        checks = [{"check": check, "answer": "refuse" if check == refused_by else "allow",
                   "code": code if check == refused_by else "", "reason": reason if check == refused_by else "",
                   "numbers": {"risk": "118.46", "cap": "120"} if check == "phase.5_size" else {}}
                  for check in CHECKS]
        checks.append({"check": "guard.05_chain", "answer": "not_applicable", "code": "",
                       "reason": "options only"})
        self.board.verdict({
            "signal_id": f"sig{instrument.lower()}{account[-1]}0001", "account": account, "lane": "futures",
            "strategy": strategy, "instrument": instrument, "side": "buy", "quantity": quantity, "purpose": "enter",
            "result": "refused" if refused_by else "cleared", "code": code, "reason": reason, "checks": checks,
            "ts": self.clock.now() if ts is None else ts})

    async def live(self) -> None:
        """Quotes, proofs and answers to commands, for as long as somebody runs it."""
        while True:
            for instrument in self._prices:
                self._prices[instrument] += Decimal("0.25") * self._chance.choice((-2, -1, 0, 0, 1, 2))
                self.quote(instrument)
            if self.is_heard:
                for name in ACCOUNTS:
                    self.board.proof(name, self.clock.now())
            while not self.door.queue.empty():
                asked = self.door.queue.get_nowait()
                self.commands.append(asked.command)
                asked.answer.set_result(self._answer(asked.command))
            await asyncio.sleep(0.1)

    def _answer(self, command: Command) -> dict[str, Any]:
        match command:
            case Kill(why, lane, account, _):
                reach = f"lane {lane}" if lane else f"account {account}" if account else "everything"
                self.board.killed(reach, why, self.clock.now())
                return {"ok": True, "killed": True, "reach": reach, "why": why, "orders_to_cancel": ["a", "b", "c"],
                        "positions": []}
            case Release(phrase) if phrase != RELEASE_PHRASE:
                return {"ok": False, "code": "phrase.wrong", "reason": "the phrase is not the one"}
            case Release():
                self.board.killed(None)
                return {"ok": True}
            case DisableAccount(account) | EnableAccount(account):
                self.board.account(account, mode="paper", truth="paper_sim", ts_proof=self.clock.now(),
                                   evidence="paper venue answered a ping", enabled=isinstance(command, EnableAccount))
                return {"ok": True}


class Served:
    """A scripted desk behind a real server on a loopback port, on a thread with an event loop of its own."""

    def __init__(self, desk: ScriptedDesk, port: int = 0) -> None:
        self.desk = desk
        self.port = port or free_port()
        self._server = uvicorn.Server(uvicorn.Config(desk.app, host="127.0.0.1", port=self.port, log_level="warning",
                                                     access_log=False, lifespan="off",
                                                     ws_ping_interval=None))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def link(self) -> str:
        return f"{self.address}/?token={TOKEN}"

    def _run(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            moving = asyncio.create_task(self.desk.live())
            await self._server.serve()
            moving.cancel()

        asyncio.run(serve())

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)

    def tell(self, act: Callable[[], object]) -> None:
        """Change the board where it lives: on the server's loop."""
        assert self._loop is not None
        done = threading.Event()

        def run() -> None:
            act()
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(5), "the loop does not turn"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(desk: ScriptedDesk, port: int = 0) -> Iterator[Served]:
    server = Served(desk, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8700)
    with served(ScriptedDesk(), parser.parse_args().port) as server:
        print(server.link, flush=True)
        while True:
            time.sleep(60)


if __name__ == "__main__":
    main()
