"""An order as it will be written, and the states it can be in. Each state holds only what is known in it."""

from decimal import Decimal
from enum import Enum
from typing import TypeAlias

from msgspec import Struct

from interlock.errors import InputError
from interlock.model.ids import AccountName, BrokerOrderId, ClientOrderId, LaneName, SignalId, StrategyName
from interlock.model.money import Nanos
from interlock.model.signal import Purpose, Side


class OrderType(Enum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"


class TimeInForce(Enum):
    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"


class Profile(Enum):
    """Which checks an order passed and which key signed it."""

    ENTER = "enter"
    PROTECT = "protect"
    REDUCE = "reduce"
    FLATTEN = "flatten"


PROFILES: dict[Purpose, Profile] = {
    Purpose.ENTER: Profile.ENTER, Purpose.PROTECT: Profile.PROTECT, Purpose.TARGET: Profile.REDUCE,
    Purpose.REDUCE: Profile.REDUCE, Purpose.FLATTEN: Profile.FLATTEN,
}


class Outcome(Enum):
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Leg(Struct, frozen=True, kw_only=True):
    """One order of a message. `role` is entry, stop, target or exit."""

    client_order_id: ClientOrderId
    role: str
    purpose: Purpose
    side: Side
    quantity: Decimal
    type: OrderType
    limit: Decimal | None = None
    stop: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    is_reduce_only: bool = False

    def __post_init__(self) -> None:
        if not (self.quantity.is_finite() and self.quantity > 0):
            raise InputError(f"{self.client_order_id}: quantity must be positive, found {self.quantity}")
        if (self.limit is not None) != (self.type is OrderType.LIMIT):
            raise InputError(f"{self.client_order_id}: a {self.type.value} order with limit {self.limit}")
        if (self.stop is not None) != (self.type is OrderType.STOP):
            raise InputError(f"{self.client_order_id}: a {self.type.value} order with stop {self.stop}")
        for price in (self.limit, self.stop):
            if price is not None and not price.is_finite():
                raise InputError(f"{self.client_order_id}: {price} is not a price")


class Order(Struct, frozen=True, kw_only=True):
    """One message to a venue: a single order, or an entry with the exits that the venue itself links to it."""

    account: AccountName
    instrument: str
    venue_symbol: str
    legs: tuple[Leg, ...]              # the first is the parent; children become live as it fills and cancel each other
    signal_id: SignalId
    lane: LaneName
    strategy: StrategyName
    generation: int = 0
    replaces: ClientOrderId | None = None   # a modify: the earlier generation, named in the venue's own replace call

    def __post_init__(self) -> None:
        if not self.legs:
            raise InputError("an order needs a leg")

    @property
    def parent(self) -> Leg:
        return self.legs[0]

    @property
    def client_order_id(self) -> ClientOrderId:
        return self.legs[0].client_order_id

    @property
    def purpose(self) -> Purpose:
        return self.legs[0].purpose


class Intended(Struct, frozen=True, tag="intended"):
    """Cleared and not yet attempted (or not yet due: a child whose parent has not filled)."""


class InFlight(Struct, frozen=True, tag="in_flight"):
    """Attempted; no answer yet."""

    ts_since: Nanos


class Working(Struct, frozen=True, tag="working"):
    """The venue holds it. `is_live` is False for a child whose parent has not filled yet."""

    broker_order_id: BrokerOrderId
    is_live: bool = True


class InDoubt(Struct, frozen=True, tag="in_doubt"):
    """The line died mid-send, or no answer came; only the broker's own word ends this state."""

    ts_since: Nanos


class Closed(Struct, frozen=True, tag="closed"):
    outcome: Outcome
    ts: Nanos


OrderState: TypeAlias = Intended | InFlight | Working | InDoubt | Closed


class OrderRecord(Struct, frozen=True, kw_only=True):
    """One leg and where it stands: what `orders` lists."""

    leg: Leg
    account: AccountName
    instrument: str
    signal_id: SignalId
    lane: LaneName
    strategy: StrategyName
    generation: int
    parent: ClientOrderId              # its own id for a parent
    attempt: int
    state: OrderState
    filled: Decimal = Decimal(0)
    average_price: Decimal | None = None
    is_cancel_requested: bool = False
    ts_created: Nanos = 0

    @property
    def remaining(self) -> Decimal:
        return self.leg.quantity - self.filled

    @property
    def is_open(self) -> bool:
        return not isinstance(self.state, Closed)
