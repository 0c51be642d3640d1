"""The kill latch."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class KillLatch:
    """No latch reaches this lane or account."""

    name: ClassVar[str] = "kill"
    needs_quantity: ClassVar[bool] = False

    def check(self, _: SizedIntent, view: GateView) -> CheckAnswer:
        if view.killed_by is None:
            return Allow()
        return Refuse("killed", f"the kill switch is latched: {view.killed_by}")
