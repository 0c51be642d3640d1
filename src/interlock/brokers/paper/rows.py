"""What the venue remembers, one struct per table of its book."""

from decimal import Decimal
from enum import Enum

from msgspec import Struct

from interlock.model.money import Nanos
from interlock.model.order import OrderType, Outcome, TimeInForce
from interlock.model.signal import Purpose, Side


class State(Enum):
    SENT = "sent"                      # acknowledged, on its way to the book
    WAITING = "waiting"                # a child whose parent has not filled
    LIVE = "live"
    TAKING = "taking"                  # a market order, a crossing limit or a triggered stop that is not done yet
    CLOSED = "closed"


class OrderRow(Struct):
    """One leg. `size` is what the venue has made of `quantity` (children follow their parent's fills)."""

    account: str
    client_order_id: str
    broker_order_id: str
    number: int                        # order of acceptance
    parent: str                        # client id of its entry; its own for a parent or single order
    symbol: str
    role: str
    purpose: Purpose
    side: Side
    quantity: Decimal
    size: Decimal
    filled: Decimal
    type: OrderType
    price: Decimal | None              # the limit or the stop
    tif: TimeInForce
    is_reduce_only: bool
    tag: str                           # the client's remark: the signal
    replaces: str
    state: State
    outcome: Outcome | None
    entered: Decimal                   # of a bracket's parent: what its children have to exit ...
    exited: Decimal                    # ... and what they have exited
    ts: Nanos                          # received
    arrives: Nanos                     # at the book
    visible: Nanos                     # to look-ups and reads
    cancel_at: Nanos | None = None     # a cancel is on its way

    @property
    def key(self) -> tuple[str, str]:
        return self.account, self.client_order_id

    @property
    def is_exit(self) -> bool:
        return self.is_reduce_only or self.purpose is not Purpose.ENTER


class ExecutionRow(Struct, frozen=True):
    account: str
    execution_id: str
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    commission: Decimal
    ts: Nanos


class PositionRow(Struct, frozen=True):
    account: str
    symbol: str
    quantity: Decimal                  # signed
    price: Decimal                     # mean price


class AccountRow(Struct, frozen=True):
    name: str
    number: str
    cash: Decimal
    currency: str
