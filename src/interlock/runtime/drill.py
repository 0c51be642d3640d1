"""A kill drill: a desk and a venue of its own, orders that rest there, a kill, and the venue's word that none is left.

Desk and venue are the processes that `interlock run` and `interlock venue start` are, in a directory that is thrown away. The
time is measured from the command to the venue's own list, asked over a line that the desk knows nothing of.
"""

import asyncio
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from interlock.brokers.paper.remote import RemotePaper
from interlock.config import secrets
from interlock.config.write import make_state
from interlock.errors import ConfigError, InterlockError, StorageError
from interlock.model.command import RecordDrill
from interlock.model.ids import AccountName
from interlock.model.instrument import INSTRUMENTS
from interlock.model.order import Outcome
from interlock.model.report import AccountRead, OrderFound
from interlock.ports import Capabilities
from interlock.runtime.commands import give
from interlock.runtime.control import ask
from interlock.runtime.inbox import CommandDoor
from interlock.runtime.pine import sample_alert
from interlock.runtime.venue import VENUE_TOML, token

ORDERS_MAX: Final = 200
START_S: Final = 90.0
REST_S: Final = 20.0
CONFIRM_S: Final = 30.0
_LOOK_S: Final = 0.002
_NATIVE: Final = Capabilities(has_native_brackets=True, has_replace=True, visibility_delay=0)
_PROGRAM: Final = (sys.executable, "-m", "interlock.cli.main")

_VENUE: Final = """seed = 7
instruments = ["MES"]

[accounts]
{accounts}

[broker]
latency_ms = 60000
cancel_latency_ms = 1
"""

_DESK: Final = """[desk]
mode = "paper"

[feeds.simulated]
instruments = ["MES"]

[brokers.drill]
kind = "loopback"
port = {port}
token = "venue_trade"

{accounts}
[lanes.drill]
accounts = [{names}]
regime = "none"
hook_token = "drill_hook_token"
hook_secret = "drill_hook_secret"

[[lanes.drill.alerts]]
strategy = "drill"
script_id = "drill-1"
source_symbol = "MES1!"
symbol = "MES"
instrument = "MES"
"""


class DrillResult(Struct, frozen=True):
    """`orders` rested at the venue, `cancelled` of them are cancelled by the venue's word, and `confirmed_ms` after the command
    the venue's own list showed none any more."""

    orders: int
    cancelled: int
    confirmed_ms: float

    def command(self) -> RecordDrill:
        return RecordDrill(self.orders, self.cancelled, self.confirmed_ms)


def drill(orders: int = 20) -> DrillResult:
    """Hold one; some ten seconds. Raises ConfigError for a number that cannot be, StorageError when it could not be held."""
    if not 0 < orders <= ORDERS_MAX:
        raise ConfigError(f"a drill has 1 to {ORDERS_MAX} orders, found {orders}")
    accounts = tuple(AccountName(f"drill-{number}") for number in range(1, orders + 1))
    with tempfile.TemporaryDirectory(prefix="interlock-drill-") as place:
        venue, state = Path(place) / "venue", Path(place) / "state"
        with _venue(venue, accounts) as port:
            _make_desk(state, venue, port, accounts)
            with _desk(state) as hook_port:
                _enter(state, hook_port)
                return asyncio.run(_kill_and_prove(state, port, token(venue, "flatten"), accounts))


def record(directory: Path, result: DrillResult) -> dict[str, Any]:
    """Into the journal of a state directory: through its engine, or by our own hand where none runs."""
    return give(directory, result.command())


class DrillDoor:
    """For the page: one drill at a time, held beside the desk, its result a command like any other."""

    def __init__(self, door: CommandDoor) -> None:
        self._door = door
        self._is_busy = False

    async def hold(self, orders: int, *, who: str, origin: str) -> DrillResult:
        """Raises StorageError while another is under way, and what `drill` raises."""
        if self._is_busy:
            raise StorageError("a drill is under way already")
        self._is_busy = True
        try:
            result = await asyncio.to_thread(drill, orders)
        finally:
            self._is_busy = False
        await self._door.submit(result.command(), who=who, origin=origin)
        return result


@contextmanager
def _venue(directory: Path, accounts: Sequence[AccountName]) -> Iterator[int]:
    """A venue in a process of its own; its port."""
    directory.mkdir()
    (directory / VENUE_TOML).write_text(_VENUE.format(accounts="\n".join(f'{account} = "50000"' for account in accounts)))
    with _process("venue", "start", "paper", "--state", str(directory), "--port", "0") as process:
        line = process.stdout.readline() if process.stdout is not None else b""
        if not line:
            raise StorageError(f"the drill's venue did not start: {_said(process)}")
        yield int(json.loads(line)["port"])


def _make_desk(state: Path, venue: Path, port: int, accounts: Sequence[AccountName]) -> None:
    make_state(state)
    (state / "interlock.toml").write_text(_DESK.format(
        port=port, names=", ".join(f'"{account}"' for account in accounts),
        accounts="".join(f'[accounts.{account}]\nbroker = "drill"\n\n' for account in accounts)))
    (state / secrets.FILE_NAME).write_text(secrets.new_file(("drill_hook_token", "drill_hook_secret"))
                                           + f'venue_trade = "{token(venue, "trade")}"\n')


@contextmanager
def _desk(state: Path) -> Iterator[int]:
    """A desk in a process of its own, ready; the port of its hook."""
    page, hook = _free_ports()
    with _process("run", "--state", str(state), "--port", str(page), "--hook-port", str(hook)) as process:
        until = time.monotonic() + START_S
        while not _is_ready(page):
            if process.poll() is not None:
                raise StorageError(f"the drill's desk did not start: {_said(process)}")
            if time.monotonic() > until:
                raise StorageError(f"the drill's desk was not ready within {START_S:g} s")
            time.sleep(0.05)
        yield hook


@contextmanager
def _process(*command: str) -> Iterator["subprocess.Popen[bytes]"]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INTERLOCK")}
    process = subprocess.Popen([*_PROGRAM, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=kept)
    try:
        yield process
    finally:
        process.kill()                 # what it leaves behind is thrown away
        process.communicate()


def _said(process: "subprocess.Popen[bytes]") -> str:
    process.kill()
    return process.communicate()[1].decode(errors="replace")[-500:].strip()


def _is_ready(port: int) -> bool:
    try:
        return _http(port, "GET", "/health")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def _http(port: int, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        line.request(method, path, body, {"Content-Type": "application/json"})
        answer = line.getresponse()
        return answer.status, answer.read()
    finally:
        line.close()


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(two.getsockname()[1])


def _enter(state: Path, hook_port: int) -> None:
    """One alert, which becomes one entry in every account; they are long on their way to the venue's book."""
    sample = sample_alert(state, "drill", "buy")
    status, body = _http(hook_port, "POST", sample["url"], json.dumps(sample["message"]))
    answer = json.loads(body)
    if status != 200 or answer.get("status") != "accepted":
        raise StorageError(f"the drill's alert was answered {status}: {answer.get('code')} {answer.get('reason')}")


async def _kill_and_prove(state: Path, port: int, credential: str, accounts: Sequence[AccountName]) -> DrillResult:
    remote = RemotePaper(INSTRUMENTS, tuple(accounts), host="127.0.0.1", port=port, token=credential, capabilities=_NATIVE,
                         timeout=5.0)
    try:
        await remote.open()
        entries = await _resting(remote, state)
        began = time.monotonic_ns()
        answered = await asyncio.to_thread(ask, state, "command", who="drill", timeout=CONFIRM_S,
                                           command={"type": "kill", "why": "drill", "scope": "risk"})
        if answered is None or "refused" in answered:
            raise StorageError(f"the kill was not taken: {answered}")
        confirmed = await _none_left(remote)
        cancelled = 0
        for account, order in entries:
            found = await remote.broker.lookup(account, order)
            cancelled += isinstance(found, OrderFound) and found.outcome is Outcome.CANCELLED
        return DrillResult(len(entries), cancelled, round((confirmed - began) / 1e6, 3))
    finally:
        remote.close()


async def _reads(remote: RemotePaper) -> list[AccountRead]:
    return list(await asyncio.gather(*(remote.broker.read(account) for account in remote.accounts)))


async def _resting(remote: RemotePaper, state: Path) -> list[tuple[AccountName, Any]]:
    """The entries, once every account has one at the venue and the desk knows of it."""
    until = time.monotonic() + REST_S
    while True:
        reads = await _reads(remote)
        entries = [(read.account, order.client_order_id) for read in reads for order in read.orders if not order.is_exit]
        if len(entries) == len(remote.accounts):
            break
        if time.monotonic() > until:
            raise StorageError(f"{len(entries)} of {len(remote.accounts)} entries rest at the drill's venue: "
                               f"{_why_not(state)}")
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)           # the desk hears of the last acknowledgements
    return entries


async def _none_left(remote: RemotePaper) -> int:
    """The time at which the venue's own list was empty for every account."""
    until = time.monotonic() + CONFIRM_S
    while time.monotonic() < until:
        if not any(read.orders for read in await _reads(remote)):
            return time.monotonic_ns()
        await asyncio.sleep(_LOOK_S)
    raise StorageError(f"orders are left at the drill's venue {CONFIRM_S:g} s after the kill")


def _why_not(state: Path) -> str:
    """What the gate said, from the record of the drill's own desk."""
    from interlock.records import Records

    try:
        with Records.open(state) as records:
            return "; ".join(sorted({str(entry["payload"]) for entry in records.tail(200, "verdict")}))[:500] or "no verdict"
    except InterlockError as error:
        return str(error)


