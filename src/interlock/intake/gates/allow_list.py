"""Gate 6: the symbol that the row is for, meaning an instrument that the lane allows."""

from interlock.intake.rules import AlertRow, LaneRules, Refusal, shown
from interlock.model.signal import Alert


def check_symbol(alert: Alert, row: AlertRow, rules: LaneRules) -> Refusal | None:
    if alert.symbol != row.symbol:
        if any(alert.symbol == other.symbol for other in rules.rows):
            return Refusal("symbol.mismatch", f"{shown(alert.source_symbol)} is configured for symbol {row.symbol}, "
                                              f"found {shown(alert.symbol)}")
        return Refusal("symbol.not_allowed", f"lane {rules.name} has no symbol {shown(alert.symbol)}")
    if row.instrument not in rules.symbols:
        return Refusal("symbol.not_allowed", f"lane {rules.name} does not allow {row.instrument}")
    return None
