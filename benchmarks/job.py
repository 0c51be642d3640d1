"""The job that engines are compared by: an EMA cross with a bracket, its recording, and the configurations that run it.

`plain` is the job as a trader would configure it on MNQ. `open_gate` is the same job made comparable with engines that
have no gate: an instrument of its own on a grid so fine that a tick of spread is nothing, no latency, one unit, and
every limit so wide that only what cannot be configured away still refuses.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

SYMBOL: Final = "WALK"
INCREMENT: Final = 0.01

_HEAD: Final = """\
[desk]
mode = "paper"

[brokers.paper]
kind = "paper"
latency_ms = {latency}

{accounts}
[lanes.main]
accounts = [{names}]
regime = "none"
holds_overnight = true
"""
_ACCOUNT: Final = """\
[accounts.{name}]
broker = "paper"
balance = "{balance}"
{safe}
"""
_STRATEGY: Final = """
[lanes.main.strategies.ema_cross]
kind = "ema_cross"
instruments = ["{symbol}"]
bars = "1m"

[lanes.main.strategies.ema_cross.params]
fast = {fast}
slow = {slow}
stop_atrs = {stop}
target_atrs = {target}
"""
_WIDE: Final = """
[gate]
risk_per_trade = "1000000"
slippage_ticks = 0
risk_share_max = "1"
open_risk_share_max = "1"
daily_loss_share = "1"
weekly_loss_share = "1"
losses_in_a_row_max = 1000000
cooldown_minutes = 1
opposite_wait_seconds = 1
entries_per_day_max = 1000000
degraded_rest_minutes = 1
spread_ticks_max = 1000000
all_daily_loss = "1000000000"
all_orders_per_minute = 1000000
all_notional = "1000000000"

[instruments.WALK]
exchange = "BENCH"
kind = "share"
increment = "0.01"
tick = "0.01"
multiplier = "2"
calendar = "always_open"
fee = "0"
spread_ticks = 1
quote_size = 1000
"""


class Params(Struct, frozen=True):
    """The numbers of the strategy."""

    fast: int = 10
    slow: int = 20
    stop: float = 2.0
    target: float = 3.0


def plain(params: Params | None = None, accounts: int = 2) -> str:
    """The job on MNQ, with the shipped limits; without `params`, the strategy's own numbers."""
    params = params or Params()
    return _head(accounts, "50000", 250) + _STRATEGY.format(symbol="MNQ", fast=params.fast, slow=params.slow,
                                                            stop=params.stop, target=params.target)


def open_gate(params: Params, accounts: int = 2) -> str:
    """The job on WALK, one unit at a time, with limits that never bind."""
    safe = ('safe = { shares_per_symbol = "1", notional_per_order = "1000000", daily_loss = "1000000000", '
            "orders_per_minute = 100000 }")
    return (_head(accounts, "100000000", 0, safe)
            + _STRATEGY.format(symbol=SYMBOL, fast=params.fast, slow=params.slow, stop=params.stop, target=params.target) + _WIDE)


def _head(accounts: int, balance: str, latency: int, safe: str = "") -> str:
    names = [f"paper-{number}" for number in range(1, accounts + 1)]
    return _HEAD.format(latency=latency, names=", ".join(f'"{name}"' for name in names),
                        accounts="\n".join(_ACCOUNT.format(name=name, balance=balance, safe=safe) for name in names))


class Replayed(Struct, frozen=True):
    """What `interlock replay --json` answered, and what its process cost."""

    answer: dict[str, Any]
    wall: float
    cpu: float


def replay(data: str, config: Path | None = None, journal: Path | None = None) -> Replayed:
    """Run `interlock replay` as a user does, in a process of its own."""
    command = [sys.executable, "-m", "interlock.cli.main", "replay", "--data", data, "--json"]
    if config is not None:
        command += ["--config", str(config)]
    if journal is not None:
        command += ["--journal", str(journal)]
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - began, os.times()
    if done.returncode:
        raise RuntimeError(f"interlock replay ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Replayed(json.loads(done.stdout), wall, cpu)
