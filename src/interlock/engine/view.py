"""Builds what the gate looks at: from the ledger, the orders, the marks and the latches, at one moment, for one intent."""

from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Struct

from interlock.engine.latches import Latches
from interlock.engine.marks import Marks
from interlock.engine.setup import Setup
from interlock.execution.stage import Execution
from interlock.ledger.book import Ledger
from interlock.model.account import Truth
from interlock.model.entry import Payload
from interlock.model.features import FeatureRow
from interlock.model.ids import AccountName
from interlock.model.instrument import Instrument
from interlock.model.money import MINUTE, SECOND, Nanos
from interlock.model.order import InDoubt
from interlock.model.record import Attempt
from interlock.model.report import AccountRead, OrderFilled
from interlock.model.signal import AccountIntent, Intent, Purpose
from interlock.model.view import (
    AccountView,
    ExitView,
    GateView,
    HeldView,
    Mark,
    PendingView,
    Regime,
    Session,
)

TRUTH_AGE: Final[Nanos] = 10 * SECOND
"""After how long without a proof a label is unknown."""
GATE_FEATURES: Final = ("atr", "trajectory", "trajectory_first", "trajectory_second")
"""The columns that checks read, whatever the strategies need."""
CLOSED: Final = Session(is_open=False, is_known=False, trade_date="", ts_open=0, ts_close=0, ts_flat=0, local_minute=0,
                        zone="UTC")
ZERO: Final = Decimal(0)


class _State(Struct):
    attempts: dict[AccountName, list[Nanos]]
    theirs: dict[AccountName, dict[str, Decimal]]


class Views:
    """Reads the rooms; keeps for itself only the times of recent attempts and the broker's word on positions."""

    def __init__(self, setup: Setup, marks: Marks, latches: Latches, ledger: Ledger, execution: Execution) -> None:
        self._setup = setup
        self._marks = marks
        self._latches = latches
        self._ledger = ledger
        self._execution = execution
        self._attempts: dict[AccountName, deque[Nanos]] = {account: deque() for account in setup.accounts}
        self._theirs: dict[AccountName, dict[str, Decimal]] = {}   # positions by the broker's own word

    def session(self, symbol: str, now: Nanos) -> Session:
        """The session of an instrument; an instrument without a table is closed."""
        table = self._setup.sessions.get(symbol)
        return CLOSED if table is None else table.session_at(now)

    def mark(self, symbol: str, now: Nanos) -> Mark | None:
        return self._marks.mark(symbol, is_session_open=self.session(symbol, now).is_open)

    def proof(self, account: AccountName, now: Nanos) -> Nanos | None:
        """When the account's stream last proved itself. Where the clock waits for every answer, an open line proves itself."""
        line = self._latches.lines[account]
        return now if line.is_up and self._setup.clock != "wall" else line.ts_proof

    def truth(self, account: AccountName, now: Nanos) -> Truth:
        line, proof = self._latches.lines[account], self.proof(account, now)
        if not line.is_up or proof is None or line.environment is None or not 0 <= now - proof <= TRUTH_AGE:
            return Truth.UNKNOWN
        return Truth(line.environment)

    def build(self, asked: AccountIntent, now: Nanos, rows: Mapping[str, FeatureRow], regimes: Mapping[str, Regime]) -> GateView:
        """Everything that one judgement looks at."""
        setup, intent, account = self._setup, asked.intent, asked.account
        instrument = setup.instruments[intent.instrument]
        micro = setup.instruments.get(instrument.micro) if instrument.micro is not None else None
        row = rows.get(instrument.symbol)
        session = self.session(instrument.symbol, now)
        lane = setup.lanes[intent.lane]
        mark = self._marks.mark(instrument.symbol, is_session_open=session.is_open)
        return GateView(
            now=now, lane=intent.lane, strategy=intent.strategy, source=intent.source, instrument=instrument,
            mark=mark, session=session,
            micro=micro, micro_mark=None if micro is None else self.mark(micro.symbol, now),
            account=self._account(account, instrument, now), held=self._held(), pending=self._pending(),
            all_orders_last_minute=sum(self._recent(name, now) for name in self._attempts),
            all_day_pnl=self._all_day_pnl(), kill_epoch=self._latches.kill_epoch,
            killed_by=self._latches.killed_by(intent.lane, account), tier=0, tier_reasons=(),
            regime_detector=lane.detector, regime=regimes.get(instrument.symbol) if lane.detector != "none" else None,
            features=() if row is None else tuple(row.feature(name) for name in GATE_FEATURES),
            clock_offset=0, record=self._ledger.record(account, intent.source),
            memory=self._ledger.memory(account, instrument.parent, session.trade_date),
            limits=setup.accounts[account].limits.of(instrument, instrument.tick if mark is None else mark.mid),
            signal_key=signal_key(intent, instrument), mode=setup.mode,
            exits=() if intent.purpose is Purpose.ENTER else self._exits(account, instrument.symbol))

    def figures(self, account: AccountName) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        """(equity, balance, day P&L) at the marks of now."""
        marks = self.mids()
        return self._ledger.equity(account, marks), self._ledger.balance(account), self._ledger.day_pnl(account, marks)

    def apply(self, payload: Payload, ts: Nanos) -> None:
        """Fold the rate of orders, and what the broker says it holds."""
        match payload:
            case Attempt():
                self._attempts.setdefault(payload.order.account, deque()).append(ts)
            case AccountRead():
                self._theirs[payload.account] = {each.instrument: each.quantity for each in payload.positions}
            case _:
                pass

    def on_fill(self, fill: OrderFilled) -> None:
        """A distinct execution, told by the broker's own stream: its position has moved by it."""
        held = self._theirs.get(fill.account)
        if held is not None:
            held[fill.instrument] = held.get(fill.instrument, ZERO) + fill.quantity * fill.side.sign

    def snapshot(self) -> bytes:
        attempts = {account: list(times) for account, times in self._attempts.items()}
        return msgspec.msgpack.encode(_State(attempts, self._theirs))

    def restore(self, body: bytes) -> None:
        state = msgspec.msgpack.decode(body, type=_State)
        self._attempts = {account: deque(state.attempts.get(account, ())) for account in self._setup.accounts}
        self._theirs = state.theirs

    def _account(self, account: AccountName, instrument: Instrument, now: Nanos) -> AccountView:
        line, ledger, marks = self._latches.lines[account], self._ledger, self.mids()
        return AccountView(
            account=account, account_id=line.account_id, truth=self.truth(account, now),
            is_enabled=account not in self._latches.disabled, frozen_by=self._latches.frozen_by(account),
            is_line_up=line.is_up, ts_proof=self.proof(account, now), currency=self._setup.accounts[account].currency,
            equity=ledger.equity(account, marks), balance=ledger.balance(account), day_pnl=ledger.day_pnl(account, marks),
            week_pnl=ledger.week_pnl(account, marks), day_start_equity=ledger.day_start_equity(account),
            consecutive_losses=ledger.consecutive_losses(account), margin_used=None,
            position=ledger.quantity(account, instrument.symbol),
            broker_position=self._their_position(account, instrument.symbol),
            pair_may_rest=self._setup.accounts[account].profile.pair_may_rest,
            orders_last_minute=self._recent(account, now))

    def mids(self) -> dict[str, Decimal]:
        """The mid of every instrument that somebody holds."""
        mids = {}
        for symbol in self._ledger.held_instruments():
            found = self._marks.mid(symbol)
            if found is not None:
                mids[symbol] = self._setup.instruments[symbol].increment * found[1] / 2
        return mids

    def _held(self) -> tuple[HeldView, ...]:
        held = []
        for position in self._ledger.positions():
            instrument = self._setup.instruments[position.instrument]
            mid = self._marks.mid(position.instrument)
            price = position.average_price if mid is None else instrument.increment * mid[1] / 2
            held.append(HeldView(account=position.account, instrument=position.instrument, quantity=position.quantity,
                                 notional=abs(position.quantity) * price * instrument.multiplier, risk=position.risk,
                                 source=position.source, group=instrument.group, parent=instrument.parent))
        return tuple(held)

    def _pending(self) -> tuple[PendingView, ...]:
        """Every cleared entry that may still fill, charged from the moment of its clearance."""
        pending = []
        for plan in self._ledger.charges():
            instrument = self._setup.instruments[plan.instrument]
            order = self._execution.orders.by_id(plan.client_order_id)
            remaining = plan.quantity - plan.filled
            mid = self._marks.mid(plan.instrument)
            price = plan.reference if mid is None else instrument.increment * mid[1] / 2
            pending.append(PendingView(
                account=plan.account, instrument=plan.instrument, side=plan.side, remaining=remaining,
                notional=remaining * (price or ZERO) * instrument.multiplier, risk=plan.pending_risk, source=plan.source,
                group=instrument.group, parent=instrument.parent,
                is_in_doubt=order is not None and isinstance(order.state, InDoubt)))
        return tuple(pending)

    def _exits(self, account: AccountName, symbol: str) -> tuple[ExitView, ...]:
        orders = self._execution.orders
        return tuple(
            ExitView(client_order_id=order.leg.client_order_id, side=order.leg.side, remaining=order.remaining,
                     group=orders.group(order), purpose=order.leg.purpose)
            for order in orders.open_orders(account) if order.instrument == symbol and order.leg.purpose is not Purpose.ENTER)

    def _their_position(self, account: AccountName, symbol: str) -> Decimal | None:
        held = self._theirs.get(account)
        return None if held is None else held.get(symbol, ZERO)

    def _recent(self, account: AccountName, now: Nanos) -> int:
        recent = self._attempts[account]
        while recent and recent[0] <= now - MINUTE:
            recent.popleft()
        return len(recent)

    def _all_day_pnl(self) -> Decimal | None:
        marks, total = self.mids(), ZERO
        for account in self._setup.accounts:
            figure = self._ledger.day_pnl(account, marks)
            if figure is None:
                return None
            total += figure
        return total


def signal_key(intent: Intent, instrument: Instrument) -> str:
    """Source, underlying, side and signal: what may be cleared once per account."""
    return f"{intent.source.value}|{instrument.parent}|{intent.side.value}|{intent.signal_id}"
