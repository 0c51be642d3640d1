"""Kill: whatever could add risk is cancelled, wherever it stands, and once more when it turns up late. Nothing is sent.

Scope "risk" keeps what protects or reduces; "all" cancels that too. The latch lives here only to catch late arrivals;
the one that stops new orders is read at every write.
"""

from collections.abc import Iterator

from interlock.execution.state import Outputs, Situation
from interlock.model.command import Killed
from interlock.model.ids import AccountName, LaneName
from interlock.model.order import OrderRecord
from interlock.model.record import CancelRequested, ReadRequested
from interlock.model.report import AccountRead
from interlock.model.signal import Purpose

PERSON = "person"
"""The permit under which a kill may cancel the last protection of a position."""


def in_reach(situation: Situation, lane: LaneName | None, account: AccountName | None,
             scope: str) -> Iterator[OrderRecord]:
    """Open orders of a lane and account (None: any) that a kill of this scope cancels."""
    for record in situation.orders.open_orders(account):
        if lane in (None, record.lane) and (scope == "all" or record.leg.purpose is Purpose.ENTER):
            yield record


def on_killed(situation: Situation, killed: Killed) -> Outputs:
    """A cancel for every order in reach: working, in flight, in doubt, partly filled; then the broker's own list."""
    for record in tuple(in_reach(situation, killed.lane, killed.account, killed.scope)):
        yield CancelRequested(record.account, record.leg.client_order_id, f"kill: {killed.why}", PERSON)
    for account in situation.profiles:
        if killed.account in (None, account):
            yield ReadRequested(account, "kill")


def on_resume(situation: Situation) -> Outputs:
    """After a start: what a standing kill reaches and was never asked to go, because no engine ran when it was given."""
    for reach, scope in situation.folded.kills.items():
        lane, _, account = reach.partition("|")
        named = LaneName(lane) if lane else None, AccountName(account) if account else None
        for record in tuple(in_reach(situation, *named, scope)):
            if not record.is_cancel_requested:
                yield CancelRequested(record.account, record.leg.client_order_id, "killed while nothing ran", PERSON)


def on_arrival(situation: Situation, record: OrderRecord) -> Outputs:
    """The venue holds an order whose cancel it may not have understood, or that a kill should have caught."""
    if not record.is_open:
        return
    if record.is_cancel_requested:
        yield CancelRequested(record.account, record.leg.client_order_id, "arrived after its cancel")
    elif record.leg.purpose is Purpose.ENTER and situation.killed(record.lane, record.account):
        yield CancelRequested(record.account, record.leg.client_order_id, "arrived after a kill")


def on_read(situation: Situation, read: AccountRead) -> Outputs:
    """Orders that only the broker knows, in an account that is killed whole."""
    if not situation.killed("", read.account):
        return
    book = situation.orders.book
    for order in read.orders:
        name = order.client_order_id
        if not order.is_protective and name not in book.records and name not in book.cancels:
            yield CancelRequested(read.account, name, "kill: known to the broker alone")
