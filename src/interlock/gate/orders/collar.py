"""How far a price may lie from the market: narrow for what adds risk, wide for what reduces it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from interlock.gate.check import is_number, missing, traded
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


def _outside(what: str, price: Decimal, reference: Decimal, share: Decimal) -> Refuse | None:
    if abs(price - reference) <= share * reference:
        return None
    return Refuse("outside_collar", f"{what} {price} is more than {share} away from {reference}",
                  {"price": str(price), "reference": str(reference), "share_max": str(share)})


@dataclass(frozen=True)
class Collar:
    """An entry's limit near the quote, its exits within reach of it."""

    name: ClassVar[str] = "order.collar"
    needs_quantity: ClassVar[bool] = False
    share_max: Decimal = Decimal("0.01")
    exit_share_max: Decimal = Decimal("0.20")

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        _, mark = traded(intent, view)
        if mark is None:
            return missing("mark", f"no quote for {intent.sized.instrument}")
        mid, wish = mark.mid, intent.account_intent.intent
        if not (mid.is_finite() and mid > 0):
            return missing("mark", f"{mid} is no reference price")
        for what, price, share in (("limit", wish.limit, self.share_max), ("stop", wish.stop, self.exit_share_max),
                                   ("target", wish.target, self.exit_share_max)):
            if price is not None and (refusal := _outside(what, price, mid, share)) is not None:
                return refusal
        return Allow({"reference": str(mid)})


@dataclass(frozen=True)
class WideCollar:
    """For exits: the last quote at any age, else the price at which the position is held.

    An exit at market has no price to compare.
    """

    name: ClassVar[str] = "order.wide_collar"
    needs_quantity: ClassVar[bool] = False
    share_max: Decimal = Decimal("0.20")

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        wish = intent.account_intent.intent
        prices = tuple(price for price in (wish.stop, wish.limit, wish.target) if price is not None)
        if not prices:
            return Allow()
        reference = self._reference(intent, view)
        if not is_number(reference) or not reference > 0:
            return missing("reference",
                           f"neither a quote nor a position gives a reference for {intent.sized.instrument}")
        for price in prices:
            if (refusal := _outside("price", price, reference, self.share_max)) is not None:
                return refusal
        return Allow({"reference": str(reference)})

    @staticmethod
    def _reference(intent: SizedIntent, view: GateView) -> Decimal | None:
        instrument, mark = traded(intent, view)
        if mark is not None and mark.mid > 0:
            return mark.mid
        for held in view.held:
            if held.account == view.account.account and held.instrument == instrument.symbol and held.quantity:
                return held.notional / (abs(held.quantity) * instrument.multiplier)
        return None
