"""Guard 10: enough on the other side, a narrow spread, and a stop that is not inside it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from interlock.gate.check import is_number, missing, traded
from interlock.model.instrument import Kind
from interlock.model.signal import Side
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class Liquidity:
    """Size at the opposite quote covers the quantity; spread in ticks (futures) or basis points; stop beyond it."""

    name: ClassVar[str] = "guard.10_liquidity"
    needs_quantity: ClassVar[bool] = True
    spread_ticks_max: int = 2
    spread_basis_points_max: Decimal = Decimal(5)
    stop_spreads_min: Decimal = Decimal(3)

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        instrument, mark = traded(intent, view)
        wish = intent.account_intent.intent
        if mark is None:
            return missing("mark", f"no quote for {instrument.symbol}")
        if not is_number(wish.stop):
            return missing("stop", "an entry without a stop")
        is_buy = wish.side is Side.BUY
        size, price = (mark.ask_size, mark.ask) if is_buy else (mark.bid_size, mark.bid)
        lots, spread = intent.sized.quantity / instrument.lot, mark.ask - mark.bid
        numbers = {"spread": str(spread), "size": str(size), "lots": str(lots)}
        if not lots <= size:
            return Refuse("thin", f"Liquidity: spread {spread}, size {size} for {lots} lots", numbers)
        widest = self.spread_ticks_max * instrument.tick
        if instrument.kind is not Kind.FUTURE:
            relative = self.spread_basis_points_max * mark.mid / 10_000
            widest = relative if instrument.kind is Kind.CRYPTO else max(widest, relative)
        if not 0 <= spread <= widest:
            return Refuse("wide_spread", f"Liquidity: spread {spread} above {widest}, size {size}", numbers)
        distance = abs(price - wish.stop)
        if distance >= self.stop_spreads_min * spread:
            return Allow(numbers)
        return Refuse("stop_in_spread", f"the stop is {distance} away, the spread {spread}",
                      {**numbers, "distance": str(distance)})
