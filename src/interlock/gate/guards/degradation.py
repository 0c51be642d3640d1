"""Guard 9: a source that has been losing stops."""

from dataclasses import dataclass, field
from typing import ClassVar

from interlock.gate.record import RecordRules, stand
from interlock.model.money import MINUTE, Nanos
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class Degradation:
    """The last closed trades of the source: mean, profit factor and hits. Too few of them pass, at half size.

    A degraded source rests for `rest` after its last closed trade and then may try again at half size, one trade per
    rest, until its record is in order. In live it rests until a person resets it.
    """

    name: ClassVar[str] = "guard.9_degradation"
    needs_quantity: ClassVar[bool] = False
    record: RecordRules = field(default_factory=RecordRules)
    rest: Nanos = 240 * MINUTE

    def check(self, _: SizedIntent, view: GateView) -> CheckAnswer:
        standing = stand(view.record, self.record)
        numbers = {"trades": str(standing.trades)}
        if standing.is_short:
            return Allow({**numbers, "half_size": "too few trades"})
        if not standing.metric:
            return Allow(numbers)
        last = view.record.ts_last
        if view.mode == "paper" and last is not None and view.now - last >= self.rest:
            return Allow({**numbers, "half_size": "on trial"})
        return Refuse("degraded", f"Source degraded: {standing.metric}={standing.value}",
                      {**numbers, standing.metric: standing.value})
