"""Which guard is asked for which source. Code, not configuration: no file and no setting can change it."""

from types import MappingProxyType
from typing import ClassVar, Final

from interlock.model.signal import Source
from interlock.model.verdict import CheckAnswer, NotApplicable, SizedIntent
from interlock.model.view import GateView

_ALL: Final = frozenset(Source)

APPLIES: Final = MappingProxyType({
    "guard.1_time_window": _ALL,
    "guard.2_data_quality": _ALL,
    "guard.3_risk_limits": _ALL,
    "guard.4_position_count": _ALL,
    "guard.5_directional_concentration": _ALL,
    "guard.6_entry_slippage": _ALL,
    "guard.7_trajectory_alignment": frozenset({Source.OPTIONS, Source.BARS}),
    "guard.8_day_type": frozenset({Source.OPTIONS}),
    "guard.9_degradation": _ALL,
    "guard.10_liquidity": _ALL,
    "guard.11_reentry_cooldown": _ALL,
})


class Inapplicable:
    """Stands in the place of a guard that the table leaves out, and says so in the record."""

    needs_quantity: ClassVar[bool] = False

    def __init__(self, name: str, source: Source) -> None:
        self.name = name
        self._answer = NotApplicable(f"not asked for {source.value}")

    def check(self, _: SizedIntent, __: GateView) -> CheckAnswer:
        return self._answer
