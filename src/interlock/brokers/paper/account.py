"""One account at the venue: cash and positions, moved by executions alone.

Cash counts as a margin account does, for every kind of instrument: profits and losses when they are realised,
commissions at once; the value of what is held is not taken out of it.
"""

from decimal import Decimal

from msgspec import Struct

from interlock.brokers.paper.rows import AccountRow, ExecutionRow, PositionRow
from interlock.model.instrument import Instrument
from interlock.model.signal import Side


class Account(Struct):
    """The positions are keyed by the venue's symbol; flat ones are left out."""

    name: str
    number: str                        # as the venue names it: PAPER-0001-name
    cash: Decimal
    currency: str = "USD"
    positions: dict[str, PositionRow] = {}

    def row(self) -> AccountRow:
        return AccountRow(self.name, self.number, self.cash, self.currency)

    def post(self, execution: ExecutionRow, instrument: Instrument) -> PositionRow:
        """Book one execution; the position as it is now (quantity 0: flat)."""
        signed = execution.quantity if execution.side is Side.BUY else -execution.quantity
        held = self.positions.get(execution.symbol)
        quantity, average = (held.quantity, held.price) if held is not None else (Decimal(0), Decimal(0))
        after = quantity + signed
        if quantity * signed >= 0:                 # opens or adds
            average = (average * quantity + execution.price * signed) / after
        else:
            closed = min(abs(signed), abs(quantity)).copy_sign(quantity)
            self.cash += (execution.price - average) * closed * instrument.multiplier
            if after * quantity < 0:               # crossed zero: the rest was opened at this price
                average = execution.price
        self.cash -= execution.commission
        row = PositionRow(self.name, execution.symbol, after, average)
        if after:
            self.positions[execution.symbol] = row
        else:
            self.positions.pop(execution.symbol, None)
        return row
