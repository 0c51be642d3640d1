"""Gate 3: a strategy that this lane has."""

from interlock.intake.rules import LaneRules, Refusal, shown
from interlock.model.signal import Alert


def check_strategy(alert: Alert, rules: LaneRules) -> Refusal | None:
    if rules.rows_of(alert.strategy):
        return None
    return Refusal("strategy.unknown", f"lane {rules.name} has no alert strategy {shown(alert.strategy)}")
