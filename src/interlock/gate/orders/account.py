"""The account itself: enabled, and its entries not frozen."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class AccountOpen:
    """A person has not disabled it, and neither drift nor the start gate freezes its entries."""

    name: ClassVar[str] = "account"
    needs_quantity: ClassVar[bool] = False

    def check(self, _: SizedIntent, view: GateView) -> CheckAnswer:
        account = view.account
        if account.is_enabled is not True:
            return Refuse("account_disabled", f"{account.account} is disabled")
        if account.frozen_by is None:
            return Allow()
        return Refuse("account_frozen", f"entries of {account.account} are frozen: {account.frozen_by}")
