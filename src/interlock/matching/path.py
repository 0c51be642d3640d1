"""A bar as the path its price took: open, the bad extreme, the other one, close. So a stop is met before a target.

Each point implies a quote around it. A stop that lies inside the path fills at the quote around the stop itself, one
beyond the open at the quote around the open. What reached the book while the bar was under way meets its close only,
because the path may be older; a protective stop is the exception, for there the doubt goes against us.
"""

from typing import TYPE_CHECKING

from interlock.matching.order import STOP, BookOrder, Phase
from interlock.model.market import Bar

if TYPE_CHECKING:
    from interlock.matching.market import Market

LIVE, TAKING = Phase.LIVE, Phase.TAKING


def walk(market: "Market", bar: Bar, low_first: bool) -> None:
    """Lead all orders for which the low (or else the high) is the bad extreme along the path of the bar."""
    known = bar.ts_event + market.rules.bar_grace
    first, second = (bar.low, bar.high) if low_first else (bar.high, bar.low)
    market.standing.imply(bar.open)
    _point(market, low_first, bar.open, known)
    _move(market, low_first, bar.open, first, known)
    market.standing.imply(first)
    _take(market, low_first, known)
    _move(market, low_first, first, second, known)
    market.standing.imply(second)
    _take(market, low_first, known)
    _move(market, low_first, second, bar.close, known)
    market.standing.imply_close(bar)
    _point(market, low_first, bar.close, bar.ts_known)


def _is_in(order: BookOrder, phase: Phase, low_first: bool, known: int) -> bool:
    if order.phase is not phase or order.low_first is not low_first:
        return False
    return order.arrived <= known or (order.type is STOP and order.is_exit)


def _take(market: "Market", low_first: bool, known: int) -> None:
    for order in tuple(market.orders.values()):
        if _is_in(order, TAKING, low_first, known):
            market.take(order)


def _point(market: "Market", low_first: bool, price: int, known: int) -> None:
    """What happens at the open or the close itself: the stops, then what takes, then the limits gone through."""
    for order in tuple(market.orders.values()):
        if order.type is STOP and _is_in(order, LIVE, low_first, known) and _is_met(order, price):
            order.phase = TAKING
    _take(market, low_first, known)
    for order in tuple(market.orders.values()):
        if _is_in(order, LIVE, low_first, known) and order.type is not STOP and _is_met(order, price):
            _fill_limit(market, order)


def _is_met(order: BookOrder, price: int) -> bool:
    return price <= order.level if order.falls else price >= order.level


def _move(market: "Market", low_first: bool, here: int, there: int, known: int) -> None:
    """From one point to the next: whatever is met, in the order of the way; a fill may bring new orders to life."""
    is_falling = there < here
    turn = market.turn
    while True:
        met: BookOrder | None = None
        best: tuple[int, bool, int] = (0, False, 0)
        for order in market.orders.values():
            if (order.falls is is_falling and order.done_turn != turn and _is_met(order, there)
                    and _is_in(order, LIVE, low_first, known)):
                way = max(here - order.level if is_falling else order.level - here, 0)
                rank = (way, order.type is not STOP, order.sequence)
                if met is None or rank < best:
                    met, best = order, rank
        if met is None:
            return
        here = here - best[0] if is_falling else here + best[0]
        market.standing.imply(here)
        if met.type is STOP:
            met.phase = TAKING
            market.take(met)
        else:
            _fill_limit(market, met)


def _fill_limit(market: "Market", order: BookOrder) -> None:
    order.done_turn = market.turn
    market.fill(order, order.remaining, order.price)
