"""What the account really is fits what the state directory is for."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.model.account import Truth
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView

_FITS = {"paper": (Truth.PAPER_SIM, Truth.RUNTIME_SIM), "live": (Truth.BROKER_VERIFIED, Truth.RUNTIME_SIM)}


@dataclass(frozen=True)
class TruthFits:
    """Evidence says paper in a paper directory and broker-verified in a live one; unknown fits neither.

    A venue simulator fits both: in a live directory it is a rehearsal. That a broker's demo environment does not pass for
    live was settled before, when the endpoint's own name was compared with the mode.
    """

    name: ClassVar[str] = "truth"
    needs_quantity: ClassVar[bool] = False

    def check(self, _: SizedIntent, view: GateView) -> CheckAnswer:
        truth = view.account.truth
        if truth in _FITS.get(view.mode, ()):
            return Allow({"truth": truth.value})
        if truth is Truth.UNKNOWN:
            return Refuse("truth_unknown", f"nothing shows what {view.account.account} is")
        return Refuse("truth_mismatch", f"{view.account.account} is {truth.value}, the state directory is {view.mode}")
