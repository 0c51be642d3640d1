"""One position from flat to flat, in exact numbers.

`flow` is what selling brought in less what buying cost, in points: exact, whatever the order of fills. Profit and loss
of the whole position is flow + quantity * mark; only its split into realised and open needs the mean price, which is
kept to 28 digits.
"""

from decimal import Decimal
from typing import Final

from msgspec import Struct

from interlock.model.account import ClosedTrade, Position
from interlock.model.ids import AccountName, ClientOrderId, LaneName, SignalId, StrategyName
from interlock.model.money import Nanos
from interlock.model.order import OrderRecord
from interlock.model.signal import Purpose, Side, Source

ZERO: Final = Decimal(0)


class EntryPlan(Struct, kw_only=True):
    """What a cleared entry was meant to be, and how much of it may still fill: its charge against the limits."""

    client_order_id: ClientOrderId
    account: AccountName
    instrument: str
    side: Side
    source: Source | None              # None: an order that somebody else made, and a person adopted
    stop: Decimal | None
    target: Decimal | None
    is_target_owned: bool
    reference: Decimal | None
    quantity: Decimal
    risk: Decimal
    ts: Nanos
    filled: Decimal = ZERO
    is_charged: bool = True

    @property
    def pending_risk(self) -> Decimal:
        """Planned loss of what has not filled yet."""
        if not self.is_charged or self.filled >= self.quantity:
            return ZERO
        return self.risk * (self.quantity - self.filled) / self.quantity


class Holding(Struct, kw_only=True):
    """What is held of one instrument in one account. Quantities are signed; values are in points."""

    account: AccountName
    instrument: str
    ts_opened: Nanos
    quantity: Decimal = ZERO
    average: Decimal = ZERO
    flow: Decimal = ZERO
    bought: Decimal = ZERO
    bought_value: Decimal = ZERO
    sold: Decimal = ZERO
    sold_value: Decimal = ZERO
    largest: Decimal = ZERO
    commission: Decimal = ZERO
    signal_id: SignalId | None = None
    lane: LaneName | None = None
    strategy: StrategyName | None = None
    source: Source | None = None
    stop: Decimal | None = None
    target: Decimal | None = None
    is_target_owned: bool = False
    risks: dict[str, Decimal] = {}     # planned, by entry, as far as it has filled
    is_long: bool = True

    @property
    def risk(self) -> Decimal:
        return sum(self.risks.values(), ZERO)

    def take(self, side: Side, quantity: Decimal, price: Decimal, commission: Decimal) -> None:
        """Book a fill, or the part of one, that does not cross zero."""
        before = self.quantity
        signed = quantity * side.sign
        after = before + signed
        if not before:
            self.is_long, self.average = signed > ZERO, price
        elif (before > ZERO) == (signed > ZERO):
            self.average = (self.average * abs(before) + price * quantity) / abs(after)
        self.quantity = after
        self.flow -= signed * price
        self.commission += commission
        self.largest = max(self.largest, abs(after))
        if side is Side.BUY:
            self.bought += quantity
            self.bought_value += quantity * price
        else:
            self.sold += quantity
            self.sold_value += quantity * price

    def belongs_to(self, record: OrderRecord | None, plan: EntryPlan | None) -> None:
        """Name what opened or enlarged it. A fill that no order of ours explains leaves the names open."""
        if record is None or record.leg.purpose is not Purpose.ENTER or not record.strategy:
            return
        if self.signal_id is None:
            self.signal_id, self.lane, self.strategy = record.signal_id, record.lane, record.strategy
        if plan is not None:
            self.source, self.stop, self.target = plan.source, plan.stop, plan.target
            self.is_target_owned = plan.is_target_owned
            self.risks[plan.client_order_id] = plan.risk * min(plan.filled, plan.quantity) / plan.quantity

    def inherit(self, before: "Holding", share: Decimal) -> None:
        """Take over the names and the plan of what a person corrected to `share` times its quantity."""
        self.ts_opened = before.ts_opened
        self.signal_id, self.lane, self.strategy, self.source = before.signal_id, before.lane, before.strategy, before.source
        self.stop, self.target, self.is_target_owned = before.stop, before.target, before.is_target_owned
        self.risks = {name: risk * share for name, risk in before.risks.items()}

    def view(self) -> Position:
        share = abs(self.quantity)
        risk = self.risk if share == self.largest else self.risk * share / self.largest
        return Position(
            account=self.account, instrument=self.instrument, quantity=self.quantity, average_price=self.average,
            signal_id=self.signal_id, lane=self.lane, strategy=self.strategy, source=self.source, stop=self.stop,
            target=self.target, risk=risk, ts_opened=self.ts_opened, is_target_owned=self.is_target_owned)

    def closed(self, multiplier: Decimal, *, is_stop_out: bool, ts: Nanos) -> ClosedTrade:
        """The round trip, once the quantity is back at zero: here the flow is the result, exactly."""
        bought, sold = self.bought_value / self.bought, self.sold_value / self.sold
        gross = self.flow * multiplier
        return ClosedTrade(
            account=self.account, instrument=self.instrument, lane=self.lane, strategy=self.strategy,
            source=self.source, signal_id=self.signal_id, side=Side.BUY if self.is_long else Side.SELL,
            quantity=self.largest, entry_price=bought if self.is_long else sold,
            exit_price=sold if self.is_long else bought, gross=gross,
            commission=self.commission, net=gross - self.commission, risk=self.risk, is_stop_out=is_stop_out,
            ts_opened=self.ts_opened, ts_closed=ts)
