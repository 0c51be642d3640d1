"""We do not trade with ourselves."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.gate.check import missing, traded
from interlock.gate.sizing import entry_price
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class NoSelfTrade:
    """Nothing of ours rests on the other side, in any account at this broker, at a price that the entry would reach."""

    name: ClassVar[str] = "order.self_trade"
    needs_quantity: ClassVar[bool] = False

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        if view.resting is None:
            return missing("resting", "which orders of ours rest at this broker is not known")
        if not view.resting:
            return Allow()
        _, mark = traded(intent, view)
        symbol, wish = intent.sized.instrument, intent.account_intent.intent
        if mark is None:
            return missing("mark", f"no quote for {symbol}")
        reach, sign = entry_price(wish, mark), wish.side.sign
        for resting in view.resting:
            if resting.side is not wish.side and resting.instrument == symbol and not (resting.price - reach) * sign > 0:
                return Refuse("self_trade", f"a {wish.side.value} that reaches {reach} would meet {resting.client_order_id} "
                              f"of {resting.account} at {resting.price}",
                              {"reach": str(reach), "resting": str(resting.price)})
        return Allow({"reach": str(reach)})
