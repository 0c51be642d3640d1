"""Exits never cross zero, whichever of the live ones fill."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Final

from interlock.gate.check import is_number, missing
from interlock.gate.sizing import reducible
from interlock.model.signal import Purpose
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView

_PAIR: Final = {Purpose.PROTECT: Purpose.TARGET, Purpose.TARGET: Purpose.PROTECT}


@dataclass(frozen=True)
class NeverCrossesZero:
    """This exit and all others that may be live together stay within the position.

    Exits that the venue links count as one, those it keeps reduce-only not at all, the one this replaces not besides.
    Where the account lets an emulated pair rest, a stop does not count against a target, nor a target against a stop:
    the first fill cancels the other, and the double fill is charged as exposure.
    """

    name: ClassVar[str] = "exit.never_crosses_zero"
    needs_quantity: ClassVar[bool] = True

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        if view.exits is None:
            return missing("exits", "which exits are live is not known")
        ours, theirs = view.account.position, view.account.broker_position
        if not is_number(theirs):
            return missing("broker_position", "the broker has not told its position")
        wish = intent.account_intent.intent
        room = reducible(wish, ours, theirs)
        new, alone = intent.sized.quantity, Decimal(0)
        linked: dict[str, Decimal] = {}
        for live in view.exits:
            if live.side is not wish.side or live.is_reduce_only:
                continue
            if view.account.pair_may_rest and _PAIR.get(wish.purpose) is live.purpose:
                continue
            if live.client_order_id == wish.replaces:
                new = max(new, live.remaining)
            elif live.group:
                linked[live.group] = max(linked.get(live.group, Decimal(0)), live.remaining)
            else:
                alone += live.remaining
        total = new + alone + sum(linked.values(), Decimal(0))
        numbers = {"total": str(total), "room": str(room)}
        if total <= room:
            return Allow(numbers)
        return Refuse("may_cross_zero", f"with the exits that may be live {total} could fill against {room} held",
                      numbers)
