"""A real desk in a process of its own, as a person would start it: a state directory, two ports, alerts over HTTP."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from interlock.errors import InterlockError
from interlock.runtime.pine import sample_alert

ROOT = Path(__file__).resolve().parents[2]
RUN = (sys.executable, "-m", "interlock.cli.main")
READY_S = 60.0
ACCOUNTS = ("paper-a", "paper-b")

CONFIG = """
[desk]
mode = "paper"
snapshot_every = 25

[feeds.simulated]
seed = 7
instruments = ["MNQ", "MES"]

[brokers.native]
latency_ms = 80

[brokers.emulated]
latency_ms = 80
has_native_brackets = false

[accounts.paper-a]
broker = "native"
balance = "2000000"
safe = { notional_per_order = "500000", contracts_per_symbol = "200", orders_per_minute = 5000, daily_loss = "500000" }

[accounts.paper-b]
broker = "emulated"
balance = "2000000"
safe = { notional_per_order = "500000", contracts_per_symbol = "200", orders_per_minute = 5000, daily_loss = "500000" }

[lanes.main]
accounts = ["paper-a", "paper-b"]
regime = "none"
hook_token = "main_hook_token"
hook_secret = "main_hook_secret"

[[lanes.main.alerts]]
strategy = "demo"
script_id = "demo-1"
source_symbol = "MES1!"
symbol = "MES"
instrument = "MES"

[[lanes.main.alerts]]
strategy = "second"
script_id = "second-1"
source_symbol = "MNQ1!"
symbol = "MNQ"
instrument = "MNQ"

[gate]
risk_per_trade = "150"
positions_max = 1000
positions_per_source_max = 1000
positions_per_underlying_max = 1000
group_positions_max = 1000
entries_per_day_max = 100000
losses_in_a_row_max = 100000
cooldown_minutes = 1
opposite_wait_seconds = 1
same_direction_share = "1"
open_risk_share_max = "0.5"
daily_loss_share = "0.5"
weekly_loss_share = "0.5"
degraded_rest_minutes = 1
quote_age_ms_max = 20000
account_age_ms_max = 20000
spread_ticks_max = 50
spread_basis_points_max = "50"
all_daily_loss = "1000000"
all_orders_per_minute = 100000
"""


class DeskFailed(Exception):
    """The desk did not do what any start must do; the message says what it said."""


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def interlock(*arguments: str | Path, prefix: Sequence[str] = (), timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
    """One command, as a person gives it; `prefix` is what it is run under."""
    return subprocess.run([*prefix, *RUN, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, cwd=ROOT,
                          env=clean_environment(), check=False)


def clean_environment() -> dict[str, str]:
    """Ours without what would steer the command, and with this checkout's own source before any other."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("INTERLOCK", "COV_", "COVERAGE"))}
    return kept | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}


class Desk:
    """One state directory and, at most times, one process on it."""

    def __init__(self, state: Path, ports: tuple[int, int], prefix: Sequence[str] = ()) -> None:
        self.state = state
        self.prefix = prefix
        self.program: Sequence[str] = RUN          # what `start` runs
        self.port, self.hook_port = ports
        self.notes = state.parent / f"{state.name}.notes"
        self.acknowledged: list[str] = []          # signal ids of entries that were answered "accepted"
        self._log = state.parent / f"{state.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._samples: dict[str, tuple[float, str, dict[str, str]]] = {}
        self._count = 0

    @classmethod
    def make(cls, state: Path, config: str | None = CONFIG) -> Self:
        """`init`, and a configuration of the test's own."""
        state.parent.mkdir(parents=True, exist_ok=True)
        made = interlock("init", "--state", state)
        if made.returncode:
            raise DeskFailed(f"init: {made.stderr}")
        if config is not None:
            (state / "interlock.toml").write_text(config)
        page, hook = free_ports(2)
        return cls(state, (page, hook))

    # -- the process

    def start(self, *more: str, point: str = "", nth: int = 1, may_die: bool = False) -> float:
        """`interlock run`, or the same under a victim that dies at a point. Returns the seconds until it was ready."""
        command = ("run", "--state", str(self.state), "--port", str(self.port), "--hook-port", str(self.hook_port), *more)
        program: Sequence[str] = (*self.prefix, *self.program, *command)
        if point:
            program = (sys.executable, "-m", "tests.process.victim", point, str(nth), str(self.notes), "--", *command)
        began = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(program, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=ROOT,
                                             env=clean_environment())
        while self._process.poll() is None:
            if self.is_ready():
                self._samples.clear()
                return time.monotonic() - began
            if time.monotonic() - began > READY_S:
                self.kill()
                raise DeskFailed(f"not ready after {READY_S:.0f} s: {self.said()}")
            time.sleep(0.05)
        if may_die and self._process.returncode == -signal.SIGKILL:
            return time.monotonic() - began
        raise DeskFailed(f"ended with {self._process.returncode} before it was ready: {self.said()}")

    def is_ready(self) -> bool:
        try:
            return self._get("/health")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._get("/health")[1])
        return found

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """The exit status, None while it runs."""
        return None if self._process is None else self._process.poll()

    def dies_within(self, seconds: float) -> bool:
        """Whether it is dead by then."""
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def has_died(self) -> bool:
        """Whether it ended by SIGKILL, and by its own hand."""
        if self._process is None or self._process.poll() is None:
            return False
        if self._process.returncode != -signal.SIGKILL:
            raise DeskFailed(f"ended with {self._process.returncode}: {self.said()}")
        return True

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def end(self, *, is_kind: bool = True) -> int | None:
        """SIGTERM and its exit status, or SIGKILL."""
        if self._process is None or self._process.poll() is not None:
            return None
        if not is_kind:
            self.kill()
            return None
        self._process.terminate()
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DeskFailed(f"did not stop 30 s after SIGTERM: {self.said()}") from None

    def said(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]

    # -- what is given to it

    def alert(self, strategy: str, action: str, *, wait: bool = True) -> bool:
        """Post one new alert. False when the desk died before it answered. An accepted entry counts as acknowledged."""
        try:
            path, message = self._sample(strategy)
        except InterlockError:
            if self.dies_within(0.5):
                return False
            raise
        self._count += 1
        now = datetime.now(UTC)
        message = message | {"action": action, "sent_time": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "bar_time": now.isoformat(),
                             "id": f"crash-{self._count}-{now.timestamp()}"}
        if action == "sell":
            # The sample is a buy; the same distances on the other side.
            price = Decimal(message["price"])
            for name in ("stop", "target"):
                message[name] = str(2 * price - Decimal(message[name]))
        answer = self.post(path, message, timeout=10.0 if wait else 0.001)
        if answer is None:
            return not wait
        status, body = answer
        if status != 200 or body["status"] != "accepted":
            raise DeskFailed(f"{action} of {strategy} was answered {status} {body}")
        if action in ("buy", "sell"):
            self.acknowledged.append(body["signal_id"])
        return True

    def post(self, path: str, message: dict[str, str], *, timeout: float = 10.0) -> tuple[int, dict[str, Any]] | None:
        """The status and the body; None when no answer came."""
        connection = http.client.HTTPConnection("127.0.0.1", self.hook_port, timeout=timeout)
        try:
            connection.request("POST", path, json.dumps(message), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _sample(self, strategy: str) -> tuple[str, dict[str, str]]:
        """The market of now: a message that is seconds old would be refused as far from it."""
        asked, _, _ = self._samples.get(strategy, (0.0, "", {}))
        if time.monotonic() - asked > 0.3:
            found = sample_alert(self.state, strategy, "buy")
            message = {name: str(value) for name, value in found["message"].items()}
            for name in ("price", "stop", "target"):       # onto the tick, so that a mirrored price is one too
                message[name] = str(Decimal(message[name]) // Decimal("0.25") * Decimal("0.25"))
            self._samples[strategy] = time.monotonic(), found["url"], message
        _, path, message = self._samples[strategy]
        return path, message

    def give_kill(self) -> None:
        """`interlock kill`, which may be the last thing that the desk hears."""
        subprocess.run([*RUN, "kill", "--state", str(self.state), "--why", "drill"], capture_output=True, timeout=30, cwd=ROOT,
                       env=clean_environment(), check=False)

    def release(self) -> None:
        given = interlock("release", "--state", self.state, "--phrase", "RELEASE THE KILL")
        if given.returncode:
            raise DeskFailed(f"release: {given.stderr}")

    def verify(self) -> str | None:
        """What `journal verify` finds, None if nothing."""
        found = interlock("journal", "verify", "--state", self.state, "--json")
        return None if found.returncode == 0 and json.loads(found.stdout)["ok"] else found.stdout + found.stderr

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
