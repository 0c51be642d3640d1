"""Gate 7: what this lane trades, on data that it may trade on, for accounts that it has."""

from interlock.intake.rules import AlertRow, LaneRules, Refusal, shown, split_source
from interlock.model.account import Mode
from interlock.model.signal import Alert


def check_lane(alert: Alert, row: AlertRow, rules: LaneRules) -> Refusal | None:
    if row.kind not in rules.kinds:
        kinds = ", ".join(kind.value for kind in rules.kinds) or "nothing"
        return Refusal("lane.kind", f"lane {rules.name} trades {kinds}; {row.instrument} is a {row.kind.value}")
    if rules.mode is not Mode.PAPER and split_source(alert.source_symbol)[2]:
        return Refusal("lane.delayed", f"{shown(alert.source_symbol)} is delayed data and lane {rules.name} is live")
    if not rules.accounts:
        return Refusal("lane.no_accounts", f"lane {rules.name} has no account")
    return None
