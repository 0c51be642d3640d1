"""The paper venue in a process of its own, a desk that trades at it, and a hand on the venue's port beside the desk's."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from tests.process.desk import CONFIG, ROOT, RUN, Desk, clean_environment

from interlock.brokers.paper.remote import RemotePaper
from interlock.brokers.paper.translate import order_bytes
from interlock.model.ids import AccountName, ClientOrderId, LaneName, SignalId, StrategyName
from interlock.model.instrument import INSTRUMENTS
from interlock.model.order import Leg, Order, OrderType
from interlock.model.report import AccountRead
from interlock.model.signal import Purpose, Side
from interlock.ports import Capabilities
from interlock.runtime.venue import venue_status

NATIVE = Capabilities(has_native_brackets=True, has_replace=True, visibility_delay=0)
SHORT = (sys.executable, "-m", "tests.process.short")
"""The product's own commands with a lease that lives 2 s."""

VENUE_TOML = """
seed = 7
instruments = ["MNQ", "MES"]

[accounts]
paper-a = "2000000"
paper-b = "2000000"

[broker]
latency_ms = {latency_ms}
"""


class VenueProcess:
    """One venue on one state directory; `start` after `kill` finds the same book and the same port."""

    def __init__(self, state: Path, *, latency_ms: int = 80) -> None:
        self.state = state
        self.port = 0
        self.environment = ""
        self._log = state.parent / f"{state.name}.log"
        self._process: subprocess.Popen[str] | None = None
        state.mkdir(parents=True, exist_ok=True)
        (state / "venue.toml").write_text(VENUE_TOML.format(latency_ms=latency_ms))

    def start(self, *more: str) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*RUN, "venue", "start", "paper", "--state", str(self.state), *more],
                                             stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT, env=clean_environment())
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._log.read_text()
        said = json.loads(line)
        self.port, self.environment = said["port"], said["environment"]
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()

    def token(self, session: str) -> str:
        return (self.state / f"{session}.token").read_text().strip()

    def arrived(self) -> dict[str, dict[str, dict[str, int]]]:
        """What came in, by session and kind of request, by the venue's own count."""
        answer: dict[str, dict[str, dict[str, int]]] = venue_status(self.state)["arrived"]
        return answer

    def order_bytes(self, session: str = "trade") -> int:
        kinds = self.arrived().get(session, {})
        return sum(kinds.get(kind, {"bytes": 0})["bytes"] for kind in ("place", "modify"))

    def at(self, session: str = "trade", *, accounts: Sequence[str] = ("paper-a", "paper-b")) -> "Hand":
        return Hand(self.port, self.token(session), accounts)


class Hand:
    """Somebody else at the venue: another terminal of the trader, or a test that looks."""

    def __init__(self, port: int, token: str, accounts: Sequence[str]) -> None:
        self._port, self._token = port, token
        self._accounts = tuple(AccountName(account) for account in accounts)

    def read(self, account: str = "paper-a") -> AccountRead:
        found: AccountRead = asyncio.run(self._with(lambda remote: remote.broker.read(AccountName(account))))
        return found

    def reads(self) -> dict[str, AccountRead]:
        return {account: self.read(account) for account in self._accounts}

    def place(self, id: str, side: str, quantity: str, *, account: str = "paper-a", symbol: str = "MNQ",
              limit: str | None = None, reduce: bool = False) -> None:
        leg = Leg(client_order_id=ClientOrderId(id), role="exit" if reduce else "entry",
                  purpose=Purpose.REDUCE if reduce else Purpose.ENTER, side=Side(side), quantity=Decimal(quantity),
                  type=OrderType.LIMIT if limit else OrderType.MARKET, limit=Decimal(limit) if limit else None,
                  is_reduce_only=reduce)
        order = Order(account=AccountName(account), instrument=symbol, venue_symbol=symbol, legs=(leg,),
                      signal_id=SignalId("hand"), lane=LaneName("hand"), strategy=StrategyName("hand"))
        asyncio.run(self._with(lambda remote: remote.line.request("place", order_bytes(order))))

    async def _with(self, act: Any) -> Any:
        remote = RemotePaper(INSTRUMENTS, self._accounts, host="127.0.0.1", port=self._port, token=self._token,
                             capabilities=NATIVE, timeout=5.0)
        try:
            await remote.open()
            assert remote.line.is_up, remote.broker.drain()
            return await act(remote)
        finally:
            remote.close()


def config_at(port: int) -> str:
    """The desk of `tests/process/desk.py`, with its accounts at one venue behind that port."""
    text = CONFIG.replace('[brokers.native]\nlatency_ms = 80\n', f"""[brokers.native]
kind = "loopback"
port = {port}
token = "venue_trade"
rescue_token = "venue_flatten"
timeout_ms = 1000
""").replace("""[brokers.emulated]
latency_ms = 80
has_native_brackets = false
""", "").replace('broker = "emulated"', 'broker = "native"')
    assert "emulated" not in text
    return text


def desk_at(state: Path, venue: VenueProcess, *, port: int = 0, is_short: bool = False) -> Desk:
    """A state directory whose desk trades at the venue (through `port`, if something stands between)."""
    desk = Desk.make(state, config_at(port or venue.port))
    with (state / "secrets.toml").open("a") as file:
        file.write(f'\nvenue_trade = "{venue.token("trade")}"\nvenue_flatten = "{venue.token("flatten")}"\n')
    if is_short:
        desk.program = SHORT
    return desk


def kill_command(state: Path, *more: str, timeout: float = 60.0, prefix: Sequence[str] = ()) -> tuple[int, dict[str, Any], str]:
    """`interlock-kill --json`: its status, its answer and its story."""
    ended = subprocess.run([*prefix, sys.executable, "-m", "interlock.cli.rescue", "--state", str(state), "--json", *more],
                           capture_output=True, text=True, timeout=timeout, cwd=ROOT, env=clean_environment(),
                           stdin=subprocess.DEVNULL, check=False)
    return ended.returncode, json.loads(ended.stdout) if ended.stdout else {}, ended.stderr


def stop(desk: Desk) -> None:
    os.kill(desk.pid, signal.SIGSTOP)


def go_on(desk: Desk) -> None:
    os.kill(desk.pid, signal.SIGCONT)


def wait_until(condition: Any, seconds: float, what: str) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")
