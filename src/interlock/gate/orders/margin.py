"""Margin, where the broker tells it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from interlock.gate.check import is_number, missing
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class MarginCap:
    """What is tied up, by orders that may still fill and by this one too, is at most a share of the equity.

    A broker that tells neither what an account uses nor what a contract needs is judged by its notional alone. One that
    tells only half of it is not known well enough.
    """

    name: ClassVar[str] = "order.margin"
    needs_quantity: ClassVar[bool] = True
    share_max: Decimal = Decimal("0.50")

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        account, symbol = view.account, intent.sized.instrument
        told = view.definition if symbol == view.instrument.symbol else view.micro_definition
        used, per = account.margin_used, None if told is None else told.margin
        if used is None and per is None:
            return Allow({"margin": "not told"})
        if not is_number(used) or not is_number(per) or not per >= 0:
            return missing("margin", f"the broker tells margin, and not what {account.account} or {symbol} needs")
        if not is_number(account.equity):
            return missing("equity")
        after = used + intent.sized.quantity * per
        numbers = {"after": str(after), "equity": str(account.equity)}
        if after <= self.share_max * account.equity:
            return Allow(numbers)
        return Refuse("margin", f"margin would be {after}, above {self.share_max} of equity {account.equity}", numbers)
