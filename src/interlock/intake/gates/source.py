"""Gate 5: the chart that the alert speaks for; it fixes the configured row, and with it the instrument."""

from interlock.intake.rules import AlertRow, LaneRules, Refusal, is_same_source, shown
from interlock.model.instrument import Kind
from interlock.model.signal import Alert


def find_row(alert: Alert, rules: LaneRules) -> AlertRow | Refusal:
    """The row of (strategy, script_id, source_symbol). For futures the three must stand in one row; for anything else
    the script may be one that another row of the strategy names."""
    rows = [row for row in rules.rows_of(alert.strategy) if is_same_source(row.source_symbol, alert.source_symbol)]
    if not rows:
        return Refusal("source.unknown", f"strategy {alert.strategy} has no source_symbol {shown(alert.source_symbol)}")
    rows.sort(key=lambda row: row.source_symbol != alert.source_symbol)         # an exact spelling before a wider one
    for row in rows:
        if row.script_id == alert.script_id:
            return row
    for row in rows:
        if row.kind is not Kind.FUTURE:
            return row
    return Refusal("source.triple", f"no row has strategy {alert.strategy}, script_id {shown(alert.script_id)} "
                                    f"and source_symbol {shown(alert.source_symbol)} together")
