"""How much value may be cleared within a minute."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from interlock.gate.check import is_number, missing, traded
from interlock.gate.sizing import entry_price
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class ValueRate:
    """The value of the entries cleared in the last minute, this one on top: of this account, and of all together.

    Counted when an entry is cleared, whatever becomes of it.
    """

    name: ClassVar[str] = "order.value_rate"
    needs_quantity: ClassVar[bool] = True
    value_max: Decimal = Decimal(1_000_000)
    all_value_max: Decimal = Decimal(25_000_000)

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        instrument, mark = traded(intent, view)
        if mark is None:
            return missing("mark", f"no quote for {instrument.symbol}")
        own, everyone = view.account.value_last_minute, view.all_value_last_minute
        if not is_number(own):
            return missing("value_last_minute", "what was cleared in the last minute is not known")
        if not is_number(everyone):
            return missing("all_value_last_minute", "what was cleared in all accounts in the last minute is not known")
        value = intent.sized.quantity * entry_price(intent.account_intent.intent, mark) * instrument.multiplier
        own, everyone = own + value, everyone + value
        numbers = {"value": str(value), "minute": str(own), "all_minute": str(everyone)}
        if not own <= self.value_max:
            return Refuse("value_rate", f"{own} would be cleared within a minute, {self.value_max} allowed", numbers)
        if not everyone <= self.all_value_max:
            return Refuse("all_value_rate", f"{everyone} would be cleared within a minute in all accounts, "
                          f"{self.all_value_max} allowed", numbers)
        return Allow(numbers)
