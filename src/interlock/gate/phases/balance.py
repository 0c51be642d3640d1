"""Phase 2: what the account has against what is at stake."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from interlock.gate.check import is_number, missing
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class Balance:
    """Equity and balance above a minimum; planned loss, alone and with all that is open, a small share of equity."""

    name: ClassVar[str] = "phase.2_balance"
    needs_quantity: ClassVar[bool] = False
    balance_min: Decimal = Decimal(1_000)
    risk_share_max: Decimal = Decimal("0.02")
    open_risk_share_max: Decimal = Decimal("0.06")

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        account, risk = view.account, intent.sized.risk
        if not is_number(account.equity):
            return missing("equity")
        if not is_number(account.balance):
            return missing("balance")
        equity = account.equity
        if not (equity > 0 and min(equity, account.balance) >= self.balance_min):
            return Refuse("balance_low", f"equity {equity}, balance {account.balance}, at least {self.balance_min}",
                          {"equity": str(equity), "balance": str(account.balance), "min": str(self.balance_min)})
        if not risk <= self.risk_share_max * equity:
            return Refuse("risk_over_balance", f"planned loss {risk} is above {self.risk_share_max} of equity {equity}",
                          {"risk": str(risk), "equity": str(equity), "share_max": str(self.risk_share_max)})
        total = risk
        for held in view.held:
            if held.account == account.account:
                total += held.risk
        for pending in view.pending:
            if pending.account == account.account:
                total += pending.risk
        if total <= self.open_risk_share_max * equity:
            return Allow({"open_risk": str(total), "equity": str(equity)})
        return Refuse("open_risk_over_balance",
                      f"planned loss of all that is open would be {total}, above {self.open_risk_share_max} "
                      f"of {equity}",
                      {"open_risk": str(total), "equity": str(equity), "share_max": str(self.open_risk_share_max)})
