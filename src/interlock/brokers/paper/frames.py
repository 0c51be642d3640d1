"""The venue's own language: every message that crosses the wire, as JSON. Requests go in, answers and events out."""

from decimal import Decimal
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from interlock.model.order import OrderType, Outcome, TimeInForce
from interlock.model.signal import Purpose, Side


class LegFrame(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    id: str
    role: str
    purpose: Purpose
    side: Side
    quantity: Decimal
    type: OrderType
    tif: TimeInForce
    limit: Decimal | None = None
    stop: Decimal | None = None
    reduce: bool = False


class PlaceFrame(Struct, frozen=True, tag_field="op", tag="order", forbid_unknown_fields=True, omit_defaults=True):
    """A new order, or the replacement of one. `tag` is the client's own remark; the venue keeps it unread."""

    account: str
    symbol: str
    legs: list[LegFrame]
    tag: str = ""
    replaces: str = ""


class CancelFrame(Struct, frozen=True, tag_field="op", tag="cancel", forbid_unknown_fields=True):
    account: str
    id: str


class LookupFrame(Struct, frozen=True, tag_field="op", tag="lookup", forbid_unknown_fields=True):
    account: str
    id: str


class ReadFrame(Struct, frozen=True, tag_field="op", tag="read", forbid_unknown_fields=True):
    account: str


class PingFrame(Struct, frozen=True, tag_field="op", tag="ping", forbid_unknown_fields=True):
    account: str


Request: TypeAlias = PlaceFrame | CancelFrame | LookupFrame | ReadFrame | PingFrame


class Taken(Struct, frozen=True, tag_field="is", tag="taken"):
    """The request arrived; what became of it comes as an event."""

    ts: int


class Failed(Struct, frozen=True, tag_field="is", tag="failed"):
    """An error answer. It does not say whether the request was carried out."""

    reason: str
    ts: int


class Pong(Struct, frozen=True, tag_field="is", tag="pong"):
    account: str
    sequence: int
    ts: int


class Found(Struct, frozen=True, tag_field="is", tag="found"):
    account: str
    id: str
    order: str
    filled: Decimal
    outcome: Outcome | None
    live: bool
    ts: int


class Missing(Struct, frozen=True, tag_field="is", tag="missing"):
    account: str
    id: str
    ts: int


class FillFrame(Struct, frozen=True, tag_field="event", tag="fill"):
    account: str
    id: str
    execution: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    ts: int


class PositionFrame(Struct, frozen=True):
    symbol: str
    quantity: Decimal
    price: Decimal | None


class OpenOrderFrame(Struct, frozen=True):
    id: str
    order: str
    symbol: str
    side: Side
    quantity: Decimal
    filled: Decimal
    live: bool
    exit: bool
    type: OrderType
    price: Decimal | None


class DefinitionFrame(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An instrument as the venue trades it. `expiry` and `roll` are times; without one it does not expire."""

    symbol: str
    tick: Decimal
    lot: Decimal
    multiplier: Decimal
    currency: str = "USD"
    expiry: int | None = None
    roll: int | None = None


class AccountFrame(Struct, frozen=True, tag_field="is", tag="account", omit_defaults=True):
    account: str
    number: str
    cash: Decimal
    currency: str
    positions: list[PositionFrame]
    orders: list[OpenOrderFrame]
    fills: list[FillFrame]
    environment: str
    ts: int
    definitions: list[DefinitionFrame] = []
    day_trades_left: int | None = None             # none: no such rule here
    net: Decimal | None = None                     # cash and what is held, at the venue's own last prices; none: one is missing
    simulator: bool = False                        # a venue that simulates, whatever its environment is called


class AcceptedFrame(Struct, frozen=True, tag_field="event", tag="accepted", omit_defaults=True):
    account: str
    id: str
    order: str
    ts: int
    live: bool = True
    quantity: Decimal | None = None


class CancelledFrame(Struct, frozen=True, tag_field="event", tag="cancelled"):
    account: str
    id: str
    reason: str
    ts: int


class RejectedFrame(Struct, frozen=True, tag_field="event", tag="rejected"):
    account: str
    id: str
    reason: str
    ts: int


class ExpiredFrame(Struct, frozen=True, tag_field="event", tag="expired"):
    account: str
    id: str
    ts: int


class CancelRejectedFrame(Struct, frozen=True, tag_field="event", tag="cancel_rejected"):
    account: str
    id: str
    reason: str
    ts: int


class StatusFrame(Struct, frozen=True, tag_field="event", tag="status"):
    """How an order stands; follows the rejection of a second one under the same id."""

    account: str
    id: str
    order: str
    filled: Decimal
    outcome: Outcome | None
    live: bool
    ts: int


Answer: TypeAlias = Taken | Failed | Pong | Found | Missing | AccountFrame
EventFrame: TypeAlias = (
    AcceptedFrame | FillFrame | CancelledFrame | RejectedFrame | ExpiredFrame | CancelRejectedFrame | StatusFrame)

_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)
_events: msgspec.json.Decoder[EventFrame] = msgspec.json.Decoder(EventFrame)

encode: Final = msgspec.json.Encoder().encode
request_of: Final = _requests.decode
answer_of: Final = _answers.decode
event_of: Final = _events.decode
