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

from interlock.engine.commands import reach
from interlock.engine.questions import digest_of, kill_id
from interlock.errors import StorageError
from interlock.model.command import (
    RELEASE_PHRASE,
    Command,
    ConfirmAccount,
    Decide,
    DeclineLive,
    DisableAccount,
    Enable,
    EnableAccount,
    Flatten,
    Kill,
    Reconcile,
    Reconnect,
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
        self.asked: dict[str, dict[str, Any]] = {}     # the questions that wait, by id
        self.mode = "paper"
        self.live_accounts: list[dict[str, Any]] = []
        self.is_watch = False
        self.drills: list[int] = []
        self.drill_refused: str | None = None
        self.app = create_app(board=self.board, door=self.door, token=TOKEN, hook=None, health=lambda: self.health,
                              static=static, live_door=self, positions_shown=self.positions_shown, drill=self.drill)
        self.is_heard = True           # whether the venue answers
        self._chance = random.Random(7)
        self._prices = {"MNQ": Decimal("25104.25"), "MES": Decimal("6912.50")}
        self._fill_board(bars)

    # -- what the page asks for beside commands

    async def look(self, account: str | None = None) -> dict[str, Any]:
        return {"mode": self.mode, "watch": self.is_watch, "accounts": self.live_accounts}

    def positions_shown(self, account: str | None, instrument: str | None) -> dict[str, Any]:
        rows = [[f"position.{held['account']}.{held['instrument']}", held["quantity"], held["quantity"]]
                for held in self.board.positions()
                if account in (None, held["account"]) and instrument in (None, held["instrument"])]
        return {"state": rows, "digest": digest_of(rows)}

    async def drill(self, orders: int, who: str) -> dict[str, Any]:
        """A stub: what a drill answers, at once."""
        self.drills.append(orders)
        if self.drill_refused is not None:
            raise StorageError(self.drill_refused)
        self.board.drilled(orders, orders, 41.7, self.clock.now())
        return {"orders": orders, "cancelled": orders, "confirmed_ms": 41.7}

    def ask(self, name: str, kind: str, text: str, state: list[tuple[str, str, str]], *answers: str, scope: str = "",
            account: str | None = None) -> str:
        """A question waits, or stands anew; its digest."""
        digest = digest_of(state)
        self.asked[name] = {"id": name, "kind": kind, "scope": scope or f"account {account}", "account": account, "text": text,
                            "state": [list(row) for row in state], "digest": digest, "answers": list(answers)}
        self.board.questions(list(self.asked.values()))
        return digest

    def settle(self, name: str) -> None:
        self.asked.pop(name, None)
        self.board.questions(list(self.asked.values()))

    def drift(self, ours: str = "2", theirs: str = "3") -> str:
        return self.ask("drift.paper-a", "drift", "paper-a is not what our own acts there explain; its entries are frozen.",
                        [("account", "paper-a", "PAPER-A-0417"), ("position.MNQ", ours, theirs)],
                        "adopt-broker", "adopt-local", "abort", account="paper-a")

    def tell_account(self, name: str, **changes: Any) -> None:
        """An account with something of it changed."""
        told: dict[str, Any] = {
            "mode": self.mode, "truth": "paper_sim", "ts_proof": self.clock.now(), "evidence": "paper venue answered a ping",
            "enabled": True, "account_id": f"PAPER-{name[-1].upper()}-0417", "equity": "50000", "cash": "50000", "day_pnl": "0"}
        self.board.account(name, **(told | changes))

    def lose_line(self, account: str = "paper-a") -> None:
        self.tell_account(account, truth="unknown", ts_proof=None, evidence="the line to the broker is down", line="down",
                          frozen_by="offline: the line was lost")
        self.ask(f"line.{account}", "line", f"the line of {account} is down (reset by peer); a person connects it anew.",
                 [("account", account, ""), ("line", "down", "reset by peer"), ("connection", "3", "")], "reconnect",
                 account=account)

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
                self.kill(why, lane, account)
                return {"ok": True, "killed": True, "reach": reach(lane, account), "why": why,
                        "orders_to_cancel": ["a", "b", "c"], "positions": []}
            case Release(phrase) if phrase != RELEASE_PHRASE:
                return {"ok": False, "code": "phrase.wrong", "reason": "the phrase is not the one"}
            case Release(_, lane, account, seen):
                return self._answered(kill_id(lane, account), seen) or self._released(lane, account)
            case Flatten(_, account, instrument, seen):
                return self._flatten(account, instrument, seen)
            case Decide(name, _, seen) | Enable(name, seen):
                return self._answered(name, seen) or self._settled(name)
            case Reconnect(account, seen):
                return self._answered(f"line.{account}", seen) or self._reconnected(account)
            case Reconcile(account):
                self.tell_account(account or "paper-a", ts_read=self.clock.now(), differences=0)
                return {"ok": True, "reading": [account]}
            case ConfirmAccount(account, typed):
                return self._confirmed(account, typed)
            case DeclineLive():
                return {"ok": True, "declined": True}
            case DisableAccount(account) | EnableAccount(account):
                self.board.account(account, mode="paper", truth="paper_sim", ts_proof=self.clock.now(),
                                   evidence="paper venue answered a ping", enabled=isinstance(command, EnableAccount))
                return {"ok": True}
            case _:
                raise AssertionError(f"nothing of the page gives {command}")


    def kill(self, why: str, lane: str | None = None, account: str | None = None, *, epoch: int = 1) -> None:
        words = reach(lane, account)
        self.board.killed(words, why, self.clock.now(), cancelled=3,
                          proofs=[{"account": each, "clean": None, "left": [], "notional": None, "ts": None} for each in ACCOUNTS
                                  if account in (None, each)])
        self.ask(kill_id(lane, account), "kill", f"{words} is killed: {why}.",
                 [("killed", words, why), ("epoch", str(epoch), "")], "release", scope=words)

    def _answered(self, name: str, seen: str) -> dict[str, Any] | None:
        """A refusal; None where what was shown is what stands."""
        asked = self.asked.get(name)
        if asked is None:
            return {"ok": False, "code": "command.no_question", "reason": f"no question {name!r} is open"}
        if asked["digest"] != seen:
            return {"ok": False, "code": "command.state_moved", "reason": f"{name}: the state has moved since it was shown"}
        return None

    def _settled(self, name: str) -> dict[str, Any]:
        self.settle(name)
        return {"ok": True}

    def _released(self, lane: str | None, account: str | None) -> dict[str, Any]:
        self.board.released(reach(lane, account))
        return self._settled(kill_id(lane, account))

    def _reconnected(self, account: str) -> dict[str, Any]:
        self.settle(f"line.{account}")
        self.tell_account(account, frozen_by="offline: the line was lost")
        self.ask(f"offline.{account}", "offline", f"entries of {account} are off: the line was lost.",
                 [("offline", "the line was lost", ""), ("line", "up", "connection 4")], "enable", account=account)
        return {"ok": True, "account": account, "reconnecting": True}

    def _flatten(self, account: str | None, instrument: str | None, seen: str) -> dict[str, Any]:
        if seen != self.positions_shown(account, instrument)["digest"]:
            return {"ok": False, "code": "command.state_moved", "reason": "the state has moved since it was shown"}
        reached = [each for each in ACCOUNTS if account in (None, each)]
        for each in reached:
            self.board.flatten_begun(each, instrument, "the page", self.clock.now())
        return {"ok": True, "flattening": True, "accounts": reached, "positions": []}

    def _confirmed(self, account: str, typed: str) -> dict[str, Any]:
        for row in self.live_accounts:
            if row["account"] == account and row["number"] == typed:
                row["confirmed"] = True
                return {"ok": True, "account": account, "confirmed": True}
        return {"ok": False, "code": "confirm.number", "reason": "that is not the full number of this account"}

    def go_live(self, *accounts: str, is_watch: bool = False) -> None:
        """A live desk whose accounts nobody has confirmed."""
        self.mode, self.is_watch = "live", is_watch
        self.board.set_identity("live", "s7f3k2", "wall", "0.1.0", False)
        self.live_accounts = [
            {"account": each, "confirmed": False, "number": f"U-0417-{each}", "net_liquidation": "50214.5", "cash": "50000",
             "currency": "USD", "endpoint": "live", "positions": [{"instrument": "MNQ", "quantity": "2"}], "age_s": 0.4,
             "digest": "0f3a9c1d2b4e5f60"} for each in accounts or ACCOUNTS]


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
