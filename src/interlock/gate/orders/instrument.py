"""What may be traded in this account."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class InstrumentAllowed:
    """The instrument stands in the account's list; an empty list allows any in paper and none in live."""

    name: ClassVar[str] = "order.instrument"
    needs_quantity: ClassVar[bool] = False

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        symbol, symbols = intent.sized.instrument, view.limits.symbols
        if symbol in symbols or (not symbols and view.mode == "paper"):
            return Allow()
        return Refuse("instrument_not_allowed", f"{symbol} is not on the list of {view.account.account}",
                      {"allowed": " ".join(symbols)})
