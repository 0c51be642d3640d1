"""Phase 3: the day's loss, looking ahead: what is lost, and what would be if every stop were hit."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from interlock.gate.check import is_number, missing
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class DailyLoss:
    """Day P&L, less the planned loss of this and of pending orders, stays above the smallest of the day's limits.

    They are an amount, a share of the equity at the day's start, and SafeBroker's own.
    """

    name: ClassVar[str] = "phase.3_daily_loss"
    needs_quantity: ClassVar[bool] = False
    amount: Decimal = Decimal(1_000)
    share: Decimal = Decimal("0.02")

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        account = view.account
        if not is_number(account.day_pnl):
            return missing("day_pnl")
        if not is_number(account.day_start_equity):
            return missing("day_start_equity")
        limit = min(self.amount, self.share * account.day_start_equity, view.limits.daily_loss)
        ahead = account.day_pnl - intent.sized.risk
        for pending in view.pending:
            if pending.account == account.account:
                ahead -= pending.risk
        numbers = {"day_pnl": str(account.day_pnl), "ahead": str(ahead), "limit": str(limit)}
        if account.day_pnl > -limit and ahead > -limit:
            return Allow(numbers)
        return Refuse("daily_loss", f"day {account.day_pnl}, {ahead} if the stops were hit, limit {limit}", numbers)
