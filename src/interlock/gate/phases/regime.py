"""Phase 4: what the lane's detector says about the market, and how lately it looked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from interlock.gate.check import missing
from interlock.model.money import MINUTE, Nanos
from interlock.model.signal import Source
from interlock.model.verdict import Allow, CheckAnswer, NotRequired, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class RegimeConditions:
    """A regime that is named and young enough; of the allowed ones where the strategy (or lane) has a list.

    A lane that declares no detector is answered `not_required` in paper, and in live for alerts only.
    """

    name: ClassVar[str] = "phase.4_regime"
    needs_quantity: ClassVar[bool] = False
    age_max: Nanos = 30 * MINUTE
    allowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)   # by strategy or lane; not listed: any

    def check(self, _: SizedIntent, view: GateView) -> CheckAnswer:
        if view.regime_detector == "none":
            if view.mode == "paper" or (view.mode == "live" and view.source is Source.ALERTS):
                return NotRequired("the lane declares no regime detector")
            return Refuse("regime_required", f"a live lane for {view.source.value} needs a regime detector")
        regime = view.regime
        if regime is None:
            return missing("regime", f"{view.regime_detector} has no regime yet")
        if not regime.name or regime.name == "unknown" or regime.detector != view.regime_detector:
            return missing("regime", f"expected a regime of {view.regime_detector}, found {regime.name!r} "
                           f"of {regime.detector!r}")
        age = view.now - regime.ts_known
        if not 0 <= age <= self.age_max:
            return Refuse("regime_old", f"{view.regime_detector} last looked {age} ns ago, {self.age_max} allowed",
                          {"age": str(age), "age_max": str(self.age_max)})
        allowed = self.allowed.get(view.strategy, self.allowed.get(view.lane))
        if allowed is None or regime.name in allowed:
            return Allow({"regime": regime.name, "age": str(age)})
        return Refuse("regime_not_allowed", f"{view.strategy} does not trade in {regime.name}",
                      {"regime": regime.name, "allowed": " ".join(allowed)})
