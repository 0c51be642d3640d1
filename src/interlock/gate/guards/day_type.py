"""Guard 8: the set-up is allowed on a day of today's type."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.gate.check import missing
from interlock.model.verdict import CheckAnswer, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class DayType:
    """No view carries a type of day, so where this guard applies it refuses."""

    name: ClassVar[str] = "guard.8_day_type"
    needs_quantity: ClassVar[bool] = False

    def check(self, _: SizedIntent, __: GateView) -> CheckAnswer:
        return missing("day_type", "the type of the day is not known")
