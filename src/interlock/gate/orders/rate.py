"""Orders per minute, inside SafeBroker's own limit."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class OrderRate:
    """Orders of the last minute, and this one, leave `reserve` of SafeBroker's rate unused.

    SafeBroker's minute is that of the write, a moment after this one's; the reserve keeps its refusal a sign of fault.
    """

    name: ClassVar[str] = "order.rate"
    needs_quantity: ClassVar[bool] = False
    reserve: int = 1

    def check(self, _: SizedIntent, view: GateView) -> CheckAnswer:
        sent, limit = view.account.orders_last_minute, view.limits.orders_per_minute
        if 0 <= sent < limit - self.reserve:
            return Allow({"orders": str(sent), "limit": str(limit)})
        return Refuse("order_rate", f"{sent} orders in the last minute, {limit - self.reserve} allowed",
                      {"orders": str(sent), "limit": str(limit), "reserve": str(self.reserve)})
