"""The eight fast gates, one file each, in the order in which they are passed. The first no is the answer."""

from interlock.intake.gates.allow_list import check_symbol
from interlock.intake.gates.exit_profile import check_profile
from interlock.intake.gates.lane import check_lane
from interlock.intake.gates.schema import check_schema
from interlock.intake.gates.script import check_script
from interlock.intake.gates.secret import check_secret
from interlock.intake.gates.source import find_row
from interlock.intake.gates.strategy import check_strategy
from interlock.intake.rules import AlertRow, LaneRules, Refusal
from interlock.model.money import Nanos
from interlock.model.signal import Alert, AlertReceived

__all__ = ["check_lane", "check_profile", "check_schema", "check_script", "check_secret", "check_strategy",
           "check_symbol", "find_row", "pass_gates"]


def pass_gates(received: AlertReceived, rules: LaneRules, ts: Nanos) -> tuple[Alert, AlertRow] | Refusal:
    """Gates 2 to 8; gate 1 stands before them, because a repeat is recognised between the two."""
    alert = check_schema(received, ts)
    if isinstance(alert, Refusal):
        return alert
    refusal = check_strategy(alert, rules) or check_script(alert, rules)
    if refusal:
        return refusal
    row = find_row(alert, rules)
    if isinstance(row, Refusal):
        return row
    return check_symbol(alert, row, rules) or check_lane(alert, row, rules) or check_profile(alert, row) or (alert, row)
