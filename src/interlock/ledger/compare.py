"""Ours against the broker's. It compares and says so; it never adopts, and no order follows from it."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final

from interlock.model.ids import AccountName
from interlock.model.money import SECOND, Nanos, plain
from interlock.model.order import OrderRecord, Working
from interlock.model.record import Difference
from interlock.model.report import AccountRead

TOLERANCE: Final = Decimal("0.000001")
T_INFLIGHT: Final[Nanos] = 5 * SECOND
"""How long a difference may be a report that is still on its way."""


def compare(ours: Mapping[str, Decimal], orders: Iterable[OrderRecord], read: AccountRead, ts: Nanos,
            in_flight_since: Mapping[str, Nanos], cash: Decimal | None = None) -> tuple[Difference, ...]:
    """Every difference between what we hold and what a whole read shows, each with the time it was first seen.

    `ours`: signed quantities by instrument. `orders`: our open orders of the account. `in_flight_since`: differences of
    the read before, by name, and when each was first seen; one that is still there keeps its time. `outlived` tells
    which are older than what may be in flight. `cash` None leaves cash out.
    """
    found = [*_positions(ours, read), *_orders(orders, read)]
    if cash is not None and abs(cash - read.cash) > TOLERANCE:
        found.append(("cash", plain(cash), plain(read.cash)))
    return tuple(Difference(read.account, what, mine, theirs, in_flight_since.get(what, ts))
                 for what, mine, theirs in found)


def outlived(differences: Iterable[Difference], ts: Nanos) -> tuple[Difference, ...]:
    """Those that cannot be a late report any more: entries of the account freeze."""
    return tuple(difference for difference in differences if ts - difference.ts_since >= T_INFLIGHT)


def recheck_at(account: AccountName, differences: Iterable[Difference], ts: Nanos) -> Nanos | None:
    """When the account should be read again to tell a late report from drift; None: nothing is young."""
    due = [difference.ts_since + T_INFLIGHT for difference in differences
           if difference.account == account and ts - difference.ts_since < T_INFLIGHT]
    return min(due, default=None)


def _positions(ours: Mapping[str, Decimal], read: AccountRead) -> Iterator[tuple[str, str, str]]:
    theirs: dict[str, Decimal] = {}
    for position in read.positions:
        theirs[position.instrument] = theirs.get(position.instrument, Decimal(0)) + position.quantity
    for symbol in sorted({**ours, **theirs}):
        mine, his = ours.get(symbol, Decimal(0)), theirs.get(symbol, Decimal(0))
        if abs(mine - his) > TOLERANCE:
            yield f"position.{symbol}", plain(mine), plain(his)


def _orders(orders: Iterable[OrderRecord], read: AccountRead) -> Iterator[tuple[str, str, str]]:
    """Live orders by our id. What is in flight, in doubt or being cancelled may stand on either side."""
    theirs = {order.client_order_id: order for order in read.orders}
    for record in orders:
        name = record.leg.client_order_id
        listed = theirs.pop(name, None)
        if not isinstance(record.state, Working) or record.is_cancel_requested:
            continue
        if listed is None:
            yield f"order.{name}", f"{plain(record.remaining)} {record.instrument} working", "absent"
        elif abs(record.remaining - (listed.quantity - listed.filled)) > TOLERANCE:
            yield f"order.{name}", f"{plain(record.remaining)} left", f"{plain(listed.quantity - listed.filled)} left"
    for name, order in theirs.items():
        yield f"order.{name}", "absent", f"{plain(order.quantity - order.filled)} {order.instrument} working"
