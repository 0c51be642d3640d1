"""What we take the instrument for is what the account's broker takes it for."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.gate.check import missing
from interlock.model.money import DAY, Nanos
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class DefinitionFits:
    """Tick, lot, multiplier and currency equal the broker's own; the contract neither expires soon nor is being rolled."""

    name: ClassVar[str] = "order.definition"
    needs_quantity: ClassVar[bool] = False
    expiry_block: Nanos = DAY

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        symbol, ours, told = intent.sized.instrument, view.instrument, view.definition
        if symbol != ours.symbol:
            if view.micro is None or symbol != view.micro.symbol:
                return missing("definition", f"the view does not show {symbol}")
            ours, told = view.micro, view.micro_definition
        if told is None or told.instrument != symbol:
            return missing("definition", f"the broker has not told what {symbol} is")
        if not (told.tick == ours.tick and told.lot == ours.lot and told.multiplier == ours.multiplier
                and told.currency == ours.currency):
            return Refuse("definition_differs", f"{symbol}: tick, lot, multiplier, currency are {told.tick}, {told.lot}, "
                          f"{told.multiplier}, {told.currency} by the broker's word, {ours.tick}, {ours.lot}, {ours.multiplier}, "
                          f"{ours.currency} by ours",
                          {"tick": str(told.tick), "lot": str(told.lot), "multiplier": str(told.multiplier),
                           "currency": told.currency})
        now = view.now
        if told.ts_expiry is not None:
            left = told.ts_expiry - now
            if not left > 0:
                return Refuse("expired", f"{symbol} expired {-left} ns ago", {"left": str(left)})
            if not left > self.expiry_block:
                return Refuse("roll_block", f"{symbol} expires in {left} ns, {self.expiry_block} needed",
                              {"left": str(left), "left_min": str(self.expiry_block)})
        if told.ts_roll is not None and not now < told.ts_roll:
            return Refuse("roll_block", f"{symbol} is being rolled since {told.ts_roll}", {"roll": str(told.ts_roll)})
        return Allow()
