"""Orders to the venue's bytes and the venue's bytes to reports. Pure; nothing unknown is ever given a default."""

import re
from decimal import Decimal
from typing import Any, Final

import msgspec

from interlock.brokers.paper import frames
from interlock.brokers.paper.frames import (
    AcceptedFrame,
    AccountFrame,
    Answer,
    CancelledFrame,
    CancelRejectedFrame,
    DefinitionFrame,
    ExpiredFrame,
    FillFrame,
    Found,
    LegFrame,
    Missing,
    OpenOrderFrame,
    PlaceFrame,
    RejectedFrame,
    StatusFrame,
)
from interlock.errors import MalformedMessage
from interlock.model.account import Truth
from interlock.model.ids import AccountName, BrokerOrderId, ClientOrderId, ExecutionId
from interlock.model.money import parse_decimal, plain
from interlock.model.order import Leg, Order, OrderType
from interlock.model.report import (
    AccountRead,
    BrokerOrder,
    BrokerPosition,
    CancelRejected,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderFound,
    OrderMissing,
    OrderRejected,
    OrderReport,
)
from interlock.model.view import Definition

PAPER: Final = Truth.PAPER_SIM.value
SIMULATOR: Final = Truth.RUNTIME_SIM.value
LIVE: Final = "live"
_NO_NUMBER: Final = re.compile(rb'"[+-]?(?:s?nan[0-9]*|inf(?:inity)?)"', re.IGNORECASE)
"""What may be a number that is none; looked at closely where it occurs."""


def order_bytes(order: Order) -> bytes:
    """The order message of the venue."""
    return frames.encode(PlaceFrame(order.account, order.venue_symbol, [_leg(leg) for leg in order.legs],
                                    order.signal_id, order.replaces or ""))


def _leg(leg: Leg) -> LegFrame:
    return LegFrame(leg.client_order_id, leg.role, leg.purpose, leg.side, leg.quantity, leg.type, leg.time_in_force,
                    leg.limit, leg.stop, leg.is_reduce_only)


_LEG_KEYS = frozenset(("id", "role", "purpose", "side", "quantity", "type", "tif", "limit", "stop", "reduce"))
_ORDER_KEYS = frozenset(("op", "account", "symbol", "legs", "tag", "replaces"))


def read_back(body: bytes) -> tuple[str, str, tuple[tuple[str, ...], ...], str]:
    """What an order message says: account, symbol, legs as text, the id it replaces.

    Reads plain JSON and shares nothing with the writer above. Raises MalformedMessage for a key it does not know,
    because a field that nobody compares could change what the venue does.
    """
    try:
        message = msgspec.json.decode(body)
    except msgspec.DecodeError as e:
        raise MalformedMessage(f"paper: an order message that is no JSON: {e}") from None
    if not isinstance(message, dict) or not _ORDER_KEYS.issuperset(message) or message.get("op") != "order":
        raise MalformedMessage(f"paper: expected an order message, found {body[:80]!r}")
    legs = message.get("legs")
    if not isinstance(legs, list) or not legs:
        raise MalformedMessage("paper: an order message without legs")
    return (_text(message, "account"), _text(message, "symbol"), tuple(_read_leg(leg) for leg in legs),
            _text(message, "replaces", ""))


def _read_leg(leg: Any) -> tuple[str, ...]:
    if not isinstance(leg, dict) or not _LEG_KEYS.issuperset(leg):
        raise MalformedMessage(f"paper: expected a leg, found {leg!r}")
    is_reduce_only = leg.get("reduce", False)
    if not isinstance(is_reduce_only, bool):
        raise MalformedMessage(f"paper: reduce must be true or false, found {is_reduce_only!r}")
    return (_text(leg, "id"), _text(leg, "role"), _text(leg, "purpose"), _text(leg, "side"),
            plain(parse_decimal(leg.get("quantity"), "quantity")), _text(leg, "type"), _price(leg, "limit"),
            _price(leg, "stop"), _text(leg, "tif"), "1" if is_reduce_only else "")


def _text(message: dict[str, Any], key: str, default: str | None = None) -> str:
    value = message.get(key, default)
    if not isinstance(value, str):
        raise MalformedMessage(f"paper: {key} must be a text, found {value!r}")
    return value


def _price(leg: dict[str, Any], key: str) -> str:
    value = leg.get(key)
    return "" if value is None else plain(parse_decimal(value, key))


def report(body: bytes, instruments: dict[str, str]) -> OrderReport:
    """One event of the stream. `instruments` says what a venue symbol means. Raises MalformedMessage."""
    try:
        frame = frames.event_of(body)
    except msgspec.DecodeError as e:
        raise MalformedMessage(f"paper: a report that cannot be read: {e}") from None
    _check_numbers(body, frame)
    account, client_order_id = AccountName(frame.account), ClientOrderId(frame.id)
    match frame:
        case AcceptedFrame():
            return OrderAccepted(account, client_order_id, BrokerOrderId(frame.order), frame.ts, frame.live,
                                 frame.quantity)
        case FillFrame():
            return _fill(frame, instruments)
        case CancelledFrame():
            return OrderCancelled(account, client_order_id, frame.reason, frame.ts)
        case RejectedFrame():
            return OrderRejected(account, client_order_id, frame.reason, frame.ts)
        case ExpiredFrame():
            return OrderExpired(account, client_order_id, frame.ts)
        case CancelRejectedFrame():
            return CancelRejected(account, client_order_id, frame.reason, frame.ts)
        case StatusFrame():
            return OrderFound(account, client_order_id, BrokerOrderId(frame.order), frame.filled, frame.outcome,
                              frame.ts, frame.live)


def answer(body: bytes) -> Answer:
    """The answer to one request. Raises MalformedMessage."""
    try:
        frame = frames.answer_of(body)
    except msgspec.DecodeError as e:
        raise MalformedMessage(f"paper: an answer that cannot be read: {e}") from None
    _check_numbers(body, frame)
    return frame


def _check_numbers(body: bytes, frame: object) -> None:
    """What is not known is not known: a quantity or a price that is no number is believed as little as one that is missing."""
    if _NO_NUMBER.search(body) and _has_no_number(frame):
        raise MalformedMessage(f"paper: a number that is none in a {type(frame).__name__}")


def _has_no_number(value: object) -> bool:
    if isinstance(value, Decimal):
        return not value.is_finite()
    if isinstance(value, msgspec.Struct):
        return any(_has_no_number(getattr(value, name)) for name in value.__struct_fields__)
    return isinstance(value, list | tuple) and any(_has_no_number(each) for each in value)


def found(frame: Found | Missing) -> OrderFound | OrderMissing:
    account, client_order_id = AccountName(frame.account), ClientOrderId(frame.id)
    if isinstance(frame, Missing):
        return OrderMissing(account, client_order_id, frame.ts)
    return OrderFound(account, client_order_id, BrokerOrderId(frame.order), frame.filled, frame.outcome, frame.ts,
                      frame.live)


def account_read(frame: AccountFrame, connection: int, instruments: dict[str, str],
                 defined: frozenset[str] | None = None) -> AccountRead:
    """The whole account. Definitions of what we do not trade are left out, and of what nobody asked for: `defined` names
    our instruments whose definition is kept beside those of what is held (None: all). Anything else unknown is an error."""
    held = {position.symbol for position in frame.positions}
    return AccountRead(
        account=AccountName(frame.account), account_id=frame.number, cash=frame.cash, currency=frame.currency,
        positions=tuple(BrokerPosition(_instrument(position.symbol, instruments), position.quantity, position.price)
                        for position in frame.positions),
        orders=tuple(_open_order(order, instruments) for order in frame.orders),
        fills=tuple(_fill(fill, instruments) for fill in frame.fills),
        ts_event=frame.ts, connection=connection, environment=environment(frame),
        definitions=tuple(_definition(told, instruments[told.symbol]) for told in frame.definitions
                          if told.symbol in instruments
                          and (defined is None or told.symbol in held or instruments[told.symbol] in defined)),
        day_trades_left=frame.day_trades_left, net_liquidation=frame.net, endpoint=LIVE if frame.environment == LIVE else "paper")


def environment(frame: AccountFrame) -> str:
    """What kind of venue answered. A simulator that is called live for a rehearsal stays a simulator; and nothing that speaks
    this language is a broker's live environment."""
    if frame.environment in (PAPER, SIMULATOR):
        return frame.environment
    if frame.environment == LIVE and frame.simulator:
        return SIMULATOR
    raise MalformedMessage(f"paper: unknown environment {frame.environment!r}")


def _definition(told: DefinitionFrame, symbol: str) -> Definition:
    return Definition(instrument=symbol, tick=told.tick, lot=told.lot, multiplier=told.multiplier, currency=told.currency,
                      ts_expiry=told.expiry, ts_roll=told.roll)


def _open_order(order: OpenOrderFrame, instruments: dict[str, str]) -> BrokerOrder:
    is_stop = order.type is OrderType.STOP
    return BrokerOrder(ClientOrderId(order.id), BrokerOrderId(order.order), _instrument(order.symbol, instruments),
                       order.side, order.quantity, order.filled, order.live, is_protective=is_stop and order.exit,
                       stop=_known(order.price, order) if is_stop else None,
                       limit=_known(order.price, order) if order.type is OrderType.LIMIT else None, is_exit=order.exit)


def _known(price: Decimal | None, order: OpenOrderFrame) -> Decimal:
    if price is None:
        raise MalformedMessage(f"paper: {order.type.value} order {order.id} without a price")
    return price


def _fill(frame: FillFrame, instruments: dict[str, str]) -> OrderFilled:
    return OrderFilled(AccountName(frame.account), ClientOrderId(frame.id), ExecutionId(frame.execution),
                       _instrument(frame.symbol, instruments), frame.side, frame.quantity, frame.price, frame.fee,
                       frame.ts)


def _instrument(symbol: str, instruments: dict[str, str]) -> str:
    try:
        return instruments[symbol]
    except KeyError:
        raise MalformedMessage(f"paper: unknown symbol {symbol!r}") from None
