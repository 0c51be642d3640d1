"""An exit reduces: the smaller of our position and the broker's, freshly told."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.gate.check import is_number, missing
from interlock.model.money import SECOND, Nanos
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class ReducesPosition:
    """Side against the position, quantity within what both books hold, broker's word at most `proof_age_max` old."""

    name: ClassVar[str] = "exit.position"
    needs_quantity: ClassVar[bool] = False
    proof_age_max: Nanos = 30 * SECOND

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        account, sized = view.account, intent.sized
        ours, theirs = account.position, account.broker_position
        if not is_number(theirs):
            return missing("broker_position", "the broker has not told its position")
        if account.ts_proof is None:
            return missing("proof", f"no proof that the stream of {account.account} is alive")
        age = view.now - account.ts_proof
        if not 0 <= age <= self.proof_age_max:
            return Refuse("broker_position_old", f"the broker's position is {age} ns old, {self.proof_age_max} allowed",
                          {"age": str(age), "age_max": str(self.proof_age_max)})
        sign = -intent.account_intent.intent.side.sign
        room = min(ours * sign, theirs * sign)
        numbers = {"quantity": str(sized.quantity), "ours": str(ours), "theirs": str(theirs)}
        if 0 < sized.quantity <= room:
            return Allow(numbers)
        if not sized.quantity > 0:
            return Refuse(sized.code or "nothing_to_exit", sized.why, numbers)
        return Refuse("exit_over_position", f"{sized.quantity} is more than the {room} that both books hold", numbers)
