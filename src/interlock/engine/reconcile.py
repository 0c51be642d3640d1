"""What a person owes an answer to: an account that is not what our own acts explain.

The first difference that outlives what may be in flight freezes the account's entries; the next reading that shows it asks a
person. Nothing is adopted without the answer, and no order follows from a difference. What heals by the account's own late
report thaws by itself; where somebody else had a hand in it, a person decides even when the books agree again.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Final

import msgspec
from msgspec import Struct

from interlock.engine.latches import Latches
from interlock.engine.questions import ADOPT_BROKER, ADOPT_LOCAL, DRIFT_ANSWERS, Row, digest_of, drift_id
from interlock.execution.exposure import ZERO
from interlock.execution.stage import Execution
from interlock.ledger.book import Ledger
from interlock.ledger.compare import ABSENT, CASH_TOLERANCE, compare, gap, is_old, later, told_since
from interlock.model.command import (
    AccountAdopted,
    AccountDisabled,
    AccountEnabled,
    Decided,
    OrderAdopted,
    PositionAdopted,
    QuestionClosed,
    QuestionOpened,
)
from interlock.model.entry import Payload
from interlock.model.ids import AccountName, ClientOrderId
from interlock.model.money import DAY, MINUTE, Nanos, plain
from interlock.model.order import Working
from interlock.model.record import AccountFrozen, AccountThawed, Alarm, AlarmCleared, Difference
from interlock.model.report import AccountRead, LineChanged, OrderFilled, ReadFailed

DRIFT: Final = "drift"
UNREAD: Final = "unread"
OFFLINE: Final = "offline"
FAILURES_MAX: Final = 2
"""Failed queries in a row after which nothing is known of an account any more."""
ACCEPTED_FOR: Final[Nanos] = DAY
"""How long a person's "adopt-local" is good for."""


class Watched(Struct, kw_only=True):
    """One account."""

    read: AccountRead | None = None    # the last whole answer that counted
    ts_read: Nanos = 0                 # when it came in
    ts_before: tuple[Nanos, Nanos] = (0, 0)        # of the one before: the broker's time, and when it came in
    rows: dict[str, Difference] = {}   # of that answer
    foreign: dict[str, Row] = {}       # what somebody else did, and nobody has decided on yet
    expected: dict[str, Nanos] = {}    # executions of others that are known: from before our time, or decided on
    asked: str = ""                    # digest of the open question; "": none is open
    state: tuple[Row, ...] = ()        # what it shows
    accepted: dict[str, str] = {}      # differences that a person accepted, and by how much they differed
    until: Nanos = 0
    aborted: str = ""                  # digest of the state on which a person would not decide
    failures: int = 0                  # of queries, in a row
    ts_failed: Nanos = 0               # the first of them


class Reconcile:
    """Folds what the broker and the person said; answers with differences, freezes and questions."""

    def __init__(self, accounts: tuple[AccountName, ...], latches: Latches, ledger: Ledger, execution: Execution) -> None:
        self._latches = latches
        self._ledger = ledger
        self._execution = execution
        self.accounts = {account: Watched() for account in accounts}

    # -- folding

    def is_current(self, read: AccountRead) -> bool:
        """Whether an answer is of the connection that stands, and no later one has come before it."""
        line = self._latches.lines.get(read.account)
        if line is None or not line.is_up or read.connection != line.connection:
            return False
        last = self._of(read.account).read
        if last is None or last.connection != read.connection:
            return True
        return not read.ts_event < last.ts_event <= read.ts_event + MINUTE      # further back: the venue's clock was set

    def apply(self, payload: Payload, ts: Nanos) -> None:
        match payload:
            case AccountRead():
                self._on_read(payload, ts)
            case Difference():
                self._on_difference(payload, ts)
            case ReadFailed():
                of = self._of(payload.account)
                if self._latches.is_up(payload.account):
                    of.failures += 1
                    of.ts_failed = of.ts_failed or ts
            case LineChanged():
                of = self._of(payload.account)
                of.failures, of.ts_failed = 0, 0
            case QuestionOpened() if payload.account is not None and payload.kind == DRIFT:
                of = self._of(payload.account)
                of.asked, of.state, of.aborted = payload.digest, payload.state, ""
            case QuestionClosed() if payload.account is not None and payload.question == drift_id(payload.account):
                of = self._of(payload.account)
                of.asked, of.state = "", ()
            case Decided() if payload.account is not None and payload.question == drift_id(payload.account):
                self._on_decided(self._of(payload.account), payload, ts)
            case AccountEnabled():
                self._of(payload.account).aborted = ""     # a person looks again: the next reading asks again
            case _:
                pass

    def on_foreign(self, fill: OrderFilled) -> None:
        """An execution that belongs to no order of ours. It is booked as it is, and it is a person's to explain."""
        of, what = self._of(fill.account), f"fill.{fill.execution_id}"
        of.foreign[what] = (what, "no order of ours", spell_fill(fill))

    def _on_read(self, read: AccountRead, ts: Nanos) -> None:
        of = self._of(read.account)
        is_first = of.read is None
        listed = {fill.execution_id for fill in read.fills}
        of.expected = {name: ts for name, ts in of.expected.items() if name in listed or ts > read.ts_event - 5 * DAY}
        for fill in read.fills:
            if fill.execution_id in of.expected or self._ledger.has_booked(fill) \
                    or self._execution.orders.by_id(fill.client_order_id) is not None:
                continue
            if is_first:
                of.expected[fill.execution_id] = fill.ts_event
            else:
                self.on_foreign(fill)
        of.ts_before = (0, 0) if of.read is None else (of.read.ts_event, of.ts_read)
        of.read, of.ts_read, of.rows, of.failures, of.ts_failed = read, ts, {}, 0, 0

    def _on_difference(self, found: Difference, ts: Nanos) -> None:
        of = self._of(found.account)
        of.rows[found.what] = found
        if is_old(found, ts) and not self._accepts(of, found, ts) and _is_foreign(found):
            of.foreign[found.what] = (found.what, found.ours, found.theirs)

    def _on_decided(self, of: Watched, decided: Decided, ts: Nanos) -> None:
        of.asked, of.state = "", ()
        if decided.answer not in (ADOPT_BROKER, ADOPT_LOCAL):
            of.aborted = digest_of(decided.state)
            return
        for what in of.foreign:
            if what.startswith("fill."):
                of.expected[what.removeprefix("fill.")] = ts
        of.foreign, of.accepted, of.until = {}, {}, 0
        if decided.answer == ADOPT_LOCAL:
            of.accepted = {what: gap(what, ours, theirs) for what, ours, theirs in decided.state
                           if not what.startswith(("account", "fill."))}
            of.until = decided.until
        else:
            of.rows = {}

    # -- what follows

    def on_read(self, read: AccountRead, ts: Nanos) -> Iterator[Payload]:
        """Compare; what execution made of the answer's own executions has been booked by now."""
        account = read.account
        if self._latches.is_frozen_for(account, UNREAD):
            yield AccountThawed(account, UNREAD, "the broker has told the whole account again")
            yield AlarmCleared(f"read.{account}")
        yield from self._compare(read, ts)
        yield from self._judge(account, ts, is_reading=True)

    def on_foreign_fills(self, fills: list[OrderFilled], ts: Nanos) -> Iterator[Payload]:
        for account in dict.fromkeys(fill.account for fill in fills):
            yield from self._judge(account, ts, is_reading=False)

    def on_line(self, line: LineChanged) -> Iterator[Payload]:
        """A line that was up and is down stops entries until a person says otherwise, also after it is back."""
        if not line.is_up and self._latches.lines[line.account].is_lost \
                and not self._latches.is_frozen_for(line.account, OFFLINE):
            yield AccountFrozen(line.account, OFFLINE, f"the line to the broker was lost: {line.reason}")

    def on_read_failed(self, failed: ReadFailed, ts: Nanos) -> Iterator[Payload]:
        """One failed query shows nothing; several show that nothing is known."""
        account, of = failed.account, self._of(failed.account)
        if (of.failures >= FAILURES_MAX or (of.failures and ts - of.ts_failed > MINUTE)) \
                and not self._latches.is_frozen_for(account, UNREAD):
            why = f"{of.failures} queries in a row have failed ({failed.reason}); positions and orders stand as last told"
            yield AccountFrozen(account, UNREAD, why)
            yield Alarm(f"read.{account}", "critical", f"{account} cannot be read: {why}")

    def _compare(self, read: AccountRead, ts: Nanos) -> Iterator[Payload]:
        account, ledger, orders = read.account, self._ledger, self._execution.orders
        still_open = orders.open_orders(account)
        replaced = {orders.book.replaces[record.leg.client_order_id] for record in still_open
                    if record.leg.client_order_id in orders.book.replaces and not isinstance(record.state, Working)}
        # An accepted difference that changes is another one, and may itself be a report on its way.
        before = {what: each for what, each in ledger.differences_before(account).items()
                  if not self._accepts(self._of(account), each, ts)}
        recent = ledger.recent(account)
        ask = partial(compare, ledger.quantities(account), still_open, read, ts, before, newer=later(recent, read),
                      replaced=replaced, told=told_since(recent, *self._of(account).ts_before), by_id=orders.by_id)
        found = ask()
        # Cash follows positions: it says something of its own only where they agree and nothing is on its way.
        if ledger.is_settled(account, ts) and not any(each.what.startswith("position.") for each in found):
            cash = ledger.cash_at(account, read)
            if cash is not None and abs(cash[0] - read.cash) > cash[1]:
                found = ask(cash=cash)
        yield from found

    def _judge(self, account: AccountName, ts: Nanos, *, is_reading: bool) -> Iterator[Payload]:
        of, is_frozen = self._of(account), self._latches.is_frozen_for(account, DRIFT)
        if not (of.rows or of.foreign or is_frozen):
            return
        standing = [each for each in of.rows.values() if not self._accepts(of, each, ts)]
        # Where we have ordered nothing yet, no report of ours can be on its way: what the first reading shows was there before.
        is_before_us = of.ts_before == (0, 0) and not any(
            record.account == account for record in self._execution.orders.records())
        old = standing if is_before_us else [each for each in standing if is_old(each, ts)]
        state = self._state(account, of, old)
        if not is_frozen:
            if old or of.foreign:
                why = "; ".join(f"{what}: ours {ours}, theirs {theirs}" for what, ours, theirs in state[1:])
                yield AccountFrozen(account, DRIFT, why)
                yield Alarm(f"drift.{account}", "critical", f"{account} differs from what we did there ({why}): entries are "
                            "frozen until a person has decided")
            return
        digest = digest_of(state)
        if of.aborted:
            if is_reading and digest != of.aborted:
                yield self._opened(account, state, digest)
        elif old or of.foreign:
            if digest != of.asked and (is_reading or of.asked):
                yield self._opened(account, state, digest)
        elif is_reading and standing and of.asked:
            yield QuestionClosed(drift_id(account), account, "what was shown has moved; it is asked again when it has stayed")
        elif is_reading and not standing:
            why = "every difference is gone: the account's own late report explains it"
            if of.asked:
                yield QuestionClosed(drift_id(account), account, why)
            yield AccountThawed(account, DRIFT, why)
            yield AlarmCleared(f"drift.{account}")

    def _opened(self, account: AccountName, state: tuple[Row, ...], digest: str) -> QuestionOpened:
        return QuestionOpened(drift_id(account), DRIFT, account, state, digest, DRIFT_ANSWERS)

    def _state(self, account: AccountName, of: Watched, old: list[Difference]) -> tuple[Row, ...]:
        """What a person is shown: the account as the broker names it, what differs, and what somebody else did there."""
        shown: dict[str, Row] = {each.what: (each.what, each.ours, each.theirs) for each in old}
        if of.read is not None and "cash" not in shown and any(what.startswith("position.") for what in shown):
            ours = self._ledger.balance(account)
            if ours is not None and abs(ours - of.read.cash) > CASH_TOLERANCE:
                shown["cash"] = ("cash", plain(round(ours, 2)), plain(round(of.read.cash, 2)))
        for what, row in of.foreign.items():
            shown.setdefault(what, row if what.startswith("fill.") else (what, row[1], f"{row[2]}; gone since"))
        number = None if of.read is None else of.read.account_id
        return (("account", account, number or "not named yet"), *shown.values())

    def _accepts(self, of: Watched, found: Difference, ts: Nanos) -> bool:
        """Whether a person has accepted exactly this difference, and may still be taken at their word."""
        return ts < of.until and of.accepted.get(found.what) == gap(found.what, found.ours, found.theirs)

    # -- a person's answer

    def theirs(self, account: AccountName) -> dict[str, Decimal] | None:
        """What the broker last said it holds, and what was executed since, flat ones left out; None: it has not told."""
        read = self._of(account).read
        if read is None:
            return None
        held: dict[str, Decimal] = {}
        for position in read.positions:
            held[position.instrument] = held.get(position.instrument, ZERO) + position.quantity
        for each in later(self._ledger.recent(account), read):
            held[each.instrument] = held.get(each.instrument, ZERO) + each.signed
        return {symbol: quantity for symbol, quantity in held.items() if quantity}

    def why_not_enable(self, account: AccountName) -> str | None:
        """What is missing before a person can lift what stops the account; None: nothing is."""
        if not self._latches.is_up(account):
            return "the line is down; a person connects it anew"
        if self._latches.is_frozen_for(account, "start_gate") or self._of(account).read is None:
            return "the broker has not told the whole account on this connection"
        return "queries fail" if self._latches.is_frozen_for(account, UNREAD) else None

    def why_not_adopt(self, account: AccountName) -> str | None:
        """Why the broker's book cannot be taken over as it was last told; None: it can."""
        of = self._of(account)
        if of.read is None or not self._latches.is_up(account) or self._latches.is_frozen_for(account, "start_gate"):
            return f"the broker has not told the whole of {account} on a line that is up"
        if of.failures:
            return f"the last query of {account} failed"
        if later(self._ledger.recent(account), of.read):
            return f"{account} has traded since the broker was last asked"
        return None

    def decide(self, account: AccountName, answer: str, ts: Nanos, who: str,
               price_of: Callable[[str], Decimal | None]) -> Iterator[Payload]:
        """All that follows from an answer that has been checked."""
        of = self._of(account)
        until = ts + ACCEPTED_FOR if answer == ADOPT_LOCAL else 0
        decided = Decided(drift_id(account), account, answer, of.state, until)
        if answer == ADOPT_BROKER and of.read is not None:
            adopted = tuple(self._adoption(account, of.read, of.state, price_of))
            yield decided
            yield from adopted
        elif answer == ADOPT_LOCAL:
            yield decided
        else:
            yield decided
            yield AccountDisabled(account, f"{who} would not decide on its differences")
            return
        yield AccountThawed(account, DRIFT, f"{who} decided: {answer}")
        yield AlarmCleared(f"drift.{account}")

    def _adoption(self, account: AccountName, read: AccountRead, state: tuple[Row, ...],
                  price_of: Callable[[str], Decimal | None]) -> Iterator[Payload]:
        held: dict[str, Decimal] = {}
        for position in read.positions:
            held[position.instrument] = held.get(position.instrument, ZERO) + position.quantity
        averages = {position.instrument: position.average_price for position in read.positions}
        listed = {order.client_order_id: order for order in read.orders}
        has_traded = False
        done: dict[ClientOrderId, None] = {}
        for what, _, _ in state:
            kind, _, name = what.partition(".")
            has_traded = has_traded or kind in ("position", "fill")
            if kind == "position":
                quantity, price = held.get(name, ZERO), averages.get(name)
                yield PositionAdopted(account, name, quantity, (price_of(name) if price is None else price) if quantity else None)
            elif kind == "order":
                by_id, order_id = self._execution.orders.by_id, ClientOrderId(name)
                if order_id not in listed and by_id(order_id) is None:     # one field of it: order.<id>.stop
                    order_id = ClientOrderId(name.rpartition(".")[0])
                is_ours = by_id(order_id) is not None
                if order_id not in done and (is_ours or order_id in listed):
                    done[order_id] = None
                    yield OrderAdopted(account, order_id, listed.get(order_id), is_ours)
        ours = self._ledger.balance(account)
        missing = read.cash - ours if ours is not None and has_traded else ZERO
        fills = tuple(fill for fill in read.fills if not self._ledger.has_booked(fill))
        adopted = [what.removeprefix("position.") for what, _, _ in state if what.startswith("position.")]
        yield AccountAdopted(account, self._ledger.cash_to_adopt(account, read, adopted), min(missing, ZERO), fills)

    # -- keeping

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(self.accounts)

    def restore(self, body: bytes) -> None:
        found: Mapping[AccountName, Watched] = msgspec.msgpack.decode(body, type=dict[AccountName, Watched])
        self.accounts = {**self.accounts, **found}

    def _of(self, account: AccountName) -> Watched:
        return self.accounts.setdefault(account, Watched())


def spell_fill(fill: OrderFilled) -> str:
    return f"{fill.side.value} {plain(fill.quantity)} {fill.instrument} at {plain(fill.price)} by {fill.client_order_id}"


def _is_foreign(found: Difference) -> bool:
    """Whether only somebody else can have brought it about: an order that nobody here made, or one changed by hand."""
    return found.what.startswith("order.") and (
        found.ours == ABSENT or found.what.endswith((".side", ".stop", ".limit")))
