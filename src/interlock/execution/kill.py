"""Kill: whatever could add risk is cancelled, wherever it stands, and once more when it turns up late. Nothing is sent.

Scope "risk" keeps what protects or reduces; "all" cancels that too and names what it leaves without protection. Orders of
a person's flatten are kept under both: they are the same person's wish to be out. The latch lives here only to catch late
arrivals; the one that stops new orders is read at every write.
"""

from collections.abc import Iterator

from interlock.execution.exposure import ZERO, position_key
from interlock.execution.state import Outputs, Situation, exit_side, prepared
from interlock.execution.told import Listed
from interlock.model.command import Killed, Released
from interlock.model.ids import AccountName, ClientOrderId, LaneName
from interlock.model.money import plain
from interlock.model.order import OrderRecord
from interlock.model.record import Alarm, CancelRequested, ReadRequested
from interlock.model.report import AccountRead
from interlock.model.signal import Purpose

PERSON = "person"
"""The permit under which a kill may cancel the last protection of a position."""


def in_reach(situation: Situation, lane: LaneName | None, account: AccountName | None,
             scope: str) -> Iterator[OrderRecord]:
    """Open orders of a lane and account (None: any) that a kill of this scope cancels."""
    for record in situation.orders.open_orders(account):
        if lane in (None, record.lane) and is_meant(record.leg.purpose, scope):
            yield record


def is_meant(purpose: Purpose, scope: str) -> bool:
    return purpose is Purpose.ENTER or (scope == "all" and purpose is not Purpose.FLATTEN)


def standing(situation: Situation, account: AccountName) -> Iterator[OrderRecord]:
    """Open orders of one account that a kill which stands has asked to go. What protects an entry that filled after a kill
    of scope "all" is no part of what that kill took away."""
    for reach, scope in situation.folded.kills.items():
        lane, _, named = reach.partition("|")
        if named in ("", account):
            for record in in_reach(situation, LaneName(lane) if lane else None, account, scope):
                if record.leg.purpose is Purpose.ENTER or record.ts_created <= situation.folded.killed.get(reach, 0):
                    yield record


def adds_risk(situation: Situation, account: AccountName, name: ClientOrderId, order: Listed) -> bool:
    """Whether an order on the broker's own list is one that a standing kill wants gone. One that nobody here made protects only
    where the broker shows a position that it closes."""
    record = situation.orders.book.records.get(name)
    held = situation.ears.position(account, order.instrument) or ZERO
    is_exit = order.is_protective and held * order.side.sign < ZERO
    for reach, scope in situation.folded.kills.items():
        lane, _, named = reach.partition("|")
        if named not in ("", account):
            continue
        if record is None:
            if not lane and (scope == "all" or not is_exit):
                return True
        elif lane in ("", record.lane) and is_meant(record.leg.purpose, scope) and (
                record.leg.purpose is Purpose.ENTER or record.ts_created <= situation.folded.killed.get(reach, 0)):
            return True
    return False


def on_killed(situation: Situation, killed: Killed) -> Outputs:
    """A cancel for every order in reach: working, in flight, in doubt, partly filled; then the broker's own list."""
    for record in tuple(in_reach(situation, killed.lane, killed.account, killed.scope)):
        yield CancelRequested(record.account, record.leg.client_order_id, f"kill: {killed.why}", PERSON)
    for account in situation.profiles:
        if killed.account in (None, account):
            yield from _positions(situation, account, killed)
            yield ReadRequested(account, "kill")


def _positions(situation: Situation, account: AccountName, killed: Killed) -> Outputs:
    """A kill closes nothing: what is still open is called out by name, and what is left naked more loudly."""
    named = []
    for instrument, at in situation.held(account).items():
        key = position_key(account, instrument)
        plan = situation.plan(key)
        if killed.lane is not None and (plan is None or plan.lane != killed.lane):
            continue
        confirmed, _ = situation.orders.covering(key, Purpose.PROTECT, exit_side(at))
        named.append(f"{instrument} {plain(at)}" + (
            " without protection" if killed.scope == "all" or not confirmed else f" (stops {plain(confirmed)})"))
    if not named:
        return
    is_naked = any("without" in each for each in named)
    key = f"killed_open.{account}"
    yield from situation.clear(key)                       # an earlier kill's list, of another scope
    yield Alarm(key, "critical" if is_naked else "warning", f"{account} is killed and still holds {', '.join(named)}; nothing "
                f"closes it but a person: {prepared(account)}")


def on_released(situation: Situation, released: Released) -> Outputs:
    for account in situation.profiles:
        if released.account in (None, account) and not situation.is_account_killed(account):
            for key in (f"kill.{account}", f"killed_open.{account}"):
                yield from situation.clear(key)


def on_resume(situation: Situation) -> Outputs:
    """After a start: what a standing kill reaches and was never asked to go, because no engine ran when it was given."""
    for reach, scope in situation.folded.kills.items():
        lane, _, account = reach.partition("|")
        named = LaneName(lane) if lane else None, AccountName(account) if account else None
        for record in tuple(in_reach(situation, *named, scope)):
            if not situation.is_cancelling(record):
                yield CancelRequested(record.account, record.leg.client_order_id, "killed while nothing ran", PERSON)


def on_arrival(situation: Situation, record: OrderRecord) -> Outputs:
    """The venue holds an order whose cancel it may not have understood, or that a kill should have caught."""
    if not record.is_open:
        return
    if record.is_cancel_requested:
        asked = situation.orders.book.cancels.get(record.leg.client_order_id)
        yield CancelRequested(record.account, record.leg.client_order_id, "arrived after its cancel",
                              "" if asked is None else asked.permit)
    elif record.leg.purpose is Purpose.ENTER and situation.killed(record.lane, record.account):
        yield CancelRequested(record.account, record.leg.client_order_id, "arrived after a kill")
    elif record.leg.purpose is Purpose.ENTER and situation.halted(record.lane, record.account):
        yield CancelRequested(record.account, record.leg.client_order_id, "arrived after a halt")


def on_read(situation: Situation, read: AccountRead) -> Outputs:
    """Orders that only the broker knows, in an account that is killed whole."""
    if not situation.killed("", read.account):
        return
    told, book = situation.ears.told.get(read.account), situation.orders.book
    for name, order in () if told is None else tuple(told.orders.items()):
        if name not in book.records and name not in book.cancels and adds_risk(situation, read.account, name, order):
            yield CancelRequested(read.account, name, "kill: known to the broker alone", PERSON)
