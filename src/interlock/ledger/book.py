"""The ledger: what our own executions say we hold, what it made, and by trading day.

Folded from fills, exact in Decimal. Cash is the broker's word at the first whole read, our own arithmetic since. What
is not known (no read yet, no mark for something held) is None and never zero.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Struct

from interlock.ledger.compare import CASH_TOLERANCE, T_SETTLE, Execution, later
from interlock.ledger.holding import ZERO, EntryPlan, Holding
from interlock.ledger.memory import Past
from interlock.model.account import ClosedTrade, Position
from interlock.model.command import AccountAdopted, OrderAdopted, PositionAdopted
from interlock.model.ids import AccountName, LaneName
from interlock.model.instrument import Instrument
from interlock.model.money import DAY, Nanos
from interlock.model.order import OrderRecord
from interlock.model.record import Difference
from interlock.model.report import AccountRead, OrderFilled
from interlock.model.signal import Purpose, Side, Source
from interlock.model.verdict import Cleared, Verdict
from interlock.model.view import Memory, SourceRecord

_SHARE: Final = Decimal("0.00000001")
"""Grain of a commission that two round trips share; the parts add up to it exactly."""
KEPT: Final[Nanos] = 5 * DAY
"""How long executions and finished plans are remembered: longer than any venue repeats them."""
RECENT_MAX: Final = 1_000
"""Executions of an account that a comparison may leave out because they are younger than the broker's answer."""


class Account(Struct):
    """One account's figures. `made` and `fees` count from the first entry of the journal."""

    made: Decimal = ZERO               # gross result of closed round trips
    fees: Decimal = ZERO
    deposit: Decimal | None = None     # the broker's cash less what we had made by then
    trade_date: str = ""
    week: str = ""
    day_base: Decimal | None = ZERO    # result as it stood when the trading day began; None: something had no mark
    week_base: Decimal | None = ZERO
    losses: int = 0                    # in a row, this trading day
    holdings: dict[str, Holding] = {}
    executions: dict[str, Nanos] = {}
    since: dict[str, Difference] = {}  # of the last read, with the time each was first seen
    since_before: dict[str, Difference] = {}
    recent: list[Execution] = []       # of the last minute, oldest first
    counted: dict[str, Nanos] = {}     # executions that the broker's first word on cash held and we had not heard of
    forgotten: Nanos = 0               # executions of before were booked, and their ids are remembered no more


class _State(Struct):
    accounts: dict[AccountName, Account]
    plans: dict[str, EntryPlan]
    past: bytes


class Ledger:
    """Positions and money of the given accounts."""

    def __init__(self, accounts: Iterable[AccountName], instruments: Mapping[str, Instrument]) -> None:
        self._accounts = {account: Account() for account in accounts}
        self._instruments = instruments
        self._plans: dict[str, EntryPlan] = {}
        self._past = Past()

    # -- folding

    def apply(self, payload: object, ts: Nanos) -> None:
        """Fold one journaled payload. Fills come through `apply_fill`, the ends of orders through `settle`."""
        match payload:
            case Verdict():
                self._on_verdict(payload, ts)
            case ClosedTrade():
                self._on_closed(payload)
            case AccountRead():
                self._on_read(payload)
            case Difference():
                self._of(payload.account).since[payload.what] = payload
            case PositionAdopted():
                self._on_adopted(payload, ts)
            case OrderAdopted():
                self._on_order_adopted(payload, ts)
            case AccountAdopted():
                self._on_account_adopted(payload, ts)

    def apply_fill(self, fill: OrderFilled, record: OrderRecord | None, ts: Nanos) -> ClosedTrade | None:
        """Book one execution, once. `record` is the order as it stands after the fill; None: not one of ours.

        Returns the round trip that it ended, for the journal; folding that `ClosedTrade` is what counts it.
        """
        of = self._of(fill.account)
        if fill.execution_id not in of.counted or fill.execution_id in of.executions:
            return self._book(fill, record, ts)
        before = self._realised(of)
        closed = self._book(fill, record, ts)
        if of.deposit is not None:
            of.deposit -= self._realised(of) - before
        return closed

    def _book(self, fill: OrderFilled, record: OrderRecord | None, ts: Nanos) -> ClosedTrade | None:
        account = self._accounts.setdefault(fill.account, Account())
        if fill.execution_id in account.executions or _is_forgotten(account, fill):
            return None
        account.executions[fill.execution_id] = ts
        account.recent = [each for each in account.recent[1 - RECENT_MAX:] if each.ts > ts - T_SETTLE]
        account.recent.append(Execution(fill.execution_id, fill.client_order_id, fill.instrument,
                                        fill.quantity * fill.side.sign, fill.ts_event, ts))
        account.fees += fill.commission
        plan = self._plans.get(fill.client_order_id)
        if plan is not None:
            self._on_entry_fill(plan, fill)
        self.settle(record)
        holding = account.holdings.get(fill.instrument)
        if holding is None:
            holding = self._open(fill, ts)
        elif holding.quantity * fill.side.sign < ZERO and fill.quantity >= abs(holding.quantity):
            return self._close(account, holding, fill, record, ts)
        holding.take(fill.side, fill.quantity, fill.price, fill.commission)
        if holding.is_long == (fill.side.sign > 0):
            holding.belongs_to(record, plan)
        return None

    def has_booked(self, fill: OrderFilled) -> bool:
        """Whether this execution stands in the books already."""
        account = self._accounts.get(fill.account)
        return account is not None and (fill.execution_id in account.executions or _is_forgotten(account, fill))

    def settle(self, record: OrderRecord | None) -> None:
        """Release the charge of an entry that has definitely ended, and charge one anew that was taken for dead and is not. Hand
        in every order that a report has changed."""
        if record is not None:
            plan = self._plans.get(record.leg.client_order_id)
            if plan is not None:
                plan.is_charged = record.is_open

    def roll(self, account: AccountName, trade_date: str, marks: Mapping[str, Decimal]) -> None:
        """Begin a trading day, and a week with it where it is due; nothing happens while the day is the same."""
        of = self._of(account)
        if trade_date == of.trade_date or not trade_date:
            return
        year, week, _ = date.fromisoformat(trade_date).isocalendar()
        result = self._result(account, marks)
        if of.trade_date:
            of.day_base, of.losses = result, 0
            if of.week != f"{year}-{week}":
                of.week_base = result
        of.trade_date, of.week = trade_date, f"{year}-{week}"

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(_State(self._accounts, self._plans, self._past.snapshot()))

    def restore(self, body: bytes) -> None:
        state = msgspec.msgpack.decode(body, type=_State)
        self._accounts = {**self._accounts, **state.accounts}   # one that is configured no more keeps what it holds
        self._plans = state.plans
        self._past.restore(state.past)

    # -- reading

    def quantity(self, account: AccountName, instrument: str) -> Decimal:
        """Signed, zero when flat."""
        holding = self._accounts[account].holdings.get(instrument)
        return ZERO if holding is None else holding.quantity

    def quantities(self, account: AccountName) -> dict[str, Decimal]:
        """What one account holds, by instrument."""
        return {symbol: holding.quantity for symbol, holding in self._accounts[account].holdings.items()}

    def position(self, account: AccountName, instrument: str) -> Position | None:
        holding = self._accounts[account].holdings.get(instrument)
        return None if holding is None else holding.view()

    def positions(self, account: AccountName | None = None) -> tuple[Position, ...]:
        """Open positions of one account or of all."""
        return tuple(holding.view() for holding in self._holdings(account))

    def held(self, account: AccountName | None = None) -> Iterator[tuple[LaneName | None, AccountName, str]]:
        """Lane, account and instrument of every open position, of one account or of all."""
        for holding in self._holdings(account):
            yield holding.lane, holding.account, holding.instrument

    def held_instruments(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(holding.instrument for holding in self._holdings(None)))

    def balance(self, account: AccountName) -> Decimal | None:
        """Cash: deposit, realised results, fees."""
        of = self._accounts[account]
        return None if of.deposit is None else of.deposit + self._realised(of)

    def cash_at(self, account: AccountName, read: AccountRead) -> tuple[Decimal, Decimal] | None:
        """Our cash as the broker would count it, and how far its own may lie from it; None: not to be told.

        What is realised while something is open depends on its average price, and so on the order in which executions are
        booked, and on how a broker rounds it. So the broker's averages are taken, and a half tick of what is open is allowed.
        """
        of = self._accounts[account]
        if of.deposit is None:
            return None
        shift = self._shift(of, read, of.holdings)
        if shift is None:
            return None
        slack = sum((abs(each.quantity) * self._instruments[symbol].multiplier * self._instruments[symbol].tick / 2
                     for symbol, each in of.holdings.items()), CASH_TOLERANCE)
        return of.deposit + self._realised(of) + shift, slack

    def equity(self, account: AccountName, marks: Mapping[str, Decimal]) -> Decimal | None:
        """Cash and what is open, at the marks."""
        of = self._accounts[account]
        result = self._result(account, marks)
        return None if of.deposit is None or result is None else of.deposit + result

    def trade_date(self, account: AccountName) -> str:
        """The trading day that its figures of the day belong to; "" before the first."""
        return self._accounts[account].trade_date

    def day_start_equity(self, account: AccountName) -> Decimal | None:
        of = self._accounts[account]
        return None if of.deposit is None or of.day_base is None else of.deposit + of.day_base

    def day_pnl(self, account: AccountName, marks: Mapping[str, Decimal]) -> Decimal | None:
        """Realised and open result less fees since the trading day began."""
        result, base = self._result(account, marks), self._accounts[account].day_base
        return None if result is None or base is None else result - base

    def week_pnl(self, account: AccountName, marks: Mapping[str, Decimal]) -> Decimal | None:
        result, base = self._result(account, marks), self._accounts[account].week_base
        return None if result is None or base is None else result - base

    def consecutive_losses(self, account: AccountName) -> int:
        """Round trips of this trading day that lost, in a row, up to now."""
        return self._accounts[account].losses

    def record(self, account: AccountName, source: Source) -> SourceRecord:
        return self._past.record(account, source)

    def records_version(self) -> int:
        """Moves whenever a record may have changed."""
        return self._past.version

    def memory(self, account: AccountName, underlying: str, trade_date: str) -> Memory:
        """What was entered and stopped out in what moves with `underlying`."""
        return self._past.memory(account, underlying, trade_date)

    def charges(self, account: AccountName | None = None) -> tuple[EntryPlan, ...]:
        """Cleared entries that may still fill."""
        return tuple(plan for plan in self._plans.values()
                     if plan.is_charged and account in (None, plan.account) and plan.filled < plan.quantity)

    def pending_risk(self, account: AccountName | None = None) -> Decimal:
        """Planned loss of what is cleared and has not filled."""
        return sum((plan.pending_risk for plan in self.charges(account)), ZERO)

    def differences_before(self, account: AccountName) -> Mapping[str, Difference]:
        """The differences of the read before the last, by name: what `compare` asks for."""
        return self._accounts[account].since_before

    def recent(self, account: AccountName) -> tuple[Execution, ...]:
        """The executions of the last minute, oldest first."""
        return tuple(self._of(account).recent)

    def is_settled(self, account: AccountName, ts: Nanos) -> bool:
        """Whether cash can be compared: it is known, and no execution is so young that its fees may be on their way."""
        of = self._of(account)
        return of.deposit is not None and all(each.ts <= ts - T_SETTLE for each in of.recent)

    # -- the inside

    def _of(self, account: AccountName) -> Account:
        """The account's figures. The record may tell of one that the configuration no longer names."""
        return self._accounts.setdefault(account, Account())

    def _holdings(self, account: AccountName | None) -> Iterator[Holding]:
        if account is None:
            for of in self._accounts.values():
                yield from of.holdings.values()
        elif account in self._accounts:
            yield from self._accounts[account].holdings.values()

    def _result(self, account: AccountName, marks: Mapping[str, Decimal]) -> Decimal | None:
        """Everything made since the journal began, at the marks, fees taken off. Exact."""
        of = self._accounts[account]
        total = of.made - of.fees
        for symbol, holding in of.holdings.items():
            mark = marks.get(symbol)
            if mark is None or not mark.is_finite():
                return None
            total += (holding.flow + holding.quantity * mark) * self._instruments[symbol].multiplier
        return total

    def _realised(self, of: Account) -> Decimal:
        total = of.made - of.fees
        for symbol, holding in of.holdings.items():
            total += (holding.flow + holding.quantity * holding.average) * self._instruments[symbol].multiplier
        return total

    def _shift(self, of: Account, read: AccountRead, symbols: Iterable[str]) -> Decimal | None:
        """How much more would be realised if these holdings stood at the broker's average prices; None: it tells none."""
        averages = {position.instrument: position.average_price for position in read.positions}
        shift = ZERO
        for symbol in symbols:
            holding, average = of.holdings.get(symbol), averages.get(symbol)
            if holding is None:
                continue
            if average is None:
                return None
            shift += holding.quantity * (average - holding.average) * self._instruments[symbol].multiplier
        return shift

    def cash_to_adopt(self, account: AccountName, read: AccountRead, adopted: Iterable[str]) -> Decimal:
        """The broker's cash, at our own average prices for what is not adopted beside it."""
        of, taken = self._of(account), set(adopted)
        kept = [symbol for symbol in of.holdings if symbol not in taken]
        return read.cash - (self._shift(of, read, kept) or ZERO)

    def _open(self, fill: OrderFilled, ts: Nanos) -> Holding:
        holding = Holding(account=fill.account, instrument=fill.instrument, ts_opened=ts)
        self._of(fill.account).holdings[fill.instrument] = holding
        return holding

    def _close(self, account: Account, holding: Holding, fill: OrderFilled, record: OrderRecord | None,
               ts: Nanos) -> ClosedTrade:
        """Back to flat; what is left of the fill opens the other way."""
        multiplier = self._instruments[fill.instrument].multiplier
        quantity = abs(holding.quantity)
        rest = fill.quantity - quantity
        commission = fill.commission if not rest else (
            (fill.commission * quantity / fill.quantity).quantize(_SHARE))
        holding.take(fill.side, quantity, fill.price, commission)
        account.made += holding.flow * multiplier
        del account.holdings[fill.instrument]
        is_stop_out = record is not None and record.leg.purpose is Purpose.PROTECT
        closed = holding.closed(multiplier, is_stop_out=is_stop_out, ts=ts)
        if rest:
            other = self._open(fill, ts)
            other.take(fill.side, rest, fill.price, fill.commission - commission)
            other.belongs_to(record, self._plans.get(fill.client_order_id))
        return closed

    def _on_verdict(self, verdict: Verdict, ts: Nanos) -> None:
        self._past.on_verdict(verdict, ts)
        intent, result = verdict.asked.intent, verdict.result
        if not isinstance(result, Cleared) or intent.purpose is not Purpose.ENTER:
            return
        leg = result.order.parent
        self._plans[leg.client_order_id] = EntryPlan(
            client_order_id=leg.client_order_id, account=verdict.account, instrument=result.order.instrument,
            side=leg.side, source=intent.source, stop=intent.stop, target=intent.target,
            is_target_owned=intent.is_target_owned, reference=intent.reference, quantity=leg.quantity,
            risk=result.sized.risk, ts=ts)

    def _on_entry_fill(self, plan: EntryPlan, fill: OrderFilled) -> None:
        plan.filled += fill.quantity
        if plan.reference is not None and plan.source is not None:
            moved = (fill.price - plan.reference) * fill.side.sign
            self._past.on_entry_fill(fill.account, plan.source, moved / self._instruments[fill.instrument].tick)

    def _on_closed(self, trade: ClosedTrade) -> None:
        of = self._of(trade.account)
        of.losses = of.losses + 1 if trade.net < ZERO else 0
        self._past.on_closed(trade, self._instruments[trade.instrument].parent)
        limit = trade.ts_closed - KEPT
        oldest = next(iter(of.executions.values()), limit)
        if oldest < limit:                                # at most once per forgotten stretch, not once per trade
            of.executions = {name: ts for name, ts in of.executions.items() if ts >= limit + DAY}
            of.forgotten = limit + DAY
            self._plans = {name: plan for name, plan in self._plans.items() if plan.is_charged or plan.ts >= limit}

    def _on_read(self, read: AccountRead) -> None:
        of = self._of(read.account)
        of.since_before, of.since = of.since, {}
        if of.deposit is None and not later(of.recent, read):      # else its cash is that of before an execution of ours
            of.deposit = read.cash - self._realised(of) - (self._shift(of, read, of.holdings) or ZERO)
            of.counted = {fill.execution_id: fill.ts_event for fill in read.fills if fill.execution_id not in of.executions}

    # -- what a person took over from the broker

    def _on_adopted(self, adopted: PositionAdopted, ts: Nanos) -> None:
        """What the old holding had realised stays made; what is held counts from the broker's average price."""
        of, symbol = self._of(adopted.account), adopted.instrument
        held = of.holdings.pop(symbol, None)
        if held is not None:
            of.made += (held.flow + held.quantity * held.average) * self._instruments[symbol].multiplier
        if not adopted.quantity:
            return
        price = adopted.price if adopted.price is not None else held.average if held is not None else ZERO
        new = Holding(account=adopted.account, instrument=symbol, ts_opened=ts)
        if held is not None and held.quantity * adopted.quantity > ZERO:
            new.inherit(held, abs(adopted.quantity / held.quantity))
        new.take(Side.BUY if adopted.quantity > ZERO else Side.SELL, abs(adopted.quantity), price, ZERO)
        of.holdings[symbol] = new

    def _on_order_adopted(self, adopted: OrderAdopted, ts: Nanos) -> None:
        """An order that could add risk is charged like an entry of ours, whoever made it."""
        order, plan = adopted.order, self._plans.get(adopted.client_order_id)
        if order is None:
            if plan is not None:
                plan.is_charged = False
        elif plan is not None:
            plan.quantity, plan.filled, plan.is_charged = order.quantity, order.filled, order.filled < order.quantity
        elif not adopted.is_ours and not order.is_protective:
            self._plans[adopted.client_order_id] = EntryPlan(
                client_order_id=adopted.client_order_id, account=adopted.account, instrument=order.instrument, side=order.side,
                source=None, stop=None, target=None, is_target_owned=False,
                reference=order.limit if order.limit is not None else order.stop, quantity=order.quantity, risk=ZERO, ts=ts,
                filled=order.filled)

    def _on_account_adopted(self, adopted: AccountAdopted, ts: Nanos) -> None:
        of = self._of(adopted.account)
        of.made += adopted.loss
        of.deposit = adopted.cash - self._realised(of)
        for fill in adopted.fills:
            of.executions[fill.execution_id] = ts
        of.since, of.since_before = {}, {}


def _is_forgotten(account: Account, fill: OrderFilled) -> bool:
    """An execution of so long ago that a venue which tells it now is repeating itself. One of a time that we slept through is
    told by no venue as late as that, and a position that we do not know is found by the next comparison."""
    return 0 < fill.ts_event < account.forgotten
