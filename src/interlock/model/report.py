"""What a broker says, normalised. Reports may come twice, late, or before the answer to the order they concern."""

from decimal import Decimal
from typing import TypeAlias

from msgspec import Struct

from interlock.model.ids import AccountName, BrokerOrderId, ClientOrderId, ExecutionId
from interlock.model.money import Nanos
from interlock.model.order import Outcome
from interlock.model.signal import Side
from interlock.model.view import Definition


class OrderAccepted(Struct, frozen=True, tag="order_accepted"):
    """The venue holds the order. For a child that waits for its parent `is_live` is False."""

    account: AccountName
    client_order_id: ClientOrderId
    broker_order_id: BrokerOrderId
    ts_event: Nanos
    is_live: bool = True
    quantity: Decimal | None = None    # where the venue has resized it (children follow the parent's fills)


class OrderFilled(Struct, frozen=True, tag="order_filled"):
    account: AccountName
    client_order_id: ClientOrderId
    execution_id: ExecutionId          # unique per account
    instrument: str
    side: Side
    quantity: Decimal
    price: Decimal
    commission: Decimal
    ts_event: Nanos


class OrderCancelled(Struct, frozen=True, tag="order_cancelled"):
    account: AccountName
    client_order_id: ClientOrderId
    reason: str
    ts_event: Nanos


class OrderRejected(Struct, frozen=True, tag="order_rejected"):
    account: AccountName
    client_order_id: ClientOrderId
    reason: str
    ts_event: Nanos


class OrderExpired(Struct, frozen=True, tag="order_expired"):
    account: AccountName
    client_order_id: ClientOrderId
    ts_event: Nanos


class CancelRejected(Struct, frozen=True, tag="cancel_rejected"):
    """The venue would not cancel; the order stands as it was."""

    account: AccountName
    client_order_id: ClientOrderId
    reason: str
    ts_event: Nanos


class WriteRefused(Struct, frozen=True, tag="write_refused"):
    """SafeBroker refused the attempt, or it certainly never left. The order is closed, rejected by us."""

    account: AccountName
    client_order_id: ClientOrderId
    attempt: int
    code: str
    reason: str


class WriteUnknown(Struct, frozen=True, tag="write_unknown"):
    """The attempt got no definite answer: in doubt until the broker proves something."""

    account: AccountName
    client_order_id: ClientOrderId
    attempt: int
    reason: str


class OrderFound(Struct, frozen=True, tag="order_found"):
    """A look-up's answer: the venue knows the order, with this much filled and this outcome (None: it is live)."""

    account: AccountName
    client_order_id: ClientOrderId
    broker_order_id: BrokerOrderId
    filled: Decimal
    outcome: Outcome | None
    ts_event: Nanos
    is_live: bool = True


class OrderMissing(Struct, frozen=True, tag="order_missing"):
    """A look-up's answer, repeated after the visibility delay on a connection made after the attempt: never arrived."""

    account: AccountName
    client_order_id: ClientOrderId
    ts_event: Nanos


class BrokerPosition(Struct, frozen=True):
    instrument: str
    quantity: Decimal                  # signed
    average_price: Decimal | None = None


class BrokerOrder(Struct, frozen=True):
    """An order that the venue holds live, as a snapshot lists it."""

    client_order_id: ClientOrderId
    broker_order_id: BrokerOrderId
    instrument: str
    side: Side
    quantity: Decimal
    filled: Decimal
    is_live: bool                      # False: waits for its parent
    is_protective: bool                # a stop that reduces
    stop: Decimal | None = None
    limit: Decimal | None = None
    is_exit: bool = False              # the venue marks it as one that closes: a stop, a target


class AccountRead(Struct, frozen=True, tag="account_read"):
    """One complete answer of a broker about one account. A failed or partial answer is never one of these."""

    account: AccountName
    account_id: str                    # as the broker itself names it
    cash: Decimal
    currency: str
    positions: tuple[BrokerPosition, ...]
    orders: tuple[BrokerOrder, ...]
    fills: tuple[OrderFilled, ...]     # of this trading day
    ts_event: Nanos
    connection: int                    # number of the connection it came over
    environment: str = "paper_sim"     # what kind of venue answered: the evidence behind the truth label
    definitions: tuple[Definition, ...] = ()   # of what may be traded there, by the broker's own word
    day_trades_left: int | None = None # None: the broker has no such rule
    margin_used: Decimal | None = None # None: the broker does not tell margin
    net_liquidation: Decimal | None = None     # cash and what is held, by the broker's own marks; None: it does not tell
    endpoint: str = "paper"            # "live": the venue calls the environment that answered live (a rehearsal's does too)


class ReadFailed(Struct, frozen=True, tag="read_failed"):
    """A query that failed. It changes nothing that is believed; it only shows that nothing is known."""

    account: AccountName
    reason: str


class LineChanged(Struct, frozen=True, tag="line_changed"):
    """A broker connection came up or went down. A lost line is an input, not a crash."""

    account: AccountName
    is_up: bool
    connection: int
    reason: str


OrderReport: TypeAlias = (
    OrderAccepted | OrderFilled | OrderCancelled | OrderRejected | OrderExpired | CancelRejected
    | WriteRefused | WriteUnknown | OrderFound | OrderMissing)
Report: TypeAlias = OrderReport | AccountRead | ReadFailed | LineChanged
ORDER_REPORTS = (OrderAccepted, OrderFilled, OrderCancelled, OrderRejected, OrderExpired, CancelRejected, WriteRefused,
                 WriteUnknown, OrderFound, OrderMissing)
"""The members of OrderReport, for isinstance."""
