"""Phase 5: the size, computed once more, and what it loses at its stop."""

from dataclasses import dataclass, field
from typing import ClassVar

from interlock.gate.sizing import SizingRules, size
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class SizeConfirmed:
    """Recomputing gives the same instrument and quantity, and its planned loss is within the cap."""

    name: ClassVar[str] = "phase.5_size"
    needs_quantity: ClassVar[bool] = False
    sizing: SizingRules = field(default_factory=SizingRules)

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        sized, cap = intent.sized, self.sizing.risk_per_trade
        again = size(intent.account_intent, view, self.sizing)
        if again != sized:
            return Refuse("size_differs", f"sized {sized.quantity} {sized.instrument}, "
                          f"recomputed {again.quantity} {again.instrument}")
        if not sized.quantity > 0:
            return Refuse(sized.code or "risk_budget", sized.why,
                          {"risk_per_unit": str(sized.risk_per_unit), "cap": str(cap)})
        if 0 < sized.risk <= cap:
            return Allow({"quantity": str(sized.quantity), "risk": str(sized.risk), "cap": str(cap)})
        return Refuse("risk_over_cap", f"planned loss {sized.risk} is above the cap {cap}",
                      {"risk": str(sized.risk), "cap": str(cap)})
