"""No entry against a position that is open: it would be an exit without an exit's checks, and a bracket on the wrong side."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.gate.check import is_number, missing, underlying
from interlock.model.money import plain
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class NoReversal:
    """The account holds nothing on the other side of the underlying, by our book and, of this instrument, by the broker's."""

    name: ClassVar[str] = "order.reversal"
    needs_quantity: ClassVar[bool] = False

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        account, sign = view.account, intent.account_intent.intent.side.sign
        if not is_number(account.broker_position):
            return missing("broker_position", "the broker has not told its position")
        parent = view.instrument.parent
        against = [held for held in view.held if held.account == account.account and held.quantity * sign < 0
                   and underlying(held.instrument, held.parent) == parent]
        if not against and not account.broker_position * sign < 0:
            return Allow()
        held = ", ".join(f"{plain(each.quantity)} {each.instrument}" for each in against) or plain(account.broker_position)
        return Refuse("position_opposite", f"{account.account} holds {held}; close it first, a reversal needs a second signal "
                      "once flat", {"held": held})
