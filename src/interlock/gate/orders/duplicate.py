"""The same signal once."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.gate.check import missing
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class SignalOnce:
    """No entry with the same key (source, underlying, side, bar) was cleared for this account before."""

    name: ClassVar[str] = "order.duplicate"
    needs_quantity: ClassVar[bool] = False

    def check(self, _: SizedIntent, view: GateView) -> CheckAnswer:
        if not view.signal_key:
            return missing("signal_key")
        if view.signal_key not in view.memory.signal_keys:
            return Allow()
        return Refuse("duplicate_signal", f"{view.signal_key} was already cleared for {view.account.account}")
