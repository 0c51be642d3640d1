"""Guard 1: the hour is one in which this may be traded."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.gate.check import missing
from interlock.model.money import MINUTE, Nanos
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


@dataclass(frozen=True)
class TimeWindow:
    """Session known and open, inside an entry window, away from big releases, and time enough before it must be flat.

    `windows` are [start, end) in minutes of the exchange's day; none given: the whole session. A window whose end is
    before its start runs over midnight. Without a calendar of releases paper uses none and live refuses.
    """

    name: ClassVar[str] = "guard.1_time_window"
    needs_quantity: ClassVar[bool] = False
    windows: tuple[tuple[int, int], ...] = ()
    before_flat_min: Nanos = 10 * MINUTE
    blackout: Nanos = 5 * MINUTE
    fomc_before: Nanos = 30 * MINUTE
    fomc_after: Nanos = 15 * MINUTE

    def check(self, _: SizedIntent, view: GateView) -> CheckAnswer:
        session, now = view.session, view.now
        if session.is_known is not True:
            return missing("session", f"the session of {view.instrument.symbol} is not known")
        if session.is_open is not True or not session.ts_open <= now < session.ts_close:
            return Refuse("session_closed", f"{view.instrument.symbol} is not in session")
        left = session.ts_flat - now
        if not left >= self.before_flat_min:
            return Refuse("near_flat", f"{left} ns before it must be flat, {self.before_flat_min} needed",
                          {"left": str(left), "left_min": str(self.before_flat_min)})
        if not 0 <= session.local_minute < 1440:
            return missing("local_minute", f"{session.local_minute} is no minute of a day")
        if self.windows and not any(_is_inside(session.local_minute, start, end) for start, end in self.windows):
            spans = ", ".join(f"{_clock(start)}-{_clock(end)}" for start, end in self.windows)
            return Refuse("outside_window", f"Outside window {spans}", {"minute": _clock(session.local_minute)})
        if view.events is None:
            if view.mode == "paper":
                return Allow({"left": str(left), "events": "no calendar"})
            return missing("events", "no calendar of releases is loaded")
        for name, ts in view.events:
            before, after = (self.fomc_before, self.fomc_after) if "FOMC" in name else (self.blackout, self.blackout)
            if not (now < ts - before or now > ts + after):
                return Refuse("event_blackout", f"Event {name} at {ts}", {"event": name, "ts": str(ts)})
        return Allow({"left": str(left)})


def _is_inside(minute: int, start: int, end: int) -> bool:
    return start <= minute < end if start <= end else minute >= start or minute < end
