"""The health tier: how well the desk sees and is heard. The first two shrink the size; the worse ones open nothing."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class TierOpens:
    """The worse of the lane's and the account's tier is 0, 1 or 2."""

    name: ClassVar[str] = "order.tier"
    needs_quantity: ClassVar[bool] = False

    def check(self, _: SizedIntent, view: GateView) -> CheckAnswer:
        tier = view.tier
        if 0 <= tier <= 2:
            return Allow({"tier": str(tier)})
        return Refuse("order.tier", f"tier {tier} opens nothing: {', '.join(view.tier_reasons)}", {"tier": str(tier)})
