"""The TradingView side: the message that an alert must send, how to set it up, and a filled-in one to try it with."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from interlock.intake.rules import AlertRow
from interlock.model.money import SECOND, Nanos, plain
from interlock.model.signal import AlertAction

FROM_SCRIPT: Final = "{{strategy.order.alert_message}}"
"""What stands for the action in an alert on a Pine strategy: the words that its orders name in `alert_message`."""


def alert_message(row: AlertRow, secret: str, action: str = AlertAction.BUY.value) -> dict[str, str]:
    """The message of one alert, with TradingView's placeholders. The stop and then the target, as far as they
    are asked for, are the script's first plots (by number: quotation marks around a name would end the JSON text)."""
    message = {
        "strategy": row.strategy, "action": action, "symbol": row.symbol, "source_symbol": row.source_symbol,
        "script_id": row.script_id, "secret": secret, "price": "{{close}}"}
    if action not in (AlertAction.CLOSE.value, AlertAction.TARGET.value):
        for number, name in enumerate(_plotted(row)):
            message[name] = f"{{{{plot_{number}}}}}"
    if action == AlertAction.TARGET.value:
        message["position"] = "0"
    return message | {"bar_time": "{{time}}", "sent_time": "{{timenow}}"}


def set_up_steps(row: AlertRow, hook_url: str) -> str:
    """What to do at TradingView, as plain text. `hook_url` is the path or address with the lane's token."""
    lines = [
        f"Open the chart {row.source_symbol} at TradingView, with the script that speaks for {row.strategy} on it.",
        "Switch on two-factor authentication in your TradingView profile; webhooks ask for it.",
        "Create an alert on the script. Condition: the script's own signal. Trigger: once per bar close.",
        "Message: paste the message as it is, and nothing around it. One alert per action: change \"buy\" to \"sell\" "
        "or \"close\" for the others.",
        f"In a Pine strategy one alert will do: let \"action\" be \"{FROM_SCRIPT}\" and name the word in each order, "
        "e.g. strategy.entry(..., alert_message = \"buy\") and strategy.close(..., alert_message = \"close\").",
    ]
    lines += [f"The {name} is the value of the script's plot number {number} ({{{{plot_{number}}}}}, counted from 0)."
              + (" A buy or sell without it is refused." if name == "stop" else " Leave the line out if there is none.")
              for number, name in enumerate(_plotted(row))]
    lines += [
        f"Notifications: tick Webhook URL and enter https://YOUR-TUNNEL{hook_url}" if hook_url.startswith("/")
        else f"Notifications: tick Webhook URL and enter {hook_url}",
        "Point the tunnel or proxy at the hook port, never at the page's; docs/alerts.md has examples.",
    ]
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))


def sample(row: AlertRow, mid: Decimal, stop: Decimal | None, target: Decimal | None, now: Nanos, nonce: int, *,
           secret: str, action: AlertAction = AlertAction.BUY) -> dict[str, str]:
    """An alert as TradingView would send it at engine time `now`, filled in. Another `nonce` makes another alert: its
    bar_time differs by the microsecond, so that it is no repeat. sent_time has TradingView's one-second grain."""
    if action in (AlertAction.CLOSE, AlertAction.TARGET):
        stop = target = None
    message = {
        "strategy": row.strategy, "action": action.value, "symbol": row.symbol, "source_symbol": row.source_symbol,
        "script_id": row.script_id, "secret": secret, "price": plain(mid)}
    for name, level in (("stop", stop), ("target", target)):
        if level is not None:
            message[name] = plain(level)
    if action is AlertAction.TARGET:
        message["position"] = "0"
    second = datetime.fromtimestamp(now // SECOND, UTC)
    bar = second.replace(microsecond=nonce % 1_000_000)
    return message | {
        "bar_time": bar.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "sent_time": second.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "id": f"sample-{now}-{nonce}"}


def _plotted(row: AlertRow) -> list[str]:
    """What the script must plot: a stop unless it is computed, a target unless later alerts decide on it."""
    profile = row.exit_profile
    return ["stop"] * (not profile.has_computed_stop) + ["target"] * (not profile.is_target_owned)


def as_text(message: dict[str, str]) -> str:
    """The message as it is pasted: JSON, one field per line.

    >>> print(as_text({"action": "buy"}))
    {
      "action": "buy"
    }
    """
    return json.dumps(message, indent=2, ensure_ascii=False)
