"""What the venue looks at before it takes an order: form, not risk. The answer is a reason to refuse, or None."""

from collections.abc import Mapping

from interlock.brokers.paper.account import Account
from interlock.brokers.paper.frames import LegFrame, PlaceFrame
from interlock.model.instrument import Instrument
from interlock.model.market import MarketState
from interlock.model.order import OrderType
from interlock.model.signal import Purpose


def refusal(order: PlaceFrame, accounts: Mapping[str, Account], instruments: Mapping[str, Instrument]) -> str | None:
    """Whether the message can be an order here at all."""
    if order.account not in accounts:
        return f"unknown_account: {order.account!r}"
    instrument = instruments.get(order.symbol)
    if instrument is None:
        return f"unknown_symbol: {order.symbol!r}"
    if not order.legs:
        return "no_legs: an order needs a leg"
    if order.replaces and len(order.legs) != 1:
        return f"bad_replace: expected one leg, found {len(order.legs)}"
    if len({leg.id for leg in order.legs}) != len(order.legs):
        return "bad_legs: two legs under one id"
    for leg in order.legs:
        if (reason := _leg_refusal(leg, instrument)) is not None:
            return reason
    parent = order.legs[0]
    for child in order.legs[1:]:
        if child.side is parent.side or child.quantity > parent.quantity or child.type is OrderType.MARKET:
            return f"bad_legs: {child.id} is no exit of {parent.id}"
    return None


def only_reduces(order: PlaceFrame) -> str | None:
    """Whether a session that may not add exposure may place it: every leg marked as one that can only reduce."""
    for leg in order.legs:
        if not leg.reduce or leg.purpose is Purpose.ENTER:
            return f"session_may_only_reduce: {leg.id} is no order that can only reduce"
    return None


def _leg_refusal(leg: LegFrame, instrument: Instrument) -> str | None:
    if not instrument.is_on_lot(leg.quantity):
        return f"bad_lot: {leg.quantity} is no positive multiple of {instrument.lot}"
    has_limit, has_stop = leg.limit is not None, leg.stop is not None
    if has_limit != (leg.type is OrderType.LIMIT) or has_stop != (leg.type is OrderType.STOP):
        return f"bad_price: a {leg.type.value} order with limit {leg.limit} and stop {leg.stop}"
    price = leg.limit if leg.limit is not None else leg.stop
    if price is not None and not instrument.is_on_tick(price):
        return f"bad_tick: {price} is no multiple of {instrument.tick}"
    return None


def closed_refusal(state: MarketState | None, symbol: str) -> str | None:
    """Whether the market of the symbol is shut. One that said nothing about its state is open: its quotes decide."""
    if state is None or (state.is_open and not state.is_halted):
        return None
    return f"market_{'halted' if state.is_open else 'closed'}: {symbol}"
