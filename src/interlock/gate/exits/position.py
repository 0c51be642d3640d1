"""An exit reduces: the smaller of our position and the broker's, freshly told; a flatten the broker's, just read."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.gate.check import is_number, missing
from interlock.gate.sizing import reducible
from interlock.model.money import SECOND, Nanos
from interlock.model.signal import Purpose
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class ReducesPosition:
    """Side against the position, quantity within what both books hold, broker's word at most `proof_age_max` old.

    A flatten is held to the broker's book alone, and to a reading of the whole account at most `read_age_max` old.
    """

    name: ClassVar[str] = "exit.position"
    needs_quantity: ClassVar[bool] = False
    proof_age_max: Nanos = 30 * SECOND
    read_age_max: Nanos = 15 * SECOND

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
        wish = intent.account_intent.intent
        if wish.purpose is Purpose.FLATTEN:
            if account.ts_read is None:
                return missing("read", f"{account.account} was not read")
            age = view.now - account.ts_read
            if not 0 <= age <= self.read_age_max:
                return Refuse("broker_position_old", f"the account was read {age} ns ago, {self.read_age_max} allowed",
                              {"age": str(age), "age_max": str(self.read_age_max)})
        room = reducible(wish, ours, theirs)
        numbers = {"quantity": str(sized.quantity), "ours": str(ours), "theirs": str(theirs)}
        if 0 < sized.quantity <= room:
            return Allow(numbers)
        if not sized.quantity > 0:
            return Refuse(sized.code or "nothing_to_exit", sized.why, numbers)
        return Refuse("exit_over_position", f"{sized.quantity} is more than the {room} that may be closed", numbers)
