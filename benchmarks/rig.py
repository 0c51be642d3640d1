"""What the live benchmarks share: a state directory with wide limits, a service in a process of its own, an HTTP client."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from interlock.config.write import make_state
from interlock.runtime.control import ask

_DESK = """\
[desk]
mode = "paper"

[feeds.simulated]
seed = 7
instruments = [{instruments}]

[brokers.paper]
kind = "paper"
latency_ms = 0

[gate]
risk_per_trade = "500"
risk_share_max = "1"
open_risk_share_max = "1"
daily_loss_share = "1"
weekly_loss_share = "1"
daily_loss = "1000000000"
weekly_loss = "1000000000"
losses_in_a_row_max = 1000000
cooldown_minutes = 1
opposite_wait_seconds = 1
entries_per_day_max = 1000000
positions_max = 1000000
positions_per_source_max = 1000000
positions_per_underlying_max = 1000000
group_positions_max = 1000000
same_direction_share = "1"
leverage_max = "1000000"
degraded_rest_minutes = 1
spread_ticks_max = 1000
spread_basis_points_max = "1000"
all_daily_loss = "1000000000"
all_orders_per_minute = 1000000
all_notional = "1000000000000"
group_value_max = "1000000"
value_per_minute = "1000000000000"
all_value_per_minute = "1000000000000"
executions_max = 1000
identical_rejects_max = 20

[lanes.main]
accounts = [{names}]
regime = "none"
hook_token = "main_hook_token"
hook_secret = "main_hook_secret"

[[lanes.main.alerts]]
strategy = "demo"
script_id = "demo-1"
source_symbol = "MES1!"
symbol = "MES"
instrument = "MES"
exit_profile = "bracket"

"""
_ACCOUNT = """\
[accounts.{name}]
broker = "paper"
balance = "100000000"
safe = {{ contracts_per_symbol = "1000000", daily_loss = "1000000000", orders_per_minute = 1000000 }}

"""


def make_desk(directory: Path, *, accounts: int, instruments: tuple[str, ...] = ("MNQ", "MES")) -> Path:
    """A state directory whose limits never bind, so that every alert becomes one order per account."""
    make_state(directory)
    names = [f"paper-{number}" for number in range(1, accounts + 1)]
    (directory / "interlock.toml").write_text(
        _DESK.format(instruments=", ".join(f'"{symbol}"' for symbol in instruments),
                     names=", ".join(f'"{name}"' for name in names)) + "".join(_ACCOUNT.format(name=name) for name in names))
    return directory


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(two.getsockname()[1])


class Running:
    """A service that is ready, and how to reach it."""

    def __init__(self, process: "subprocess.Popen[str]", directory: Path, port: int, hook_port: int, stamps: Path) -> None:
        self.process, self.directory, self.port, self.hook_port = process, directory, port, hook_port
        self._stamps = stamps
        self.hook = f"/hook/{_secret(directory, 'main_hook_token')}"
        self.secret = _secret(directory, "main_hook_secret")

    @property
    def rss_mb(self) -> float:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def stop(self) -> list[tuple[int, str]]:
        """End it in order; the stamps of its wire (none where it has no stopwatch)."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=120)
        if self.process.returncode:
            raise RuntimeError(f"the service ended with {self.process.returncode}: {said[-2000:]}")
        if not self._stamps.exists():
            return []
        return [(int(at), str(kind)) for at, kind in json.loads(self._stamps.read_text())["stamps"]]


def _secret(directory: Path, name: str) -> str:
    found: Any = tomllib.loads((directory / "secrets.toml").read_text())
    while isinstance(found, dict) and name not in found:
        found = next((each for each in found.values() if isinstance(each, dict)), {})
    return str(found[name])


@contextmanager
def running(directory: Path, *, is_timed: bool = True) -> Iterator[Running]:
    """Start the service (with a stopwatch at its wire, or plainly `interlock run`) and wait until /health answers."""
    port, hook_port = free_ports()
    stamps = directory / "stamps.json"
    command = ([sys.executable, "-m", "benchmarks.live", str(directory), str(port), str(hook_port), str(stamps)] if is_timed else
               [sys.executable, "-m", "interlock.cli.main", "run", "--state", str(directory), "--port", str(port),
                "--hook-port", str(hook_port)])
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        _wait_ready(process, port)
        yield Running(process, directory, port, hook_port, stamps)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _wait_ready(process: "subprocess.Popen[str]", port: int) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the service did not start: {process.communicate()[1][-2000:]}")
        try:
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            line.request("GET", "/health")
            if line.getresponse().status == 200:
                return
        except OSError:
            pass  # not listening yet
        time.sleep(0.1)
    raise RuntimeError("the service was not ready within 120 s")


def market_of(directory: Path, instrument: str) -> dict[str, Any]:
    """What the running engine knows of an instrument."""
    answer: dict[str, Any] | None = ask(directory, "market", instrument=instrument)
    if answer is None:
        raise RuntimeError("no engine runs")
    return answer


def fdatasync_us(directory: Path, count: int = 200) -> list[float]:
    """Microseconds of each of `count` appends of 4 kB with fdatasync, on the file system that holds `directory`."""
    path, block, times = directory / "fdatasync.bin", os.urandom(4096), []
    with path.open("wb", buffering=0) as stream:
        for _ in range(count):
            began = time.perf_counter_ns()
            stream.write(block)
            os.fdatasync(stream.fileno())
            times.append((time.perf_counter_ns() - began) / 1000)
    path.unlink()
    return times
