"""Prices on the order tick, the quantity in whole lots."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.gate.check import traded
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class TickAndLot:
    """Every price of the order is a multiple of the tick, its quantity a positive multiple of the lot."""

    name: ClassVar[str] = "order.tick_and_lot"
    needs_quantity: ClassVar[bool] = True

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        instrument, _ = traded(intent, view)
        quantity, wish = intent.sized.quantity, intent.account_intent.intent
        if not instrument.is_on_lot(quantity):
            return Refuse("off_lot", f"{quantity} is no positive multiple of the lot {instrument.lot}")
        for price in (wish.stop, wish.target, wish.limit):
            if price is not None and not instrument.is_on_tick(price):
                return Refuse("off_tick", f"{price} is no multiple of the tick {instrument.tick}",
                              {"price": str(price), "tick": str(instrument.tick)})
        return Allow()
