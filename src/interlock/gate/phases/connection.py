"""Phase 1: the broker is there, has named the account, and proved so a moment ago."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.gate.check import missing
from interlock.model.money import SECOND, Nanos
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class Connection:
    """Line up, account named by the broker, last proof of the user stream at most `proof_age_max` old."""

    name: ClassVar[str] = "phase.1_connection"
    needs_quantity: ClassVar[bool] = False
    proof_age_max: Nanos = 5 * SECOND

    def check(self, _: SizedIntent, view: GateView) -> CheckAnswer:
        account = view.account
        if account.is_line_up is not True:
            return Refuse("line_down", f"the line to the broker of {account.account} is down")
        if not account.account_id:
            return missing("account_id", f"the broker has not named {account.account}")
        if account.ts_proof is None:
            return missing("proof", f"no proof that the stream of {account.account} is alive")
        age = view.now - account.ts_proof
        if 0 <= age <= self.proof_age_max:
            return Allow({"proof_age": str(age)})
        return Refuse("proof_old",
                      f"the last proof of the broker's stream is {age} ns old, {self.proof_age_max} allowed",
                      {"proof_age": str(age), "proof_age_max": str(self.proof_age_max)})
