"""Guard 3: the limits of trade, day, week and streak, of leverage, and of all accounts together."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from interlock.gate.check import is_number, missing, opposite_quote, traded
from interlock.model.signal import Source
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class RiskLimits:
    """Shares are of the equity at the day's start; the smaller of amount and share binds.

    `all_` counts every account; `options_` binds that source besides.
    """

    name: ClassVar[str] = "guard.3_risk_limits"
    needs_quantity: ClassVar[bool] = True
    daily_loss: Decimal = Decimal(1_000)
    daily_loss_share: Decimal = Decimal("0.02")
    weekly_loss: Decimal = Decimal(2_500)
    weekly_loss_share: Decimal = Decimal("0.05")
    losses_in_a_row_max: int = 6                      # of this trade date
    leverage_max: Decimal = Decimal(20)               # notional of all that is open, per equity
    options_risk_max: Decimal = Decimal(120)
    options_daily_loss: Decimal = Decimal(360)
    options_losses_in_a_row_max: int = 3
    all_daily_loss: Decimal = Decimal(10_000)
    all_orders_per_minute: int = 600
    all_notional: Decimal = Decimal(25_000_000)

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        account = view.account
        day, week, equity, start = account.day_pnl, account.week_pnl, account.equity, account.day_start_equity
        if not is_number(day):
            return missing("day_pnl")
        if not is_number(week):
            return missing("week_pnl")
        if not is_number(equity):
            return missing("equity")
        if not is_number(start):
            return missing("day_start_equity")
        limit = min(self.daily_loss, self.daily_loss_share * start)
        week_limit = min(self.weekly_loss, self.weekly_loss_share * start)
        streak_max, is_options = self.losses_in_a_row_max, view.source is Source.OPTIONS
        if is_options:
            limit, streak_max = min(limit, self.options_daily_loss), self.options_losses_in_a_row_max
            if not intent.sized.risk <= self.options_risk_max:
                return Refuse("trade_risk", f"planned loss {intent.sized.risk} of {self.options_risk_max}")
        if not day > -limit:
            return Refuse("day_loss_limit", f"Daily loss {-day} of {limit}", {"day_pnl": str(day), "limit": str(limit)})
        if not week > -week_limit:
            return Refuse("week_loss_limit", f"Weekly loss {-week} of {week_limit}",
                          {"week_pnl": str(week), "limit": str(week_limit)})
        if not 0 <= account.consecutive_losses < streak_max:
            return Refuse("losses_in_a_row", f"{account.consecutive_losses} losses in a row, limit {streak_max}",
                          {"losses": str(account.consecutive_losses), "limit": str(streak_max)})
        all_day = view.all_day_pnl
        if not is_number(all_day):
            return missing("all_day_pnl")
        if not all_day > -self.all_daily_loss:
            return Refuse("all_daily_loss", f"Daily loss of all accounts {-all_day} of {self.all_daily_loss}")
        if not 0 <= view.all_orders_last_minute < self.all_orders_per_minute:
            return Refuse("all_order_rate", f"{view.all_orders_last_minute} orders of all accounts in the last minute")
        return self._notional(intent, view, equity, day)

    def _notional(self, intent: SizedIntent, view: GateView, equity: Decimal, day: Decimal) -> CheckAnswer:
        instrument, mark = traded(intent, view)
        if mark is None:
            return missing("mark", f"no quote for {instrument.symbol}")
        side, name = intent.account_intent.intent.side, view.account.account
        own = value = intent.sized.quantity * opposite_quote(side, mark) * instrument.multiplier
        for held in view.held:
            if held.account == name:
                own += held.notional
        for pending in view.pending:
            if pending.account == name:
                own += pending.notional
        if not is_number(view.all_notional):
            return missing("all_notional", "the value of all that is open is not known")
        everyone = view.all_notional + value
        numbers = {"day_pnl": str(day), "notional": str(own), "all_notional": str(everyone)}
        if not everyone <= self.all_notional:
            return Refuse("all_notional", f"notional of all accounts would be {everyone} of {self.all_notional}",
                          numbers)
        if own <= self.leverage_max * equity:
            return Allow(numbers)
        return Refuse("leverage", f"notional would be {own}, {self.leverage_max} times equity {equity} allowed",
                      numbers)
