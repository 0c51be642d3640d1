"""Whether the strategy is on."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class StrategyOn:
    """It has neither broken, nor been throttled, nor been refused over and over since a person last enabled it."""

    name: ClassVar[str] = "order.strategy"
    needs_quantity: ClassVar[bool] = False

    def check(self, _: SizedIntent, view: GateView) -> CheckAnswer:
        if view.disabled_by is None:
            return Allow()
        return Refuse("order.strategy_off", f"{view.strategy} is off until a person enables it: {view.disabled_by}")
