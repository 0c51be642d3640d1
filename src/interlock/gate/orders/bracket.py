"""The stop on the losing side and the target on the winning side of where the entry would fill."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.gate.check import missing, traded
from interlock.gate.sizing import entry_price
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class BracketSides:
    name: ClassVar[str] = "order.bracket"
    needs_quantity: ClassVar[bool] = False

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        _, mark = traded(intent, view)
        wish = intent.account_intent.intent
        if mark is None:
            return missing("mark", f"no quote for {intent.sized.instrument}")
        if wish.stop is None:
            return missing("stop", "an entry without a stop")
        entry, sign = entry_price(wish, mark), wish.side.sign
        if not (entry - wish.stop) * sign > 0:
            return Refuse("bracket_stop_side", f"stop {wish.stop} is not on the losing side of {entry}")
        if wish.target is None or (wish.target - entry) * sign > 0:
            return Allow({"entry": str(entry)})
        return Refuse("bracket_target_side", f"target {wish.target} is not on the winning side of {entry}")
