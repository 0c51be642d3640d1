"""Guard 8: the set-up is allowed on a day of today's type."""

import math
from dataclasses import dataclass
from typing import ClassVar, Final

from interlock.gate.check import missing
from interlock.model.money import DAY, MINUTE, Nanos
from interlock.model.signal import Side
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView

DRIFTS: Final = {"trend_up": Side.BUY, "trend_down": Side.SELL}
PLAIN: Final = ("normal", "opex")


@dataclass(frozen=True)
class DayType:
    """What each type of day blocks:

    trend_up, trend_down: a bounce against the drift; range: a break; event: everything until a while after the last
    release; half_day: everything from 12:15 on; unknown (before the type is decided): all but a retest or reclaim of high
    confidence. Nothing is blocked on a normal day or on the day of the monthly expiry.
    """

    name: ClassVar[str] = "guard.8_day_type"
    needs_quantity: ClassVar[bool] = False
    after_event: Nanos = 15 * MINUTE
    half_day_minute: int = 12 * 60 + 15                # of the exchange's day
    confidence_min: float = 0.70

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        day, wish = view.day_type, intent.account_intent.intent
        if day is None:
            return missing("day_type", "the type of the day is not known")
        allowed, setup = Allow({"day_type": day, "setup": wish.setup}), wish.setup
        if day in PLAIN:
            return allowed
        if day in DRIFTS:
            return allowed if setup != "bounce" or wish.side is DRIFTS[day] else self._no(day, setup)
        if day == "range":
            return allowed if setup != "break" else self._no(day, setup)
        if day == "half_day":
            return allowed if 0 <= view.session.local_minute < self.half_day_minute else self._no(day, setup)
        if day == "event":
            return self._event(view, allowed)
        if day == "unknown":
            return self._unknown(setup, wish.confidence, allowed)
        return missing("day_type", f"{day!r} is no type of day")

    @staticmethod
    def _no(day: str, setup: str) -> Refuse:
        return Refuse("day_type", f"{setup or 'a set-up without a name'} not allowed on {day}", {"day_type": day, "setup": setup})

    def _event(self, view: GateView, allowed: Allow) -> CheckAnswer:
        close = view.session.ts_close
        today = [ts for _, ts in view.events or () if close - DAY < ts < close]
        if not today:
            return missing("events", "a day with a release, and no calendar tells when it is")
        left = max(today) + self.after_event - view.now
        if left <= 0:
            return allowed
        return Refuse("day_type", f"event: {left} ns before entries are allowed", {"day_type": "event", "left": str(left)})

    def _unknown(self, setup: str, confidence: float | None, allowed: Allow) -> CheckAnswer:
        if setup not in ("retest", "reclaim"):
            return self._no("unknown", setup)
        if confidence is None or not math.isfinite(confidence):
            return missing("confidence", "the day's type is open, and the set-up does not say how sure it is")
        return allowed if confidence >= self.confidence_min else self._no("unknown", setup)
