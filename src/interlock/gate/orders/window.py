"""How far a price may lie from where the market has been: what one quote alone cannot show."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from interlock.gate.check import is_number, missing, traded
from interlock.gate.sizing import entry_price
from interlock.model.money import MINUTE, Nanos
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class PriceWindow:
    """Where the entry would fill lies within `share_max` of the lowest and of the highest mid of the last seconds, its stop
    and target within `exit_share_max`. An entry into a market that has just leapt is thereby refused too."""

    name: ClassVar[str] = "order.price_window"
    needs_quantity: ClassVar[bool] = False
    share_max: Decimal = Decimal("0.03")
    exit_share_max: Decimal = Decimal("0.20")
    span: Nanos = MINUTE               # of the window; the market's memory is kept by it

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        instrument, mark = traded(intent, view)
        window = view.window if instrument is view.instrument else view.micro_window
        if mark is None:
            return missing("mark", f"no quote for {instrument.symbol}")
        if window is None:
            return missing("price_window", f"where {instrument.symbol} has been lately is not known")
        low, high = window
        if not (is_number(low) and is_number(high) and 0 < low <= high):
            return missing("price_window", f"{low} to {high} is no range of prices")
        wish = intent.account_intent.intent
        entry = entry_price(wish, mark)
        numbers = {"low": str(low), "high": str(high), "entry": str(entry)}
        # Within the share of both ends is: not farther above the low, and not farther below the high.
        if not high - self.share_max * high <= entry <= low + self.share_max * low:
            return Refuse("outside_price_window", f"an entry at {entry}, the market was between {low} and {high}, "
                          f"{self.share_max} allowed", numbers)
        lowest, highest = high - self.exit_share_max * high, low + self.exit_share_max * low
        for price in (wish.stop, wish.target):
            if price is not None and not lowest <= price <= highest:
                return Refuse("outside_price_window", f"an exit at {price}, the market was between {low} and {high}, "
                              f"{self.exit_share_max} allowed", {**numbers, "exit": str(price)})
        return Allow(numbers)
