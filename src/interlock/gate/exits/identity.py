"""The account that an exit is for."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.gate.check import missing
from interlock.model.verdict import Allow, CheckAnswer, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class ExitAccount:
    """The broker has named it. Disabled, frozen or over its limits, it may still get out."""

    name: ClassVar[str] = "exit.account"
    needs_quantity: ClassVar[bool] = False

    def check(self, _: SizedIntent, view: GateView) -> CheckAnswer:
        if view.account.account_id:
            return Allow({"account_id": view.account.account_id})
        return missing("account_id", f"the broker has not named {view.account.account}")
