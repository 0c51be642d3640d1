"""Guard 7: the way prices were going agrees with what the set-up needs."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.gate.quality import usable
from interlock.model.money import SECOND, Nanos
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView

REVERSALS = ("bounce", "reclaim", "m1", "m4")
CONTINUATIONS = ("", "continuation")
"""A set-up without a name is held to the stricter rule."""


@dataclass(frozen=True)
class TrajectoryAlignment:
    """Continuation: the slope points its way. Reversal: it is not steeply against it, and not getting worse."""

    name: ClassVar[str] = "guard.7_trajectory_alignment"
    needs_quantity: ClassVar[bool] = False
    continuation_min: float = 0.15
    reversal_min: float = -0.60
    age_max: Nanos = 90 * SECOND

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        wish = intent.account_intent.intent
        slope = usable(view, "trajectory", self.age_max)
        first = usable(view, "trajectory_first", self.age_max)
        second = usable(view, "trajectory_second", self.age_max)
        if isinstance(slope, Refuse):
            return slope
        if isinstance(first, Refuse):
            return first
        if isinstance(second, Refuse):
            return second
        sign, setup = wish.side.sign, wish.setup
        along = sign * slope
        numbers = {"trajectory": repr(slope), "first": repr(first), "second": repr(second)}
        if setup in CONTINUATIONS:
            if along >= self.continuation_min:
                return Allow(numbers)
        elif setup in REVERSALS:
            if along >= self.reversal_min and sign * second >= sign * first:
                return Allow(numbers)
        else:
            return Refuse("setup_unknown", f"no rule for the set-up {setup!r}", numbers)
        return Refuse("trajectory", f"Trajectory {slope:.2f} against {wish.side.value}", numbers)
