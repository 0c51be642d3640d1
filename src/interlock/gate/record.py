"""What the recent trades of a source say: too few to tell, in order, or degraded. Read by guard 9 and by sizing."""

from decimal import Decimal
from typing import Final

from msgspec import Struct

from interlock.model.view import SourceRecord

ZERO: Final = Decimal(0)


class RecordRules(Struct, frozen=True, kw_only=True):
    """The limits of a record that is in order, over the last 20 closed trades."""

    trades_min: int = 10
    mean_r_min: Decimal = Decimal("-0.25")
    profit_factor_min: Decimal = Decimal("0.70")
    hit_rate_expected: Decimal = Decimal("0.40")
    deviations: int = 2


class Standing(Struct, frozen=True):
    """`metric` and `value` name what is degraded; "" where nothing is."""

    trades: int
    is_short: bool
    metric: str = ""
    value: str = ""

    @property
    def is_half_size(self) -> bool:
        return self.is_short or bool(self.metric)


def stand(record: SourceRecord, rules: RecordRules) -> Standing:
    """Judge a record. Raises ArithmeticError for a result that is not a number."""
    known = _last[0]
    if known is not None and known[0] is record and known[1] is rules:
        return known[2]
    standing = _stand(record, rules)
    _last[0] = record, rules, standing
    return standing


_last: Final[list[tuple[SourceRecord, RecordRules, Standing] | None]] = [None]
"""A judgement asks three times about the same record; neither it nor the rules can ever change, so neither can the answer."""


def _stand(record: SourceRecord, rules: RecordRules) -> Standing:
    results = record.r_multiples
    count = len(results)
    if count < rules.trades_min:
        return Standing(count, True)
    wins = [result for result in results if result > ZERO]
    hits, won, total = len(wins), sum(wins, ZERO), sum(results, ZERO)
    lost, mean = won - total, total / count
    if not mean >= rules.mean_r_min:
        return Standing(count, False, "mean_r", str(mean))
    if not won >= rules.profit_factor_min * lost:
        return Standing(count, False, "profit_factor", str(won / lost))
    expected = rules.hit_rate_expected * count
    # hits >= expected - k * sigma, squared so that no root is taken: sigma² = expected * (1 - rate)
    short_by = expected - hits
    if short_by > 0 and not short_by * short_by <= rules.deviations ** 2 * expected * (1 - rules.hit_rate_expected):
        return Standing(count, False, "hits", str(hits))
    return Standing(count, False)
