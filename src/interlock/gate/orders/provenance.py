"""A price that is not live moves no live account."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.gate.check import missing, traded
from interlock.model.account import Truth
from interlock.model.market import Provenance
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class PriceProvenance:
    name: ClassVar[str] = "order.provenance"
    needs_quantity: ClassVar[bool] = False

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        _, mark = traded(intent, view)
        if mark is None:
            return missing("mark", f"no quote for {intent.sized.instrument}")
        truth, provenance = view.account.truth, Provenance(mark.provenance)
        simulated = view.mode == "paper" and truth in (Truth.PAPER_SIM, Truth.RUNTIME_SIM)
        if provenance is Provenance.LIVE or simulated:
            return Allow({"provenance": provenance.name.lower()})
        return Refuse("price_not_live", f"a {provenance.name.lower()} price for an account that is {truth.value}")
