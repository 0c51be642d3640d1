"""An order as the matching core holds it, the bracket it may belong to, and what can happen to it.

Prices are int data increments, quantities int lots.
"""

from enum import IntEnum
from typing import Final, TypeAlias

from msgspec import Struct

from interlock.model.money import Nanos
from interlock.model.order import OrderType, Outcome

MARKET: Final = OrderType.MARKET
LIMIT: Final = OrderType.LIMIT
STOP: Final = OrderType.STOP


class Phase(IntEnum):
    WAITING = 0                        # a child whose parent has not filled
    LIVE = 1                           # rests: a limit below the market, a stop not triggered
    TAKING = 2                         # takes the opposite quote: market, crossing limit, triggered stop
    CLOSED = 3


class BookOrder:
    """One order in the book. The core alone changes it."""

    __slots__ = ("account", "arrived", "bracket", "cap", "done_turn", "falls", "filled", "id", "is_buy", "is_exit",
                 "is_ioc", "is_reduce_only", "level", "low_first", "phase", "price", "quantity", "sequence", "since",
                 "turn", "type")

    def __init__(self, *, account: str, id: str, is_buy: bool, quantity: int, type: OrderType, price: int = 0,
                 is_exit: bool = False, is_reduce_only: bool = False, is_ioc: bool = False, sequence: int = 0) -> None:
        self.account, self.id = account, id
        self.is_buy, self.is_exit = is_buy, is_exit
        self.is_reduce_only, self.is_ioc = is_reduce_only, is_ioc
        self.type, self.price = type, price        # the limit or the stop
        self.sequence = sequence                   # order of acceptance; settles ties
        self.quantity = quantity                   # of a child: what its parent's fills have made it
        self.cap = quantity                        # what was ordered
        self.filled = 0
        self.phase = Phase.LIVE
        self.arrived: Nanos = 0
        self.since: Nanos | None = None            # the opposite quote has stood at our limit since then
        self.bracket: Bracket | None = None
        self.falls = is_buy == (type is LIMIT)     # acts on a falling price: buy limit, sell stop
        self.low_first = is_buy != is_exit         # its bad extreme is the low: it makes or leaves a long position
        self.level = price                         # the trade price at which it acts; set when it enters a market
        self.turn = 0                              # market turn in which it arrived or was triggered
        self.done_turn = 0                         # market turn in which its limit has had its fill

    @property
    def remaining(self) -> int:
        return self.quantity - self.filled

    @property
    def key(self) -> tuple[str, str]:
        return self.account, self.id


class Bracket:
    """An entry and its exits, linked by the venue: exits are as large as what was entered and not yet left again."""

    __slots__ = ("children", "entered", "exited", "parent")

    def __init__(self, parent: BookOrder, children: list[BookOrder]) -> None:
        self.parent, self.children = parent, children
        self.entered = self.exited = 0
        parent.bracket = self
        for child in children:
            child.bracket = self
            if child.phase is Phase.LIVE:
                child.phase, child.quantity = Phase.WAITING, 0

    @property
    def open(self) -> int:
        return self.entered - self.exited

    def wanted(self, child: BookOrder) -> int:
        """How large the child should now be, its own fills included."""
        more = self.open
        if child.cap < self.parent.cap:            # a child for a part of the position stays one
            more = min(more, child.cap - child.filled)
        return child.filled + max(more, 0)

    def replace(self, old: BookOrder, new: BookOrder) -> None:
        """Put `new` in the place of `old`. Exits of the whole position stay that for a larger entry."""
        new.bracket = self
        if old is self.parent:
            self.parent = new
            for child in self.children:
                if child.cap >= old.cap:
                    child.cap = max(child.cap, new.cap)
        else:
            self.children[self.children.index(old)] = new


class Filled(Struct, frozen=True):
    order: BookOrder
    lots: int
    price: int


class Resized(Struct, frozen=True):
    """The venue has made a child live, or changed its quantity."""

    order: BookOrder


class Ended(Struct, frozen=True):
    order: BookOrder
    outcome: Outcome
    reason: str


Event: TypeAlias = Filled | Resized | Ended
