"""What the broker has told of a whole account, and how much that proves.

An answer shows the account as it stood at some moment after it was asked for. It is *current* while nothing has happened
since then that could have changed it: each attempt, fill and end of an order that we hear of moves the account's mark, and
an answer whose question is older than the mark is of yesterday.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from msgspec import Struct

from interlock.execution.exposure import ZERO, position_key
from interlock.model.ids import AccountName, ClientOrderId, ExecutionId
from interlock.model.money import SECOND, Nanos
from interlock.model.report import AccountRead, OrderFilled
from interlock.model.signal import Side

T_SETTLE: Final[Nanos] = 2 * SECOND
"""How long a list of positions may lag behind the executions that the broker itself reports."""
_ASKED_MAX: Final = 64


class Listed(Struct, frozen=True, array_like=True):
    """One order that the broker lists."""

    instrument: str
    side: Side
    remaining: Decimal
    is_live: bool
    is_protective: bool


class Question(Struct, frozen=True, array_like=True):
    """A read that was asked for and has no answer yet."""

    mark: int
    ts: Nanos


class Told(Struct, kw_only=True):
    """The last whole answer about one account. `settled` moves with the executions that came after it."""

    mark: int                          # of the account when the answer was asked for
    ts_asked: Nanos
    ts_event: Nanos
    positions: dict[str, Decimal]      # by the answer itself
    settled: dict[str, Decimal]        # what we take the broker to hold: an answer that lags is not believed at once
    orders: dict[ClientOrderId, Listed]
    executions: dict[ExecutionId, bool]            # that the answer holds already

    def is_settled(self, instrument: str) -> bool:
        """Whether the answer's position is one to size an order from."""
        return self.positions.get(instrument, ZERO) == self.settled.get(instrument, ZERO)


class Ears(Struct, kw_only=True):
    """What was asked and told, by account."""

    told: dict[AccountName, Told] = {}
    marks: dict[AccountName, int] = {}
    asked: dict[AccountName, list[Question]] = {}
    attempted: dict[AccountName, Nanos] = {}       # when an order was last attempted
    filled: dict[str, Nanos] = {}                  # when an execution last came, by position_key

    def move(self, account: AccountName) -> None:
        """Something happened that an answer asked for before does not show for certain."""
        self.marks[account] = self.marks.get(account, 0) + 1

    def current(self, account: AccountName) -> Told | None:
        """The last answer, if it shows the account as far as anybody knows."""
        told = self.told.get(account)
        return told if told is not None and told.mark == self.marks.get(account, 0) else None

    def is_asked(self, account: AccountName) -> bool:
        """Whether an answer is under way that will be current, should nothing happen meanwhile."""
        mark = self.marks.get(account, 0)
        return any(question.mark == mark for question in self.asked.get(account, ()))

    def position(self, account: AccountName, instrument: str) -> Decimal | None:
        """What the broker holds by its own word and the executions since; None: it has not told."""
        told = self.told.get(account)
        return None if told is None else told.settled.get(instrument, ZERO)

    # -- folding

    def on_asked(self, account: AccountName, ts: Nanos) -> None:
        waiting = self.asked.setdefault(account, [])
        if len(waiting) < _ASKED_MAX:
            waiting.append(Question(self.marks.get(account, 0), ts))

    def on_unanswered(self, account: AccountName) -> None:
        waiting = self.asked.get(account)
        if waiting:
            waiting.pop(0)

    def on_started(self) -> None:
        """What an earlier process asked has nobody left to be told."""
        self.asked.clear()
        for account in self.told:
            self.move(account)

    def on_fill(self, fill: OrderFilled, ts: Nanos) -> None:
        """A distinct execution."""
        self.move(fill.account)
        self.filled[position_key(fill.account, fill.instrument)] = ts
        told = self.told.get(fill.account)
        if told is not None and fill.ts_event >= told.ts_event and fill.execution_id not in told.executions:
            told.settled[fill.instrument] = told.settled.get(fill.instrument, ZERO) + fill.quantity * fill.side.sign

    def on_read(self, read: AccountRead, ours: Mapping[str, Decimal]) -> None:
        """An answer takes the oldest question's place: it proves no more than that one asked. One that arrives behind a
        later answer proves nothing."""
        waiting = self.asked.get(read.account)
        question = waiting.pop(0) if waiting else Question(-1, 0)
        earlier = self.told.get(read.account)
        if earlier is not None and read.ts_event < earlier.ts_event:
            return
        positions = _sum((each.instrument, each.quantity) for each in read.positions)
        believed = ours if earlier is None else earlier.settled
        told = Told(
            mark=question.mark, ts_asked=question.ts, ts_event=read.ts_event, positions=positions, settled={},
            orders={order.client_order_id: Listed(order.instrument, order.side, order.quantity - order.filled, order.is_live,
                                                  order.is_protective) for order in read.orders},
            executions={fill.execution_id: True for fill in read.fills if fill.ts_event >= read.ts_event - T_SETTLE})
        for instrument in dict.fromkeys((*positions, *believed)):
            found, before = positions.get(instrument, ZERO), believed.get(instrument, ZERO)
            moved = self.filled.get(position_key(read.account, instrument))
            is_late = moved is not None and question.ts < moved + T_SETTLE
            told.settled[instrument] = before if found != before and is_late else found
        self.told[read.account] = told


def _sum(pairs: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for name, quantity in pairs:
        found[name] = found.get(name, ZERO) + quantity
    return found
