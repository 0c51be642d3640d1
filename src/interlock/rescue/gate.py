"""The small gate of a flatten: what has to hold before the rescue signs one order. Pure; the answer is a code, or None.

It leaves out what keeps us from getting in (signals, windows, limits, tiers) and keeps what an exit must never lack: a
person, the right account, the fence, a position that the broker told just now, an order that can only reduce it.
"""

from decimal import Decimal
from typing import Final

from msgspec import Struct

from interlock.model.instrument import Instrument
from interlock.model.money import SECOND, Nanos
from interlock.model.order import Order, OrderType
from interlock.model.report import AccountRead
from interlock.model.signal import Purpose

READ_AGE_MAX: Final[Nanos] = 2 * SECOND


class Refusal(Struct, frozen=True):
    code: str
    reason: str


class Sight(Struct, frozen=True):
    """What the rescue knows when it judges."""

    person: str                        # who confirmed; "": nobody
    shown_id: str                      # the account id that was shown to them
    epoch: int | None                  # of the fence; None: there is none
    read: AccountRead
    ts_read: Nanos
    now: Nanos
    working: Decimal                   # of our own exits of this instrument that may still fill


def judge(order: Order, instrument: Instrument | None, sight: Sight) -> Refusal | None:
    """The first thing that speaks against it."""
    leg, read = order.parent, sight.read
    if not sight.person:
        return Refusal("rescue.not_confirmed", f"nobody confirmed the flatten of {order.account}")
    if sight.epoch is None:
        return Refusal("rescue.no_fence", "the lease is not ours")
    if order.account != read.account or sight.shown_id != read.account_id:
        return Refusal("rescue.account_moved",
                       f"{sight.shown_id} was shown for {order.account}, the broker names {read.account_id}")
    if not 0 <= sight.now - sight.ts_read <= READ_AGE_MAX:
        return Refusal("rescue.position_old", f"{order.account} was read {(sight.now - sight.ts_read) / SECOND:.1f} s ago")
    if instrument is None or instrument.symbol != order.instrument or not instrument.is_on_lot(leg.quantity):
        return Refusal("rescue.instrument", f"{leg.quantity} of {order.instrument}")
    held = sum((position.quantity for position in read.positions if position.instrument == order.instrument), Decimal(0))
    is_exit = (len(order.legs) == 1 and leg.purpose is Purpose.FLATTEN and leg.is_reduce_only and leg.type is OrderType.MARKET
               and order.replaces is None)
    if not is_exit or not leg.quantity + sight.working <= -held * leg.side.sign:
        return Refusal("rescue.not_reducing",
                       f"a {leg.side.value} of {leg.quantity} beside {sight.working} under way, {held} held")
    return None
