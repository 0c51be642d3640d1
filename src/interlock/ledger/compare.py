"""Ours against the broker's. It compares and says so; it never adopts, and no order follows from it.

A broker's answer is of one moment, and reports go on arriving. So ours is taken as it stood at that moment: what was
executed later, by the broker's own time, is left out. What is left may still be a report on its way; `outlived` tells
which differences are older than that.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final

from msgspec import Struct

from interlock.model.ids import AccountName, ClientOrderId, ExecutionId
from interlock.model.money import MINUTE, SECOND, Nanos, plain
from interlock.model.order import OrderRecord, Working
from interlock.model.record import Difference
from interlock.model.report import AccountRead, BrokerOrder
from interlock.model.signal import Side

TOLERANCE: Final = Decimal("0.000001")
CASH_TOLERANCE: Final = Decimal("0.01")
T_INFLIGHT: Final[Nanos] = 5 * SECOND
"""How long a difference may be a report that is still on its way."""
T_SETTLE: Final[Nanos] = MINUTE
"""How long after an execution its fees may still be on their way: until then cash is not compared."""
ABSENT: Final = "absent"
ZERO: Final = Decimal(0)


class Execution(Struct, frozen=True, array_like=True):
    """An execution in our books, as far as a comparison asks."""

    execution_id: ExecutionId
    client_order_id: ClientOrderId
    instrument: str
    signed: Decimal
    ts_event: Nanos
    ts: Nanos                          # when we heard of it


def later(recent: Iterable[Execution], read: AccountRead) -> tuple[Execution, ...]:
    """The executions of ours that the answer cannot hold, because they came after it."""
    listed = {fill.execution_id for fill in read.fills}
    return tuple(each for each in recent if each.ts_event >= read.ts_event and each.execution_id not in listed)


def told_since(recent: Iterable[Execution], ts_event: Nanos, ts: Nanos) -> tuple[Execution, ...]:
    """The executions that an earlier answer (of `ts_event`, come in at `ts`) held and that we heard of only after it."""
    return tuple(each for each in recent if each.ts_event < ts_event and each.ts > ts)


def compare(ours: Mapping[str, Decimal], orders: Iterable[OrderRecord], read: AccountRead, ts: Nanos,
            before: Mapping[str, Difference], *, newer: Collection[Execution] = (), replaced: Collection[str] = (),
            told: Iterable[Execution] = (), by_id: Callable[[ClientOrderId], OrderRecord | None] = lambda _: None,
            cash: tuple[Decimal, Decimal] | None = None) -> tuple[Difference, ...]:
    """Every difference between what we hold and what a whole read shows, each with the time it was first seen.

    `ours`: signed quantities by instrument. `orders`: our open orders of the account. `before`: the differences of the read
    before, by name; one that is still there keeps its time. `newer`: what `later` found. `replaced`: orders that are being
    replaced just now. `told`: what `told_since` found: the difference of before, as far as it was that, is explained.
    `by_id` finds an order of ours that is open no more. `cash`: ours, and how far theirs may lie from it; None leaves it out.
    """
    since = dict[str, Decimal]()
    for each in newer:
        since[each.instrument] = since.get(each.instrument, ZERO) + each.signed
    then = {symbol: ours.get(symbol, ZERO) - since.get(symbol, ZERO) for symbol in {**ours, **since}}
    found = [*_positions(then, read), *_orders(orders, read, newer, replaced, by_id)]
    if cash is not None and abs(cash[0] - read.cash) > cash[1]:
        found.append(("cash", plain(round(cash[0], 2)), plain(round(read.cash, 2))))
    explained: dict[str, Decimal] = {}
    for each in told if before else ():
        for what, quantity in ((f"position.{each.instrument}", each.signed),
                               (f"order.{each.client_order_id}.left", -abs(each.signed))):
            explained[what] = explained.get(what, ZERO) + quantity
    return tuple(Difference(read.account, what, mine, theirs,
                            _since(before.get(what), what, mine, theirs, explained.get(what, ZERO), ts))
                 for what, mine, theirs in found)


def outlived(differences: Iterable[Difference], ts: Nanos) -> tuple[Difference, ...]:
    """Those that cannot be a late report any more: entries of the account freeze."""
    return tuple(difference for difference in differences if is_old(difference, ts))


def is_old(difference: Difference, ts: Nanos) -> bool:
    return ts - difference.ts_since >= T_INFLIGHT


def recheck_at(account: AccountName, differences: Iterable[Difference], ts: Nanos) -> Nanos | None:
    """When the account should be read again to tell a late report from drift; None: nothing is young."""
    due = [difference.ts_since + T_INFLIGHT for difference in differences
           if difference.account == account and not is_old(difference, ts)]
    return min(due, default=None)


def gap(what: str, ours: str, theirs: str) -> str:
    """What makes two sightings the same difference: by how much they differ where that is a number, else what they say.

    >>> gap("position.MNQ", "1", "3"), gap("order.x.stop", "95", "90"), gap("order.x", "absent", "1 MNQ")
    ('2', '90', 'absent 1 MNQ')
    """
    if what == "cash" or what.startswith("position.") or what.endswith(".left"):
        return plain(Decimal(theirs) - Decimal(ours))
    return theirs if what.startswith("order.") and ours != ABSENT else f"{ours} {theirs}"


def _since(earlier: Difference | None, what: str, ours: str, theirs: str, explained: Decimal, ts: Nanos) -> Nanos:
    """Two late reports one after the other are no difference that stayed: it keeps its time while it points the same way, and
    what has been told since does not explain it."""
    if earlier is None:
        return ts
    then, now = gap(what, earlier.ours, earlier.theirs), gap(what, ours, theirs)
    if what.startswith("position.") or what.endswith(".left"):
        return earlier.ts_since if (Decimal(then) - explained) * Decimal(now) > ZERO else ts
    return earlier.ts_since if then == now else ts


def _positions(ours: Mapping[str, Decimal], read: AccountRead) -> Iterator[tuple[str, str, str]]:
    theirs: dict[str, Decimal] = {}
    for position in read.positions:
        theirs[position.instrument] = theirs.get(position.instrument, ZERO) + position.quantity
    for symbol in sorted({**ours, **theirs}):
        mine, his = ours.get(symbol, ZERO), theirs.get(symbol, ZERO)
        if abs(mine - his) > TOLERANCE:
            yield f"position.{symbol}", plain(mine), plain(his)


def _orders(orders: Iterable[OrderRecord], read: AccountRead, newer: Iterable[Execution], replaced: Collection[str],
            by_id: Callable[[ClientOrderId], OrderRecord | None]) -> Iterator[tuple[str, str, str]]:
    """Live orders by our id. What is in flight, in doubt, being replaced or being cancelled may stand on either side."""
    theirs = {order.client_order_id: order for order in read.orders}
    filled_since: dict[str, Decimal] = {}
    for each in newer:
        filled_since[each.client_order_id] = filled_since.get(each.client_order_id, ZERO) + abs(each.signed)
    for record in orders:
        name = record.leg.client_order_id
        listed = theirs.pop(name, None)
        if not isinstance(record.state, Working) or record.is_cancel_requested or name in replaced:
            continue
        left = record.remaining + filled_since.get(name, ZERO)
        if listed is None:
            yield f"order.{name}", f"{_spell(record.leg.side, left, record.instrument)} working", ABSENT
        else:
            yield from _fields(name, record, listed, left)
    for name, order in theirs.items():
        record_then = by_id(name)
        if record_then is None:
            yield f"order.{name}", ABSENT, spelled(order)
        elif not (record_then.is_open or filled_since.get(name)):
            yield f"order.{name}", "closed", spelled(order)


def _fields(name: str, record: OrderRecord, listed: BrokerOrder, left: Decimal) -> Iterator[tuple[str, str, str]]:
    """What one order says on either side. A price that the broker does not tell is not compared."""
    leg, what = record.leg, f"order.{name}"
    theirs = listed.quantity - listed.filled
    if listed.instrument != record.instrument or listed.side is not leg.side:
        yield f"{what}.side", f"{leg.side.value} {record.instrument}", f"{listed.side.value} {listed.instrument}"
    if abs(left - theirs) > TOLERANCE:
        yield f"{what}.left", plain(left), plain(theirs)
    for field, mine, his in (("stop", leg.stop, listed.stop), ("limit", leg.limit, listed.limit)):
        if his is not None and (mine is None or abs(mine - his) > TOLERANCE):
            yield f"{what}.{field}", "none" if mine is None else plain(mine), plain(his)


def spelled(order: BrokerOrder) -> str:
    """An order that the broker lists, in words."""
    prices = "".join(f" {name} {plain(price)}" for name, price in (("stop", order.stop), ("limit", order.limit))
                     if price is not None)
    return f"{_spell(order.side, order.quantity - order.filled, order.instrument)}{prices} working"


def _spell(side: Side, quantity: Decimal, instrument: str) -> str:
    return f"{side.value} {plain(quantity)} {instrument}"
