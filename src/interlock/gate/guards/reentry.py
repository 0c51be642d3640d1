"""Guard 11: not again at once, not too often, and not the other way in the same breath."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.model.money import MINUTE, SECOND, Nanos
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class ReentryCooldown:
    """After a stop-out a rest in that direction; entries per direction and day; a pause before the opposite signal.

    The whole underlying counts as one zone, with an allowance of entries that fits a day and not a price level.
    """

    name: ClassVar[str] = "guard.11_reentry_cooldown"
    needs_quantity: ClassVar[bool] = False
    cooldown: Nanos = 15 * MINUTE
    opposite_wait: Nanos = 60 * SECOND
    entries_per_day_max: int = 20

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        side, now, memory = intent.account_intent.intent.side, view.now, view.memory
        same, opposite = side.value, side.opposite.value
        for stopped, ts in memory.ts_stop_outs:
            left = self.cooldown - (now - ts)
            if stopped == same and not left <= 0:
                return Refuse("cooldown", f"Cooldown {left // SECOND}s left ({view.instrument.parent} {same})",
                              {"left": str(left)})
        for entered, ts in memory.ts_entries:
            left = self.opposite_wait - (now - ts)
            if entered == opposite and not left <= 0:
                return Refuse("opposite_wait", f"{left // SECOND}s left after the opposite entry", {"left": str(left)})
        entries = 0
        for entered, count in memory.entries_today:
            if entered == same:
                entries += count
        if 0 <= entries < self.entries_per_day_max:
            return Allow({"entries": str(entries)})
        return Refuse("entries_per_day", f"{entries} {same} entries today, limit {self.entries_per_day_max}",
                      {"entries": str(entries), "limit": str(self.entries_per_day_max)})
