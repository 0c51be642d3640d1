"""Guard 6: what the entry is expected to cost against the price it was decided at."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from interlock.gate.check import is_number, missing, opposite_quote, traded
from interlock.gate.quality import usable
from interlock.model.instrument import Instrument
from interlock.model.money import SECOND, Nanos
from interlock.model.signal import Source
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView, Mark


@dataclass(frozen=True)
class EntrySlippage:
    """Expected fill: the opposite quote and `spread_share` of the spread beyond it.

    Bars: at most the larger of some ticks and a share of the stop distance. Alerts: at most some basis points, and the
    market not further from the alert's price than a share of the average range. The median of the last ten fills stays
    within `median_factor` of what one entry is allowed: beyond it, reality is worse than every plan made here.
    """

    name: ClassVar[str] = "guard.6_entry_slippage"
    needs_quantity: ClassVar[bool] = False
    spread_share: Decimal = Decimal("0.25")
    ticks_max: int = 2
    stop_share_max: Decimal = Decimal("0.1")
    basis_points_max: Decimal = Decimal(10)
    atr_share_max: Decimal = Decimal("0.25")
    atr_age_max: Nanos = 90 * SECOND
    median_factor: Decimal = Decimal("1.5")
    median_fills: int = 10
    model_ticks_min: Decimal = Decimal(1)

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        instrument, mark = traded(intent, view)
        wish = intent.account_intent.intent
        if mark is None:
            return missing("mark", f"no quote for {instrument.symbol}")
        if not is_number(wish.reference) or not wish.reference > 0:
            return missing("reference", "the price it was decided at is not known")
        if not is_number(wish.stop):
            return missing("stop", "an entry without a stop")
        spread = mark.ask - mark.bid
        expected = opposite_quote(wish.side, mark) + wish.side.sign * self.spread_share * spread
        slippage = (expected - wish.reference) * wish.side.sign
        if view.source is Source.ALERTS:
            limit = self.basis_points_max * wish.reference / 10_000
            refusal = self._far_from_alert(view, mark, wish.reference)
            if refusal is not None:
                return refusal
        else:
            limit = max(self.ticks_max * instrument.tick, self.stop_share_max * abs(wish.reference - wish.stop))
        numbers = {"expected": str(expected), "slippage": str(slippage), "limit": str(limit)}
        if not slippage <= limit:
            return Refuse("slippage", f"Expected slippage {slippage} > {limit}", numbers)
        return self._realised(view, instrument, limit, numbers)

    def _far_from_alert(self, view: GateView, mark: Mark, price: Decimal) -> Refuse | None:
        atr = usable(view, "atr", self.atr_age_max)
        if not isinstance(atr, float):
            return atr
        away, limit = abs(mark.mid - price), self.atr_share_max * Decimal(repr(atr))
        if away <= limit:
            return None
        return Refuse("far_from_alert", f"the market is {away} from the alert's price {price}, {limit} allowed",
                      {"away": str(away), "limit": str(limit)})

    def _realised(self, view: GateView, instrument: Instrument, allowed: Decimal,
                  numbers: dict[str, str]) -> CheckAnswer:
        fills = view.record.slippage[-self.median_fills:]
        if len(fills) < self.median_fills:
            return Allow(numbers)
        ordered = sorted(fills)
        median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
        limit = self.median_factor * max(self.model_ticks_min, allowed / instrument.tick)
        if median <= limit:
            return Allow(numbers)
        return Refuse("realised_slippage", f"Median slippage of the last {len(fills)} fills {median} ticks > {limit}",
                      {"median": str(median), "limit": str(limit)})

