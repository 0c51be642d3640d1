"""A price that is not live moves no real account: a venue simulator has none behind it, in a rehearsal of live either."""

from dataclasses import dataclass
from typing import ClassVar, Final

from interlock.gate.check import missing, traded
from interlock.model.account import Truth
from interlock.model.market import Provenance
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView

_NAMES: Final = {provenance: provenance.name.lower() for provenance in Provenance}


@dataclass(frozen=True)
class PriceProvenance:
    name: ClassVar[str] = "order.provenance"
    needs_quantity: ClassVar[bool] = False

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        _, mark = traded(intent, view)
        if mark is None:
            return missing("mark", f"no quote for {intent.sized.instrument}")
        truth, name = view.account.truth, _NAMES[mark.provenance]
        simulated = truth is Truth.RUNTIME_SIM or (view.mode == "paper" and truth is Truth.PAPER_SIM)
        if mark.provenance is Provenance.LIVE or simulated:
            return Allow({"provenance": name})
        return Refuse("price_not_live", f"a {name} price for an account that is {truth.value}")
