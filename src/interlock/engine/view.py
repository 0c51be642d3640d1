"""Builds what the gate looks at: from the ledger, the orders, the marks and the latches, at one moment, for one intent."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from interlock.engine.flattens import DECISIONS, Flattens
from interlock.engine.latches import Latches
from interlock.engine.marks import Marks
from interlock.engine.setup import Setup
from interlock.execution.stage import Execution
from interlock.gate.sizing import entry_price
from interlock.ledger.book import Ledger
from interlock.model.account import Truth
from interlock.model.clearance import Clearance
from interlock.model.entry import Payload
from interlock.model.features import FeatureRow
from interlock.model.ids import AccountName, LaneName
from interlock.model.instrument import Instrument
from interlock.model.money import MINUTE, SECOND, Nanos
from interlock.model.order import InDoubt, Working
from interlock.model.record import Attempt
from interlock.model.report import AccountRead
from interlock.model.signal import AccountIntent, Intent, Purpose, Side
from interlock.model.verdict import Cleared, Verdict
from interlock.model.view import (
    AccountView,
    Definition,
    ExitView,
    GateView,
    HeldView,
    Mark,
    PendingView,
    Regime,
    RestingView,
    Session,
)

TRUTH_AGE: Final[Nanos] = 10 * SECOND
"""After how long without a proof a label is unknown."""
GATE_FEATURES: Final = ("atr", "trajectory", "trajectory_first", "trajectory_second")
"""The columns that checks read, whatever the strategies need."""
CLOSED: Final = Session(is_open=False, is_known=False, trade_date="", ts_open=0, ts_close=0, ts_flat=0, local_minute=0,
                        zone="UTC")
ZERO: Final = Decimal(0)
NOT_KNOWN: Final = Decimal("NaN")
"""For a figure that a broker tells in part: there, and no number."""
IN_FLIGHT: Final[Nanos] = 5 * SECOND
"""How long before a broker's answer something may have been sent that the answer does not hold."""


class _Minute(Struct):
    """What was cleared within the last minute, and what it was worth: (time, value) oldest first."""

    cleared: list[tuple[Nanos, Decimal]] = []
    sum: Decimal = ZERO

    def add(self, ts: Nanos, value: Decimal) -> None:
        self.cleared.append((ts, value))
        self.sum += value

    def at(self, now: Nanos) -> Decimal:
        cleared, past = self.cleared, 0
        while past < len(cleared) and cleared[past][0] <= now - MINUTE:
            self.sum -= cleared[past][1]
            past += 1
        if past:
            del cleared[:past]
        return self.sum


class _Told(Struct):
    """What one account's broker last told, beside what ledger and execution fold."""

    ts: Nanos
    margin: Decimal | None = None
    since: list[tuple[Nanos, str, Decimal]] = []       # entries cleared that the margin told may not hold: time, what, how much
    connection: int = 0
    ts_event: Nanos = 0


class _State(Struct):
    attempts: dict[AccountName, list[Nanos]]
    told: dict[AccountName, _Told]
    definitions: dict[AccountName, dict[str, Definition]]
    minutes: dict[AccountName, _Minute]
    all_minutes: _Minute
    flattens: Flattens


@dataclass(slots=True)
class _Sum:
    """What one turn's judgements share, until a fold or the market moves it."""

    marks: int
    mids: dict[str, Decimal]
    held: dict[AccountName, tuple[HeldView, ...]] = field(default_factory=dict)
    pending: dict[AccountName, list[PendingView]] | None = None        # None: nobody has asked yet
    notional: Decimal = ZERO
    day_pnl: Decimal | None = None
    resting: dict[str, list[RestingView]] = field(default_factory=dict)    # the best of each side and instrument, by broker
    sights: dict[str, "_Sight"] = field(default_factory=dict)
    offset: Nanos | None = None
    now: Nanos = 0


@dataclass(slots=True, frozen=True)
class _Sight:
    """One instrument as the market shows it."""

    session: Session
    mark: Mark | None
    window: tuple[Decimal, Decimal] | None


class Health(Protocol):
    """How well the desk sees and is heard."""

    def tier(self, lane: LaneName, account: AccountName, /) -> tuple[int, tuple[str, ...]]:
        """The worse of the lane's and the account's tier, and why."""
        ...

    def clock_offset(self) -> Nanos | None:
        """How far this machine's clock is off; None: not measured."""
        ...


class Well:
    """In the place of a health room: nothing is wrong."""

    def tier(self, _lane: LaneName, _account: AccountName, /) -> tuple[int, tuple[str, ...]]:
        return 0, ()

    def clock_offset(self) -> Nanos | None:
        return 0


class Views:
    """Reads the rooms; keeps for itself only what was lately cleared, and the broker's word on margin and instruments."""

    def __init__(self, setup: Setup, marks: Marks, latches: Latches, ledger: Ledger, execution: Execution) -> None:
        self._setup = setup
        self._marks = marks
        self._latches = latches
        self._ledger = ledger
        self._execution = execution
        self._attempts: dict[AccountName, deque[Nanos]] = {account: deque() for account in setup.accounts}
        self._all_attempts: deque[Nanos] = deque()
        self._told: dict[AccountName, _Told] = {}
        self._definitions: dict[AccountName, dict[str, Definition]] = {}
        self._minutes: dict[AccountName, _Minute] = {account: _Minute() for account in setup.accounts}
        self._all_minutes = _Minute()
        self._flattens = Flattens()
        self._sum: _Sum | None = None
        self.health: Health = Well()

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

    def definition(self, account: AccountName, symbol: str) -> Definition | None:
        """An instrument by the word of the account's broker; None: it has not told."""
        return self._definitions.get(account, {}).get(symbol)

    def build(self, asked: AccountIntent, now: Nanos, rows: Mapping[str, FeatureRow], regimes: Mapping[str, Regime]) -> GateView:
        """Everything that one judgement looks at."""
        setup, intent, account = self._setup, asked.intent, asked.account
        symbol, is_entry = intent.instrument, intent.purpose is Purpose.ENTER
        instrument = setup.instruments[symbol]
        micro = setup.instruments.get(instrument.micro) if instrument.micro is not None else None
        row = rows.get(symbol)
        shared = self._shared()
        sight = self._sight(shared, symbol, now)
        session, mark = sight.session, sight.mark
        small = None if micro is None else self._sight(shared, micro.symbol, now)
        lane, of = setup.lanes.get(intent.lane), setup.accounts[account]
        detector = "" if lane is None else lane.detector           # a close that a person orders may belong to no lane
        tier, reasons = self.health.tier(intent.lane, account)
        pending: Iterable[PendingView] = ()
        notional = all_day_pnl = all_value = resting = None
        if is_entry:
            pending = self._pending(shared).get(account, ())
            notional, all_day_pnl, all_value = shared.notional, shared.day_pnl, self._all_minutes.at(now)
            resting = tuple(each for each in shared.resting.get(of.broker, ())
                            if each.instrument == symbol or (micro is not None and each.instrument == micro.symbol))
        return GateView(
            now=now, lane=intent.lane, strategy=intent.strategy, source=intent.source, instrument=instrument,
            mark=mark, session=session, micro=micro, micro_mark=None if small is None else small.mark,
            account=self._account(account, instrument, now, shared), held=self._held(shared, account), pending=tuple(pending),
            all_orders_last_minute=self._all_recent(now), all_day_pnl=all_day_pnl, kill_epoch=self._latches.kill_epoch,
            killed_by=self._latches.killed_by(intent.lane, account), tier=tier, tier_reasons=reasons,
            disabled_by=self._latches.strategy_off(intent.lane, intent.strategy),
            regime_detector=detector, regime=regimes.get(symbol) if detector != "none" else None,
            features=() if row is None else tuple([row.feature(name) for name in GATE_FEATURES]),
            clock_offset=shared.offset,
            record=self._ledger.record(account, intent.source),
            memory=self._ledger.memory(account, instrument.parent, session.trade_date),
            limits=of.limits.of(instrument, instrument.tick if mark is None else mark.mid),
            signal_key=signal_key(intent, instrument), mode=setup.mode, events=near(setup.releases, now),
            exits=() if is_entry else self._exits(account, symbol),
            definition=self.definition(account, symbol),
            micro_definition=None if micro is None else self.definition(account, micro.symbol),
            window=sight.window, micro_window=None if small is None else small.window, resting=resting,
            all_notional=notional, all_value_last_minute=all_value,
            decision=self._flattens.of(account, symbol) if intent.purpose is Purpose.FLATTEN else None)

    def figures(self, account: AccountName) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        """(equity, balance, day P&L) at the marks of now."""
        marks = self.mids()
        return self._ledger.equity(account, marks), self._ledger.balance(account), self._ledger.day_pnl(account, marks)

    # -- folding

    def apply(self, payload: Payload, ts: Nanos) -> None:
        """Fold what was cleared lately, and what the broker says it holds and trades."""
        if type(payload) in DECISIONS:
            self._flattens.apply(payload, ts)
        match payload:
            case Verdict():
                if isinstance(payload.result, Cleared) and payload.asked.intent.purpose is Purpose.ENTER:
                    self._on_cleared(payload, payload.result, ts)
            case Attempt():
                self._attempts.setdefault(payload.order.account, deque()).append(ts)
                self._all_attempts.append(ts)
                if self._sum is not None and self._sum.pending is not None:
                    self._on_attempt(self._sum, payload)
            case Clearance():
                pass
            case AccountRead():
                self._sum = None
                self._on_read(payload, ts)
            case _:
                self._sum = None

    def snapshot(self) -> bytes:
        attempts = {account: list(times) for account, times in self._attempts.items()}
        return msgspec.msgpack.encode(_State(attempts, self._told, self._definitions, self._minutes,
                                             self._all_minutes, self._flattens))

    def restore(self, body: bytes) -> None:
        state = msgspec.msgpack.decode(body, type=_State)
        self._attempts = {account: deque(state.attempts.get(account, ())) for account in self._setup.accounts}
        self._all_attempts = deque(sorted(ts for times in self._attempts.values() for ts in times))
        self._told, self._definitions = state.told, state.definitions
        self._minutes = {account: state.minutes.get(account, _Minute()) for account in self._setup.accounts}
        self._all_minutes = state.all_minutes
        self._flattens = state.flattens
        self._sum = None

    def _on_cleared(self, verdict: Verdict, cleared: Cleared, ts: Nanos) -> None:
        """Charged from here on, whatever becomes of it: against the minute's value, the margin, and the turn's next view."""
        view, account, sized = verdict.view, verdict.account, cleared.sized
        intent, instrument = verdict.asked.intent, self._setup.instruments[sized.instrument]
        mark = view.mark if sized.instrument == view.instrument.symbol else view.micro_mark
        price = ZERO if mark is None else entry_price(intent, mark)        # an entry is never cleared without a mark
        value = sized.quantity * price * instrument.multiplier
        self._minutes.setdefault(account, _Minute()).add(ts, value)
        self._all_minutes.add(ts, value)
        told = self._told.get(account)
        if told is not None and told.margin is not None:
            told.since.append((ts, sized.instrument, sized.quantity))
        shared = self._sum
        if shared is not None and shared.pending is not None:
            mid = self._marks.mid(sized.instrument)
            price = (intent.reference or ZERO) if mid is None else instrument.increment * mid[1] / 2
            quantity = cleared.order.parent.quantity
            charge = PendingView(
                account=account, instrument=sized.instrument, side=intent.side, remaining=quantity,
                notional=quantity * price * instrument.multiplier, risk=sized.risk * quantity / quantity, source=intent.source,
                group=instrument.group, parent=instrument.parent, is_in_doubt=False)
            shared.pending.setdefault(account, []).append(charge)
            shared.notional += charge.notional

    def _on_attempt(self, shared: _Sum, attempt: Attempt) -> None:
        order = attempt.order
        for leg in order.legs:
            if leg.limit is not None and order.account in self._setup.accounts:
                _rest(shared.resting.setdefault(self._setup.accounts[order.account].broker, []),
                      RestingView(account=order.account, client_order_id=leg.client_order_id, side=leg.side, price=leg.limit,
                                  instrument=order.instrument))

    def _on_read(self, read: AccountRead, ts: Nanos) -> None:
        earlier, line = self._told.get(read.account), self._latches.lines.get(read.account)
        if line is None or not line.is_up or read.connection != line.connection:
            return                         # of a connection that is no more
        if earlier is not None and earlier.connection == read.connection and (
                earlier.ts_event - MINUTE <= read.ts_event < earlier.ts_event):
            return                         # overtaken by a later answer
        # What was cleared just before may not be in the broker's answer yet.
        since = [] if earlier is None else [each for each in earlier.since if each[0] > ts - IN_FLIGHT]
        self._told[read.account] = _Told(ts, read.margin_used, since, read.connection, read.ts_event)
        if read.definitions:
            self._definitions[read.account] = {each.instrument: each for each in read.definitions}

    def on_proof(self) -> None:
        """A venue has told the time."""
        self._sum = None

    # -- what the judgements of one turn share

    def _shared(self) -> _Sum:
        shared, marks = self._sum, self._marks
        if shared is None or shared.marks != marks.version:
            mids = {}
            for symbol in self._ledger.held_instruments():
                found = marks.mid(symbol)
                if found is not None:
                    mids[symbol] = self._setup.instruments[symbol].increment * found[1] / 2
            shared = self._sum = _Sum(marks.version, mids)
        return shared

    def mids(self) -> dict[str, Decimal]:
        """The mid of every instrument that somebody holds."""
        return self._shared().mids

    def _sight(self, shared: _Sum, symbol: str, now: Nanos) -> _Sight:
        if shared.now != now:
            shared.now, shared.sights = now, {}
            shared.offset = self.health.clock_offset() if self._setup.clock == "wall" else 0
        sight = shared.sights.get(symbol)
        if sight is None:
            session = self.session(symbol, now)
            sight = shared.sights[symbol] = _Sight(session, self._marks.mark(symbol, is_session_open=session.is_open),
                                                   self._marks.window(symbol, now))
        return sight

    def _held(self, shared: _Sum, account: AccountName) -> tuple[HeldView, ...]:
        held = shared.held.get(account)
        if held is None:
            held = shared.held[account] = tuple(self._holdings(account, shared.mids))
        return held

    def _holdings(self, account: AccountName, mids: Mapping[str, Decimal]) -> Iterable[HeldView]:
        for position in self._ledger.positions(account):
            instrument = self._setup.instruments[position.instrument]
            price = mids.get(position.instrument, position.average_price)
            yield HeldView(account=position.account, instrument=position.instrument, quantity=position.quantity,
                           notional=abs(position.quantity) * price * instrument.multiplier, risk=position.risk,
                           source=position.source, group=instrument.group, parent=instrument.parent)

    def _pending(self, shared: _Sum) -> Mapping[AccountName, list[PendingView]]:
        """Every cleared entry that may still fill, charged from the moment of its clearance; and with it the sums over all
        accounts, and what rests at each broker."""
        if shared.pending is not None:
            return shared.pending
        pending = shared.pending = {}
        for plan in self._ledger.charges():
            instrument = self._setup.instruments[plan.instrument]
            order = self._execution.orders.by_id(plan.client_order_id)
            remaining = plan.quantity - plan.filled
            mid = self._marks.mid(plan.instrument)
            price = plan.reference if mid is None else instrument.increment * mid[1] / 2
            charge = PendingView(
                account=plan.account, instrument=plan.instrument, side=plan.side, remaining=remaining,
                notional=remaining * (price or ZERO) * instrument.multiplier, risk=plan.pending_risk, source=plan.source,
                group=instrument.group, parent=instrument.parent,
                is_in_doubt=order is not None and isinstance(order.state, InDoubt))
            pending.setdefault(plan.account, []).append(charge)
            shared.notional += charge.notional
        total: Decimal | None = ZERO
        for account in self._setup.accounts:
            shared.notional += sum((held.notional for held in self._held(shared, account)), ZERO)
            figure = self._ledger.day_pnl(account, shared.mids)
            total = None if figure is None or total is None else total + figure
        shared.day_pnl = total
        for order in self._execution.orders.open_orders():
            leg, of = order.leg, self._setup.accounts.get(order.account)
            if leg.limit is not None and of is not None and not (isinstance(order.state, Working) and not order.state.is_live):
                _rest(shared.resting.setdefault(of.broker, []),
                      RestingView(account=order.account, client_order_id=leg.client_order_id, side=leg.side, price=leg.limit,
                                  instrument=order.instrument))
        return pending

    # -- one account

    def _account(self, account: AccountName, instrument: Instrument, now: Nanos, shared: _Sum) -> AccountView:
        line, ledger, marks = self._latches.lines[account], self._ledger, shared.mids
        told, of = self._told.get(account), self._setup.accounts[account]
        return AccountView(
            account=account, account_id=line.account_id, truth=self.truth(account, now),
            is_enabled=account not in self._latches.disabled, frozen_by=self._latches.frozen_by(account),
            is_line_up=line.is_up, ts_proof=self.proof(account, now), currency=of.currency,
            equity=ledger.equity(account, marks), balance=ledger.balance(account), day_pnl=ledger.day_pnl(account, marks),
            week_pnl=ledger.week_pnl(account, marks), day_start_equity=ledger.day_start_equity(account),
            consecutive_losses=ledger.consecutive_losses(account),
            margin_used=None if told is None else self._margin(account, told),
            position=ledger.quantity(account, instrument.symbol),
            broker_position=self._execution.ears.position(account, instrument.symbol),
            pair_may_rest=of.profile.pair_may_rest, orders_last_minute=self._recent(account, now),
            value_last_minute=self._minutes[account].at(now),
            # Where the clock waits for every answer, what was told stands for now, also after a restart.
            ts_read=None if told is None else told.ts if self._setup.clock == "wall" else now)

    def _margin(self, account: AccountName, told: _Told) -> Decimal | None:
        """What the broker said is tied up, and what was cleared since; not a number where that cannot be told."""
        used = told.margin
        if used is None:
            return None
        for _, symbol, quantity in told.since:
            definition = self.definition(account, symbol)
            if definition is None or definition.margin is None:
                return NOT_KNOWN
            used += quantity * definition.margin
        return used

    def _exits(self, account: AccountName, symbol: str) -> tuple[ExitView, ...]:
        orders = self._execution.orders
        return tuple(
            ExitView(client_order_id=order.leg.client_order_id, side=order.leg.side, remaining=order.remaining,
                     group=orders.group(order), purpose=order.leg.purpose)
            for order in orders.open_orders(account) if order.instrument == symbol)

    def _recent(self, account: AccountName, now: Nanos) -> int:
        recent = self._attempts[account]
        while recent and recent[0] <= now - MINUTE:
            recent.popleft()
        return len(recent)

    def _all_recent(self, now: Nanos) -> int:
        recent = self._all_attempts
        while recent and recent[0] <= now - MINUTE:
            recent.popleft()
        return len(recent)


def _rest(best: list[RestingView], new: RestingView) -> None:
    """Keep the highest bid and the lowest offer of each instrument; the first of equal ones stays."""
    for at, found in enumerate(best):
        if found.instrument == new.instrument and found.side is new.side:
            if (new.price > found.price) if new.side is Side.BUY else (new.price < found.price):
                best[at] = new
            return
    best.append(new)


def near(releases: tuple[tuple[str, Nanos], ...], now: Nanos) -> tuple[tuple[str, Nanos], ...] | None:
    """The releases within an hour; None where there is no calendar, or none that reaches this far."""
    if not any(ts > now - 60 * MINUTE for _, ts in releases):
        return None
    return tuple((name, ts) for name, ts in releases if abs(ts - now) <= 60 * MINUTE)


def signal_key(intent: Intent, instrument: Instrument) -> str:
    """Source, underlying, side and signal: what may be cleared once per account."""
    return f"{intent.source.value}|{instrument.parent}|{intent.side.value}|{intent.signal_id}"
