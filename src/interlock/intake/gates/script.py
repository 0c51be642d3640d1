"""Gate 4: a script that the strategy is configured for."""

from interlock.intake.rules import LaneRules, Refusal, shown
from interlock.model.signal import Alert


def check_script(alert: Alert, rules: LaneRules) -> Refusal | None:
    if any(row.script_id == alert.script_id for row in rules.rows_of(alert.strategy)):
        return None
    return Refusal("script.unknown", f"strategy {alert.strategy} has no script_id {shown(alert.script_id)}")
