"""Reading the order book: what is open, what protects, and how far the position could go if anything live filled.

Orders that a venue links count as one: the exits of one bracket (of which only one fills, and only as far as the entry
did), and a replacement beside what it replaces.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from msgspec import Struct

from interlock.model.ids import AccountName, ClientOrderId, ExecutionId
from interlock.model.money import Nanos
from interlock.model.order import Closed, InFlight, OrderRecord, Working
from interlock.model.signal import Purpose, Side

ZERO: Final = Decimal(0)


class Note(Struct, frozen=True):
    """Something the last report showed. `is_alarm`: it should not have been possible."""

    kind: str                          # filled, answered, overfill, crossed, unknown, conflict, illegal, reopened
    client_order_id: ClientOrderId
    text: str = ""
    is_alarm: bool = False


class Seen(Struct, frozen=True, array_like=True):
    client_order_id: ClientOrderId
    quantity: Decimal
    price: Decimal
    ts: Nanos


class Asked(Struct, frozen=True, array_like=True):
    """A question to the venue: how often, when last, when to ask again."""

    count: int
    ts_last: Nanos
    ts_next: Nanos
    permit: str = ""                   # of a cancel: who may take the last protection away


class Book(Struct, kw_only=True):
    """The whole state, as a snapshot holds it."""

    records: dict[ClientOrderId, OrderRecord] = {}
    executions: dict[AccountName, dict[ExecutionId, Seen]] = {}
    positions: dict[str, Decimal] = {}               # by position_key
    changed: dict[ClientOrderId, Nanos] = {}         # open orders: when they last changed
    replaces: dict[ClientOrderId, ClientOrderId] = {}
    owed: dict[ClientOrderId, Decimal] = {}          # filled as the venue says, where its executions are not all here
    unproven: dict[ClientOrderId, bool] = {}         # closed by our own word or by absence, not by the venue's
    lookups: dict[ClientOrderId, Asked] = {}
    missed: dict[ClientOrderId, Nanos] = {}          # in doubt: when, by its own time, the venue first said that it knows none
    cancels: dict[ClientOrderId, Asked] = {}
    ts_pruned: Nanos = 0


def position_key(account: str, instrument: str) -> str:
    return f"{account}|{instrument}"


class Exposure:
    """The records, found by account and instrument without looking at closed ones."""

    def __init__(self) -> None:
        self.book = Book()
        self.children: dict[ClientOrderId, list[ClientOrderId]] = {}
        self._open: dict[str, dict[ClientOrderId, None]] = {}
        self.in_flight: dict[ClientOrderId, Nanos] = {}  # attempted, no answer yet: when they last changed

    def records(self) -> tuple[OrderRecord, ...]:
        """All orders that are remembered, oldest first."""
        return tuple(self.book.records.values())

    def by_id(self, client_order_id: ClientOrderId) -> OrderRecord | None:
        return self.book.records.get(client_order_id)

    def open_orders(self, account: AccountName | None = None) -> tuple[OrderRecord, ...]:
        """Orders that may still fill, of one account or of all."""
        records = self.book.records
        if account is None:
            return tuple([records[name] for names in self._open.values() for name in names])
        prefix = f"{account}|"
        return tuple([records[name] for key, names in self._open.items() if key.startswith(prefix) for name in names])

    def open_at(self, key: str) -> list[OrderRecord]:
        """Orders that may still fill at one `position_key`, oldest first."""
        names = self._open.get(key)
        records = self.book.records
        return [records[name] for name in names] if names else []

    def position(self, account: str, instrument: str) -> Decimal:
        """The signed sum of the distinct executions."""
        return self.book.positions.get(position_key(account, instrument), ZERO)

    def worst_case(self, account: str, instrument: str) -> tuple[Decimal, Decimal]:
        """(most long, most short): the furthest positions if any of the orders that may be live were to fill."""
        key = position_key(account, instrument)
        reach = {Side.BUY: ZERO, Side.SELL: ZERO}
        groups: dict[tuple[ClientOrderId, Side], Decimal] = {}
        for record in self.open_at(key):
            name = (self.group(record), record.leg.side)
            groups[name] = max(groups.get(name, ZERO), self._could_fill(record))
        for (_, side), quantity in groups.items():
            reach[side] += quantity
        for cid, filled in self.book.owed.items():
            record = self.book.records[cid]
            if position_key(record.account, record.instrument) == key and not record.is_open:
                reach[record.leg.side] += max(filled - record.filled, ZERO)
        at = self.book.positions.get(key, ZERO)
        return at + reach[Side.BUY], at - reach[Side.SELL]

    def owed(self, key: str, side: Side | None = None) -> bool:
        """Whether the venue says that an order of this place which is over has filled more than has been booked: what we hold is
        not what `position` says until the executions have come."""
        for cid, filled in self.book.owed.items():
            record = self.book.records[cid]
            if (not record.is_open and filled > record.filled and side in (None, record.leg.side)
                    and position_key(record.account, record.instrument) == key):
                return True
        return False

    def covering(self, key: str, purpose: Purpose, side: Side) -> tuple[Decimal, Decimal]:
        """(confirmed, possible): what is live at the venue for a purpose, and what may be (in flight, in doubt)."""
        confirmed, groups = ZERO, dict[ClientOrderId, Decimal]()
        for record in self.open_at(key):
            if record.leg.purpose is not purpose or record.leg.side is not side:
                continue
            if type(record.state) is Working and record.state.is_live:
                confirmed += record.remaining
            name = self.root(record)
            groups[name] = max(groups.get(name, ZERO), self._could_fill(record))
        return confirmed, sum(groups.values(), ZERO)

    def group(self, record: OrderRecord) -> ClientOrderId:
        """What the venue links: the parent of a child, else the first of a chain of replacements."""
        return record.parent if record.parent != record.leg.client_order_id else self.root(record)

    def is_child(self, record: OrderRecord) -> bool:
        return record.parent != record.leg.client_order_id

    def root(self, record: OrderRecord) -> ClientOrderId:
        name = record.leg.client_order_id
        while (earlier := self.book.replaces.get(name)) is not None:
            name = earlier
        return name

    def put(self, record: OrderRecord, ts: Nanos) -> None:
        """Store a record and keep the index of open orders in the order in which they were made."""
        book, cid = self.book, record.leg.client_order_id
        is_new = cid not in book.records
        book.records[cid] = record
        key = position_key(record.account, record.instrument)
        live = self._open.get(key)
        if live is None:
            live = self._open[key] = {}
        if type(record.state) is Closed:
            live.pop(cid, None)
            book.changed.pop(cid, None)
            book.lookups.pop(cid, None)
            book.missed.pop(cid, None)
            book.cancels.pop(cid, None)
            self.in_flight.pop(cid, None)
            return
        book.changed[cid] = ts
        if type(record.state) is InFlight:
            self.in_flight[cid] = ts
        else:
            self.in_flight.pop(cid, None)
        if is_new:
            live[cid] = None
            if record.parent != cid:
                self.children.setdefault(record.parent, []).append(cid)
        elif cid not in live:
            self.reindex()

    def reindex(self) -> None:
        """Build the indexes from the records."""
        self._open, self.children, self.in_flight = {}, {}, {}
        for cid, record in self.book.records.items():
            if type(record.state) is InFlight:
                self.in_flight[cid] = self.book.changed.get(cid, record.state.ts_since)
            live = self._open.setdefault(position_key(record.account, record.instrument), {})
            if record.is_open:
                live[cid] = None
            if record.parent != cid:
                self.children.setdefault(record.parent, []).append(cid)

    def _could_fill(self, record: OrderRecord) -> Decimal:
        """A child fills at most what its parent did and its siblings have not given back."""
        if record.parent == record.leg.client_order_id:
            return record.remaining if record.remaining > ZERO else ZERO
        parent = self.book.records.get(record.parent)
        if parent is None:
            return record.remaining
        room = parent.filled - sum((self.book.records[name].filled for name in self._children_of(record.parent)), ZERO)
        return room if room > ZERO else ZERO

    def _children_of(self, parent: ClientOrderId) -> Iterable[ClientOrderId]:
        return self.children.get(parent, ())
