"""Orders out against clearances in: a count of its own, which knows nothing of order states."""

from decimal import Decimal
from typing import Final

from interlock.model.clearance import Content
from interlock.model.ids import ClientOrderId

ZERO: Final = Decimal(0)
LEGS_MAX: Final = 200_000
"""Legs remembered; the oldest are forgotten first."""


class Egress:
    """Per leg: how often it was cleared, how often written, how much of it filled. Out beyond in is a mismatch."""

    def __init__(self) -> None:
        self.cleared = 0
        self.written = 0
        self.mismatch: str | None = None
        self._legs: dict[str, tuple[int, int, Decimal, Decimal]] = {}   # cleared, written, quantity, filled

    def accept(self, content: Content) -> None:
        """A clearance was accepted."""
        self.cleared += 1
        for leg in content.legs:
            cleared, written, _, filled = self._legs.get(leg[0], (0, 0, ZERO, ZERO))
            self._legs[leg[0]] = cleared + 1, written, Decimal(leg[4]), filled
        while len(self._legs) > LEGS_MAX:
            del self._legs[next(iter(self._legs))]

    def write(self, legs: tuple[tuple[str, ...], ...]) -> None:
        """These legs, as read back from the bytes, are about to leave."""
        self.written += 1
        for leg in legs:
            cleared, written, quantity, filled = self._legs.get(leg[0], (0, 0, ZERO, ZERO))
            self._legs[leg[0]] = cleared, written + 1, quantity, filled
            if written + 1 > cleared:
                self.mismatch = f"{leg[0]} written {written + 1} times, cleared {cleared} times"

    def fill(self, client_order_id: ClientOrderId, quantity: Decimal) -> None:
        """The venue filled so much of a leg. Legs of an earlier process are not known here."""
        known = self._legs.get(client_order_id)
        if known is None:
            return
        cleared, written, allowed, filled = known
        self._legs[client_order_id] = cleared, written, allowed, filled + quantity
        if filled + quantity > allowed:
            self.mismatch = f"{client_order_id} filled {filled + quantity}, cleared {allowed}"
