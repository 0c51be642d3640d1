"""Gate 2: a message of the right form, sent just now."""

from typing import Final

from interlock.intake.message import read_alert
from interlock.intake.rules import Refusal
from interlock.model.money import SECOND, Nanos
from interlock.model.signal import Alert, AlertReceived

LATE: Final = 30 * SECOND
AHEAD: Final = 2 * SECOND


def check_schema(received: AlertReceived, ts: Nanos) -> Alert | Refusal:
    """The typed alert. Its age is `sent_time` against the engine clock at the turn that judges it, so that time spent
    waiting here counts too."""
    if received.problem:
        return Refusal("schema.duplicate_key", received.problem)
    alert = read_alert(received.body or {})
    if isinstance(alert, Refusal):
        return alert
    age = ts - alert.sent_time
    if age > LATE:
        return Refusal("age.late", f"sent {age / SECOND:.1f} s ago, {LATE // SECOND} s is the most")
    if age < -AHEAD:
        return Refusal("age.future", f"sent_time is {-age / SECOND:.1f} s ahead, {AHEAD // SECOND} s is the most")
    return alert
