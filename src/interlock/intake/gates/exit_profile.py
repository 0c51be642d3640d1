"""Gate 8: whether the alert says, with its exit profile, how the position will end."""

from interlock.intake.rules import AlertRow, Refusal
from interlock.model.money import plain
from interlock.model.signal import Alert, AlertAction


def check_profile(alert: Alert, row: AlertRow) -> Refusal | None:
    """An entry needs a stop on the side of loss, or a profile that computes one; a target belongs on the side of gain.
    The profile's own stop is computed later, from the market and not from the alert's price."""
    if alert.action is AlertAction.TARGET and alert.position is None:
        return Refusal("profile.position_missing", "action target needs position: what is to remain")
    if alert.action not in (AlertAction.BUY, AlertAction.SELL):
        return None
    if alert.stop is None and not row.exit_profile.has_computed_stop:
        return Refusal("profile.stop_missing",
                       f"exit profile {row.exit_profile.name} computes no stop and the alert has none")
    sign = 1 if alert.action is AlertAction.BUY else -1
    price = alert.price
    if price is None or (alert.stop is not None and not (price - alert.stop) * sign > 0):
        return _wrong("stop", "below" if sign > 0 else "above", alert)
    if alert.target is not None and not (alert.target - price) * sign > 0:
        return _wrong("target", "above" if sign > 0 else "below", alert)
    return None


def _wrong(what: str, side: str, alert: Alert) -> Refusal:
    level = alert.stop if what == "stop" else alert.target
    found = "none" if level is None or alert.price is None else f"{plain(level)} against {plain(alert.price)}"
    reason = f"the {what} of a {alert.action.value} must be {side} its price, found {found}"
    return Refusal(f"profile.{what}_side", reason)
