"""Guard 5: not everything on one side of one thing."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from interlock.gate.check import is_number, missing, opposite_quote, traded
from interlock.model.signal import Side
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class DirectionalConcentration:
    """Planned loss in one direction a share of the day's budget, few positions per group, net value of a group capped.

    Net value counts every member of a group with a beta of one.
    """

    name: ClassVar[str] = "guard.5_directional_concentration"
    needs_quantity: ClassVar[bool] = True
    same_direction_share: Decimal = Decimal("0.60")
    daily_loss_share: Decimal = Decimal("0.02")       # of equity at the day's start: the day's budget
    group_positions_max: int = 2
    net_value_max: Decimal = Decimal(20)              # of a group, per equity

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        account = view.account
        if not is_number(account.day_start_equity):
            return missing("day_start_equity")
        if not is_number(account.equity):
            return missing("equity")
        instrument, mark = traded(intent, view)
        if mark is None:
            return missing("mark", f"no quote for {instrument.symbol}")
        side, group = intent.account_intent.intent.side, instrument.group or instrument.symbol
        risk = intent.sized.risk
        net = side.sign * intent.sized.quantity * opposite_quote(side, mark) * instrument.multiplier
        members = {instrument.symbol: None}
        for held in view.held:
            if held.account != account.account or held.quantity == 0:
                continue
            sign = 1 if held.quantity > 0 else -1
            if sign == side.sign:
                risk += held.risk
            if (held.group or held.instrument) == group:
                members[held.instrument] = None
                net += sign * held.notional
        for pending in view.pending:
            if pending.account != account.account:
                continue
            if pending.side is side:
                risk += pending.risk
            if (pending.group or pending.instrument) == group:
                members[pending.instrument] = None
                # Worst case: what would add to this side fills, what would offset it does not.
                net += pending.side.sign * pending.notional if pending.side is side else 0
        direction = "long" if side is Side.BUY else "short"
        budget = self.daily_loss_share * account.day_start_equity
        numbers = {"risk": str(risk), "budget": str(budget), "net": str(net), "positions": str(len(members))}
        if not len(members) <= self.group_positions_max:
            return Refuse("group_positions",
                          f"{len(members)} positions in {group}, limit {self.group_positions_max}", numbers)
        if not abs(net) <= self.net_value_max * account.equity:
            return Refuse("group_value",
                          f"{group} {direction} net {net} is above {self.net_value_max} times equity", numbers)
        if risk <= self.same_direction_share * budget:
            return Allow(numbers)
        return Refuse("same_direction_risk", f"{group} {direction} risk {risk} is above {self.same_direction_share} "
                      f"of the day's {budget}", numbers)
