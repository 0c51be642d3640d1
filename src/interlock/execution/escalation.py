"""Alarms that do not let themselves be forgotten: raised again, ever more rarely, until their cause is gone."""

from typing import Final

from interlock.execution.state import Outputs, Situation, earliest
from interlock.model.money import MINUTE, Nanos
from interlock.model.record import Alarm, AlarmCleared

ESCALATING: Final = ("exit.", "flatten.", "kill.", "not_flat.")
"""Keys of alarms that escalate begin with one of these; the n-th time the key ends in #n."""
_STEPS: Final = (1, 2, 5, 10, 15)
"""Minutes from one level to the next; the last one repeats."""


def on_tick(situation: Situation, ts: Nanos) -> Outputs:
    """Whatever has stood for long enough is raised once more."""
    for key, standing in tuple(situation.folded.standing.items()):
        if ts < _due(standing.ts, standing.level):
            continue
        if standing.level > 1:
            yield AlarmCleared(f"{key}#{standing.level}")
        yield Alarm(f"{key}#{standing.level + 1}", "critical", f"{standing.text} (still so; call {standing.level + 1})")


def next_wake(situation: Situation) -> Nanos | None:
    return earliest(_due(standing.ts, standing.level) for standing in situation.folded.standing.values())


def _due(ts: Nanos, level: int) -> Nanos:
    return ts + _STEPS[min(level, len(_STEPS)) - 1] * MINUTE
