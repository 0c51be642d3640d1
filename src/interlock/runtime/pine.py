"""The alert message of a strategy: its template, or one that the running lane would accept now."""

import secrets as randomness
from decimal import Decimal
from pathlib import Path
from typing import Any

from interlock.config import build, secrets
from interlock.config.load import load
from interlock.config.schema import Lane
from interlock.errors import InputError, StorageError
from interlock.intake.pine import alert_message, sample, set_up_steps
from interlock.intake.rules import AlertRow
from interlock.model.ids import LaneName
from interlock.model.signal import AlertAction
from interlock.runtime.control import ask

STOP_ATRS = Decimal(2)
TARGET_ATRS = Decimal(3)
"""How far a sample's stop and target lie from the market."""


def template(directory: Path, strategy: str) -> dict[str, Any]:
    """The message with TradingView's placeholders, and the steps. Raises InputError for a strategy that takes no alerts."""
    lane_name, lane, row = _find(directory, strategy)
    url, secret = _url_and_secret(directory, lane_name, lane)
    return {"url": url, "message": alert_message(row, secret), "steps": set_up_steps(row, url).splitlines()}


def sample_alert(directory: Path, strategy: str, action: str) -> dict[str, Any]:
    """A filled-in alert. Raises StorageError when no engine runs, InputError when there is no price to fill in."""
    lane_name, lane, row = _find(directory, strategy)
    try:
        wanted = AlertAction(action)
    except ValueError:
        raise InputError(f"--action is buy, sell or close; found {action!r}") from None
    market = ask(directory, "market", instrument=row.instrument)
    if market is None:
        raise StorageError(f"no engine runs in {directory}; a sample needs the market of now: interlock run --state {directory}")
    if market["mid"] is None or market["atr"] is None:
        heard = ", ".join(market["heard"]) or "nothing yet"
        raise InputError(f"{row.instrument} has no price yet, or too little history for its average range; "
                         f"the market brings {heard}")
    url, secret = _url_and_secret(directory, lane_name, lane)
    mid, atr, tick = Decimal(market["mid"]), Decimal(market["atr"]), Decimal(market["tick"])
    sign = -1 if wanted is AlertAction.SELL else 1
    stop = (mid - sign * STOP_ATRS * atr) // tick * tick
    target = (mid + sign * TARGET_ATRS * atr) // tick * tick
    message = sample(row, mid, stop, target, market["now"], randomness.randbelow(1_000_000), secret=secret, action=wanted)
    return {"url": url, "message": message, "steps": []}


def _find(directory: Path, strategy: str) -> tuple[LaneName, Lane, AlertRow]:
    config = load(directory).config
    known = []
    for name, lane in config.lanes.items():
        for row in build.lane_rules(config, name, lane).rows:
            if row.strategy == strategy:
                return LaneName(name), lane, row
            known.append(row.strategy)
    raise InputError(f"no alert strategy is called {strategy!r}; there are {', '.join(dict.fromkeys(known)) or 'none'}")


def _url_and_secret(directory: Path, name: LaneName, lane: Lane) -> tuple[str, str]:
    found = secrets.load(directory)
    token = secrets.require(found, lane.hook_token, f"lanes.{name}.hook_token").reveal()
    return f"/hook/{token}", secrets.require(found, lane.hook_secret, f"lanes.{name}.hook_secret").reveal()
