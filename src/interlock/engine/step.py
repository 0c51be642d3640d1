"""The core from end to end on one page: what comes in, what the rooms make of it, what goes out.

`step` folds the input into the rooms' state (`apply`), then lets them answer (`react`); every answer is folded in and
answered in its turn. State changes in `apply` alone, and `apply` reads nothing but the record: a restart applies what was
recorded and decides nothing again.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import Struct

from interlock.decisions.alerts.convert import convert
from interlock.decisions.stage import Decisions
from interlock.decisions.strategy import FLAT, PositionView
from interlock.engine.commands import answer as answer_command
from interlock.engine.commands import outcome as command_outcome
from interlock.engine.latches import Latches
from interlock.engine.live import Live
from interlock.engine.marks import Marks
from interlock.engine.reconcile import Reconcile
from interlock.engine.setup import Setup
from interlock.engine.throttles import COUNTED, Throttles
from interlock.engine.view import Views
from interlock.engine.vitals import Care
from interlock.errors import InputError, InvariantBroken
from interlock.execution.compose import compose
from interlock.execution.stage import Execution, WakeAt
from interlock.features.table import FeatureTable
from interlock.gate.clearance import Signer
from interlock.gate.judge import Watch, judge
from interlock.ledger.book import Ledger
from interlock.ledger.compare import T_INFLIGHT, is_old
from interlock.model.account import ClosedTrade
from interlock.model.clearance import Epochs
from interlock.model.command import CommandGiven
from interlock.model.entry import Payload
from interlock.model.fallbacks import WARNING, fallback
from interlock.model.features import FeatureRow
from interlock.model.ids import AccountName
from interlock.model.instrument import Instrument
from interlock.model.market import Bar, MarketState, Proof, Quote, Trade
from interlock.model.money import Nanos
from interlock.model.order import PROFILES, Order
from interlock.model.record import (
    AccountFrozen,
    Attempt,
    CancelRequested,
    ConfigRead,
    Difference,
    FallbackUsed,
    FeedEnded,
    FeedOpened,
    Header,
    IntentAbandoned,
    LiveStarted,
    ReadRequested,
    RegimeChanged,
    Started,
    Stopped,
    StrategyDisabled,
    StrategyEnabled,
    Tick,
)
from interlock.model.report import (
    ORDER_REPORTS,
    AccountRead,
    LineChanged,
    OrderFilled,
    OrderRejected,
    ReadFailed,
    WriteRefused,
)
from interlock.model.signal import AccountIntent, AlertAccepted, Held, Intent, Purpose, Side
from interlock.model.tape import MarketMessage
from interlock.model.verdict import Cleared, SizedIntent, Verdict
from interlock.model.view import Mark, Regime, Session
from interlock.regimes.structure import StructureRegime
from interlock.routing.stage import Routing

ANSWERS_MAX: Final = 10_000
"""Answers to one input; more means that two rooms answer each other without end."""


NO_ENTRIES: Final = 3
"""The tier from which on nothing enters."""
FIRST: Final = 1
"""No layer repeats an order by itself, so an order has one attempt."""
ZERO: Final = Decimal(0)
_MARKET: Final = frozenset((Quote, Trade, MarketState, Proof))


class Begun(Struct):
    """How the record began and where it stands: its header, the configuration in force, whether the last process stopped."""

    header: Header | None = None
    config: ConfigRead | None = None
    is_stopped: bool = True
    build: str = ""                    # of the last process

    def apply(self, payload: object) -> None:
        match payload:
            case Header():
                self.header = payload
            case ConfigRead():
                self.config = payload
            case Started():
                self.is_stopped, self.build = False, payload.build
            case Stopped():
                self.is_stopped = True
            case _:
                pass


class Kept(Struct, frozen=True, kw_only=True):
    """The snapshot: one part per room."""

    begun: Begun
    now: Nanos
    lease_epoch: int
    wakes: list[Nanos]
    feed: FeedOpened | None
    feed_ended: bool
    rows_fed: int
    trade_date: str
    rechecks: dict[AccountName, Nanos]
    latches: bytes
    marks: bytes
    ledger: bytes
    execution: bytes
    decisions: bytes
    views: bytes
    tables: dict[str, bytes]
    detectors: dict[str, bytes]
    intake: bytes
    live: bytes
    reconcile: bytes
    throttles: bytes
    health: bytes


def unpack(body: bytes) -> Kept | None:
    """A snapshot's parts; None for one of another build's making, which is no loss: the record is folded from its beginning.

    The store has checked the bytes already, so what cannot be read here was not damaged.
    """
    try:
        return msgspec.msgpack.decode(body, type=Kept)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


class Engine:
    """All rooms of the core on one thread. Handed a signer, it can clear; without one (to read a record) it can only apply."""

    def __init__(self, setup: Setup, signer: Signer | None) -> None:
        self.setup = setup
        self._signer = signer
        self.watch: Watch | None = None    # times the gate's checks; the runtime brings one, since the core has no clock
        self.lease_epoch = 0
        self.latches = Latches(tuple(setup.accounts))
        self.live = Live(setup.mode, {name: account.number for name, account in setup.accounts.items()})
        self.marks = Marks(setup.instruments, setup.registry.rules.price_window.span)
        self.ledger = Ledger(tuple(setup.accounts), setup.instruments)
        self.execution = Execution({name: account.profile for name, account in setup.accounts.items()}, setup.hard_close)
        self.reconcile = Reconcile(tuple(setup.accounts), self.latches, self.ledger, self.execution)
        self.throttles = Throttles(setup.throttle, self.execution)
        self.routing = Routing([lane.route for lane in setup.lanes.values()], setup.instruments)
        self.decisions = Decisions(setup.seats)
        self.views = Views(setup, self.marks, self.latches, self.ledger, self.execution)
        self.health = self.views.health = Care(self, setup)
        self.tables = {(symbol, timeframe): FeatureTable(setup.instruments[symbol], timeframe, setup.columns)
                       for symbol, timeframe in setup.watched}
        self.detectors = {symbol: StructureRegime(setup.instruments[symbol]) for symbol, _ in setup.watched}
        self.rows: dict[str, FeatureRow] = {}
        self.regimes: dict[str, Regime] = {}
        self.now: Nanos = 0
        self.begun = Begun()
        self.feed: FeedOpened | None = None
        self.feed_ended = False
        self.rows_fed = 0              # messages of a recording that were delivered
        self.intake_snapshot = b""     # the intake's part of the snapshot that was restored
        self._changed: Regime | None = None
        self._before = ""
        self._wakes: list[Nanos] = []
        self._rechecks: dict[AccountName, Nanos] = {}  # accounts to be read again, and when
        self._closed: list[ClosedTrade] = []           # round trips that this step's fills ended
        self._foreign: list[OrderFilled] = []          # fills of this step that belong to no order of ours
        self._trade_date = ""
        self._seq = 0
        self._hash = b""
        self._sessions: dict[str, Session] = {}        # the last one of each instrument
        self._held: dict[tuple[str, str, str], PositionView] = {}      # since the last payload that may have moved one
        self._reactions: dict[type, Callable[[Any, Nanos], Iterable[Payload]]] = {
            Bar: self._decide, Trade: self._on_nothing, MarketState: self._on_nothing, Proof: self._on_nothing,
            AlertAccepted: self._alert, Intent: self._route, CommandGiven: self._on_command, Started: self._on_started,
            LiveStarted: self._on_live_started,
            LineChanged: self._on_line, AccountRead: self._on_read, OrderFilled: self._on_filled, Tick: self._on_tick,
            ReadFailed: self._on_read_failed, Attempt: self._on_counted, OrderRejected: self._on_counted,
            WriteRefused: self._on_counted}

    # -- the step

    def step(self, ts: Nanos, message: Payload | MarketMessage, seq: int = 0, digest: bytes = b"") -> list[Payload]:
        """Fold one input and return everything the rooms answered, in order. `seq` and `digest` name its journal entry."""
        self._seq, self._hash = seq, digest
        self._closed, self._foreign = [], []           # what a restart has folded was answered by the process before
        self.health.begin()
        self.apply(message, ts)
        outputs: list[Payload] = []
        waiting: deque[Payload | MarketMessage] = deque()
        if self.health.is_due(ts):                     # before anybody decides on what has come in
            self._look(waiting, outputs, ts)
        waiting.append(message)
        self._answer(waiting, outputs, ts)
        if self.health.is_due(ts):
            self._look(waiting, outputs, ts)
        return outputs

    def _look(self, waiting: deque[Payload | MarketMessage], outputs: list[Payload], ts: Nanos) -> None:
        """Let health look, and the rooms answer what it finds, until it finds nothing new."""
        health = self.health
        while health.is_due(ts):
            for output in health.look(ts):
                outputs.append(output)
                self._fold(output, ts)
                waiting.append(output)
            self._answer(waiting, outputs, ts)

    def _answer(self, waiting: deque[Payload | MarketMessage], outputs: list[Payload], ts: Nanos) -> None:
        """Let the rooms answer what waits, and each other, until nobody has anything to add."""
        reactions, executed = self._reactions, self._executed
        while waiting:
            asked = waiting.popleft()
            for output in reactions.get(type(asked), executed)(asked, ts):
                outputs.append(output)
                if type(output) is not Held:   # by far the most frequent answer; it changes nothing and nobody answers it
                    self._fold(output, ts)
                    waiting.append(output)
            if len(outputs) > ANSWERS_MAX:
                raise InvariantBroken(f"more than {ANSWERS_MAX} answers to one message; the last was to a {type(asked).__name__}")

    def apply(self, message: Payload | MarketMessage, ts: Nanos) -> None:
        """Fold what has happened. The only place where the core's state changes."""
        if ts > self.now:
            self.now = ts
        kind = type(message)
        if kind is Bar:
            self._on_bar(message)  # type: ignore[arg-type]
            self.health.on_bar(message, ts)  # type: ignore[arg-type]
        elif kind in _MARKET:
            self._on_market(message)  # type: ignore[arg-type]
            self.health.on_market(message, ts)
        elif kind is not Held:
            self._fold(message, ts)  # type: ignore[arg-type]

    def _fold(self, payload: Payload, ts: Nanos) -> None:
        self._held.clear()
        match payload:
            case Header() | ConfigRead() | Stopped():
                self.begun.apply(payload)
            case Started():
                self.begun.apply(payload)
                self.lease_epoch = payload.lease_epoch
            case FeedOpened():
                self.feed, self.feed_ended, self.rows_fed = payload, False, 0
            case FeedEnded():
                self.feed_ended = True
            case StrategyDisabled() | StrategyEnabled():
                self.decisions.apply(payload)
            case AccountRead():
                self._rechecks.pop(payload.account, None)
            case Difference() if not is_old(payload, ts):
                self._read_again(payload.account, payload.ts_since + T_INFLIGHT)
            case AccountFrozen(code="drift") | ReadFailed():
                self._read_again(payload.account, ts + T_INFLIGHT)
            case ReadRequested() if payload.account in self._rechecks:
                self._read_again(payload.account, ts + T_INFLIGHT)
            case Tick():
                while self._wakes and self._wakes[0] <= ts:
                    heapq.heappop(self._wakes)
            case _:
                pass
        self.latches.apply(payload, ts)
        self.live.apply(payload, ts)
        if type(payload) is not AccountRead or self.reconcile.is_current(payload):     # else an answer that was overtaken
            self.execution.apply(payload, ts)
            self.ledger.apply(payload, ts)
            self.reconcile.apply(payload, ts)
        if type(payload) in COUNTED:
            self.throttles.apply(payload, ts)
        self.views.apply(payload, ts)
        self.health.apply(payload, ts)
        if isinstance(payload, ORDER_REPORTS):
            record = self.execution.orders.by_id(payload.client_order_id)
            if isinstance(payload, OrderFilled):
                if record is None and not self.ledger.has_booked(payload):
                    self._foreign.append(payload)
                    self.reconcile.on_foreign(payload)
                closed = self.ledger.apply_fill(payload, record, ts)
                if closed is not None:
                    self._closed.append(closed)
            else:
                self.ledger.settle(record)

    # -- what follows from a message; from every other kind, only what execution makes of it

    def _on_nothing(self, _message: MarketMessage, _ts: Nanos) -> Iterator[Payload]:
        return iter(())

    def _on_command(self, given: CommandGiven, ts: Nanos) -> Iterator[Payload]:
        outcome = self.live.answer(given, ts)
        if outcome is not None:
            return iter(outcome)
        return answer_command(given, self, ts)

    def _on_started(self, _started: Started, ts: Nanos) -> Iterator[Payload]:
        yield from self.live.on_started()
        yield from self._noted(self.execution.resume(ts), ts)

    def _on_live_started(self, started: LiveStarted, _ts: Nanos) -> Iterator[Payload]:
        return self.live.on_live_started(started)

    def _on_line(self, line: LineChanged, ts: Nanos) -> Iterator[Payload]:
        if line.is_up:
            yield ReadRequested(line.account, "the line came up")
        yield from self.reconcile.on_line(line)
        yield from self._executed(line, ts)

    def _on_read(self, read: AccountRead, ts: Nanos) -> Iterator[Payload]:
        yield from self.live.on_read(read)
        if self.live.is_misplaced(read.account):
            return                         # not the account we think it is: nothing follows from what it holds
        is_current = self.reconcile.accounts[read.account].read is read if read.account in self.reconcile.accounts else False
        yield from self._executed(read, ts)            # what it shows of our own executions is booked first
        if is_current:
            yield from self.reconcile.on_read(read, ts)

    def _on_read_failed(self, failed: ReadFailed, ts: Nanos) -> Iterator[Payload]:
        yield from self.reconcile.on_read_failed(failed, ts)
        yield from self._executed(failed, ts)

    def _on_counted(self, payload: Attempt | OrderRejected | WriteRefused, ts: Nanos) -> Iterator[Payload]:
        whose = self.throttles.strategy_of(payload)
        if whose is not None:
            yield from self.throttles.react(payload, self.latches.strategy_off(*whose) is not None)
        yield from self._executed(payload, ts)

    def _on_filled(self, fill: OrderFilled, ts: Nanos) -> Iterator[Payload]:
        closed, self._closed = self._closed, []
        yield from closed
        foreign, self._foreign = self._foreign, []
        yield from self.reconcile.on_foreign_fills(foreign, ts)
        yield from self._executed(fill, ts)

    def _on_tick(self, tick: Tick, ts: Nanos) -> Iterator[Payload]:
        for account, due in tuple(self._rechecks.items()):
            if due <= ts and self.latches.is_up(account):      # nobody asks over a line that is down
                yield ReadRequested(account, "a difference may have been a report on its way")
        yield from self._executed(tick, ts)

    # -- the market

    def _on_bar(self, bar: Bar) -> None:
        symbol = bar.instrument
        table = self.tables.get((symbol, bar.timeframe))
        self.marks.on_bar(bar)
        self.rows_fed += 1
        self._changed = None
        session = self._session(symbol, bar.ts_event)
        self._roll(session)
        if table is not None:
            self._observe(bar, table, session)

    def _roll(self, session: Session) -> None:
        """Begin the trading day that the session belongs to, where it is a new one: at the marks of before."""
        if session.trade_date > self._trade_date:
            self._trade_date, marks = session.trade_date, self.views.mids()
            for account in self.setup.accounts:
                self.ledger.roll(account, session.trade_date, marks)

    def _observe(self, bar: Bar, table: FeatureTable, session: Session) -> None:
        """Step features and regime, and nothing else: what history may do without standing in the record."""
        symbol = bar.instrument
        self.rows[symbol] = table.step(bar)
        looked = self.detectors[symbol].step(bar, session)
        if looked is not None:
            before = self.regimes.get(symbol)
            self.regimes[symbol] = looked
            if before is None or before.name != looked.name:
                self._changed, self._before = looked, "" if before is None else before.name

    def _session(self, symbol: str, ts: Nanos) -> Session:
        """The session that `ts` lies in, whose `local_minute` may be that of an earlier bar."""
        session = self._sessions.get(symbol)
        if session is None or not session.ts_open <= ts < session.ts_close:
            session = self._sessions[symbol] = self.views.session(symbol, ts)
        return session

    def _on_market(self, message: MarketMessage) -> None:
        match message:
            case Quote():
                self._roll(self._session(message.instrument, message.ts_recv))
                self.marks.on_quote(message)
            case MarketState():
                self.marks.on_state(message)
            case Proof():
                self.latches.on_proof(AccountName(message.account), message.ts_recv)
                self.views.on_proof()
            case Trade():
                self.rows_fed += 1

    def warm(self, bars: Iterable[Bar]) -> None:
        """Start features and regimes again and run history through them, entries off: nothing is decided or journaled."""
        for symbol, timeframe in self.setup.watched:
            self.tables[symbol, timeframe] = FeatureTable(self.setup.instruments[symbol], timeframe, self.setup.columns)
            self.detectors[symbol] = StructureRegime(self.setup.instruments[symbol])
        self.rows, self.regimes = {}, {}
        for bar in bars:
            self._observe(bar, self.tables[bar.instrument, bar.timeframe], self._session(bar.instrument, bar.ts_event))
        self._changed = None

    def is_warm(self) -> bool:
        """Whether every declared feature and regime has its warm-up behind it."""
        return all(symbol in self.rows and self.rows[symbol].is_ready(self.setup.columns, is_synth_ok=True)
                   and self.detectors[symbol].is_warm for symbol, _ in self.setup.watched)

    # -- decisions

    def _decide(self, bar: Bar, ts: Nanos) -> Iterable[Payload]:
        if self._changed is None and not self.execution.is_watching(bar.instrument):
            return self._asked(bar, ts)    # as nearly always: there is nobody but the strategies to ask
        return self._decide_changed(bar, ts)

    def _decide_changed(self, bar: Bar, ts: Nanos) -> Iterator[Payload]:
        if self._changed is not None:
            changed, self._changed = self._changed, None
            yield RegimeChanged(bar.instrument, changed.detector, changed.name, self._before)
        yield from self._asked(bar, ts)
        yield from self._executed(bar, ts)

    def _asked(self, bar: Bar, ts: Nanos) -> Iterable[Payload]:
        row = self.rows.get(bar.instrument)
        if row is None or row.ts_event != bar.ts_event:
            return ()
        regime = self.regimes.get(bar.instrument)
        return self.decisions.decide(bar, row, {} if regime is None else {regime.detector: regime}, self._position, ts)

    def _position(self, lane: str, strategy: str, symbol: str) -> PositionView:
        """What a strategy holds of an instrument over its accounts, and whether an entry is under way."""
        held = self._held.get((lane, strategy, symbol))
        if held is None:
            held = self._held[lane, strategy, symbol] = self._look_at(lane, strategy, symbol)
        return held

    def _look_at(self, lane: str, strategy: str, symbol: str) -> PositionView:
        largest = ZERO
        for position in self.ledger.positions():
            if position.instrument == symbol and position.strategy == strategy and position.lane == lane \
                    and abs(position.quantity) > abs(largest):
                largest = position.quantity
        is_pending = any(order.instrument == symbol and order.strategy == strategy and order.leg.purpose is Purpose.ENTER
                         for order in self.execution.orders.open_orders())
        if not largest and not is_pending:
            return FLAT
        side = None if not largest else Side.BUY if largest > 0 else Side.SELL
        return PositionView(side, abs(largest), is_pending)

    def _alert(self, accepted: AlertAccepted, ts: Nanos) -> Iterator[Payload]:
        strategy, symbol = accepted.alert.strategy, accepted.instrument
        held = {position.account: position.quantity for position in self.ledger.positions()
                if position.instrument == symbol and position.strategy == strategy and position.lane == accepted.lane}
        mark, row = self.views.mark(symbol, ts), self.rows.get(symbol)
        converted = convert(accepted, ts, self.setup.lanes[accepted.lane].profiles[strategy], self.setup.instruments[symbol],
                            held, None if mark is None else mark.mid, None if row is None else row.feature("atr"))
        if isinstance(converted, IntentAbandoned):
            yield converted
        else:
            yield from converted

    def _route(self, intent: Intent, ts: Nanos) -> Iterator[Payload]:
        """An entry goes to the gate once per account; an exit is execution's to prepare first."""
        holders = tuple(position.account for position in self.ledger.positions()
                        if position.strategy == intent.strategy and position.lane == intent.lane)
        for routed in self.routing.route(intent, self.latches.disabled, holders):
            if isinstance(routed, AccountIntent) and intent.purpose is Purpose.ENTER:
                yield from self._judge(routed, ts)
            else:
                yield routed

    def _executed(self, message: Any, ts: Nanos) -> Iterator[Payload]:
        return self._noted(self.execution.react(message, ts, self), ts)

    def _noted(self, outputs: Iterable[Any], ts: Nanos) -> Iterator[Payload]:
        """What execution answers: payloads go out, intents of its own pass the gate, wakes are noted."""
        for output in outputs:
            if isinstance(output, WakeAt):
                if output.ts not in self._wakes:
                    heapq.heappush(self._wakes, output.ts)
            elif self.live.is_live and self._is_withheld(output, ts):
                yield from self.live.withheld(output)
            elif isinstance(output, AccountIntent):
                yield from self._judge(output, ts)
            else:
                yield output

    def _is_withheld(self, output: Any, ts: Nanos) -> bool:
        """Whether a live account that nobody has confirmed keeps this from being done."""
        order = self.execution.orders.by_id(output.client_order_id) if isinstance(output, CancelRequested) else None
        return self.live.withholds(output, ts, is_killed=bool(self.latches.kills),
                                   is_protective=order is not None and order.leg.purpose is Purpose.PROTECT)

    def mark(self, instrument: str) -> Mark | None:
        """What execution may ask about the market."""
        return self.views.mark(instrument, self.now)

    def session(self, instrument: str) -> Session:
        return self.views.session(instrument, self.now)

    def instrument(self, symbol: str) -> Instrument | None:
        return self.setup.instruments.get(symbol)

    def _read_again(self, account: AccountName, due: Nanos) -> None:
        """Have the account read at `due`, or earlier where something else asks for it."""
        self._rechecks[account] = due
        if due not in self._wakes:
            heapq.heappush(self._wakes, due)

    def mid(self, symbol: str) -> Decimal | None:
        """The middle of the last quote, however old."""
        found = self.marks.mid(symbol)
        return None if found is None else self.setup.instruments[symbol].increment * found[1] / 2

    # -- the gate

    def _judge(self, asked: AccountIntent, ts: Nanos) -> Iterator[Payload]:
        setup, intent = self.setup, asked.intent
        view = self.views.build(asked, ts, self.rows, self.regimes)
        checks = setup.registry.checks(PROFILES[intent.purpose], intent.source)
        verdict = judge(asked, view, checks, partial(self._compose, asked.account), setup.registry.rules, setup.config_digest,
                        self.watch)
        yield verdict
        if isinstance(verdict.result, Cleared):
            yield from self._clear(verdict, verdict.result, ts)

    def _compose(self, account: AccountName, sized: SizedIntent) -> Order:
        instrument = self.setup.instruments[sized.sized.instrument]
        has_native_brackets = self.setup.accounts[account].profile.capabilities.has_native_brackets
        return compose(sized, instrument, has_native_brackets=has_native_brackets)

    def _clear(self, verdict: Verdict, cleared: Cleared, ts: Nanos) -> Iterator[Payload]:
        if self._signer is None:
            raise InvariantBroken("an engine that only reads a record was asked to clear an order")
        order = cleared.order
        epochs = Epochs(kill=self.latches.kill_epoch, lease=self.lease_epoch, config=self.setup.config_epoch)
        yield self._signer.issue(order, verdict.profile, FIRST, self._seq, self._hash, epochs, self.setup.state_id, ts)
        yield Attempt(order.client_order_id, FIRST, order, cleared.sized.risk)

    # -- for the runtime

    @property
    def kill_epoch(self) -> int:
        return self.latches.kill_epoch

    def next_wake(self) -> Nanos | None:
        """When a Tick is due."""
        due = self.health.next_due()
        if not self._wakes:
            return due
        return self._wakes[0] if due is None else min(due, self._wakes[0])

    def withdrawn(self, order: Order) -> str | None:
        """Why a cleared entry is not to be written any more; None: nothing stands in its way. A kill is SafeBroker's to see."""
        parent = order.legs[0]
        record = self.execution.orders.by_id(parent.client_order_id)
        if parent.purpose is not Purpose.ENTER or self.latches.killed_by("" if record is None else record.lane, order.account):
            return None
        if self.latches.killed_by("" if record is None else record.lane, order.account) is not None:
            return None
        if record is not None and record.is_cancel_requested:
            return "its cancel has been asked for"
        frozen = self.latches.frozen_by(order.account)
        if frozen is not None:
            return f"{order.account} is frozen: {frozen}"
        if order.account in self.latches.disabled:
            return f"{order.account} is disabled"
        tier, _ = self.health.tier("" if record is None else record.lane, order.account)
        return f"health is at tier {tier}" if tier >= NO_ENTRIES else None

    def outcome(self, message: Any, outputs: list[Payload]) -> Any:
        """What somebody who waits for this message is told."""
        return command_outcome(outputs) if isinstance(message, CommandGiven) else None

    # -- snapshots

    def snapshot(self, intake: bytes) -> bytes:
        """Every room's state, and the intake's beside them."""
        tables = {f"{symbol} {timeframe}": table.snapshot() for (symbol, timeframe), table in self.tables.items()}
        detectors = {symbol: detector.snapshot() for symbol, detector in self.detectors.items()}
        return msgspec.msgpack.encode(Kept(
            begun=self.begun, now=self.now, lease_epoch=self.lease_epoch, wakes=sorted(self._wakes), feed=self.feed,
            feed_ended=self.feed_ended,
            rows_fed=self.rows_fed, trade_date=self._trade_date, rechecks=self._rechecks, latches=self.latches.snapshot(),
            marks=self.marks.snapshot(), ledger=self.ledger.snapshot(), execution=self.execution.snapshot(),
            decisions=self.decisions.snapshot(), views=self.views.snapshot(), tables=tables, detectors=detectors,
            intake=intake, live=self.live.snapshot(), reconcile=self.reconcile.snapshot(),
            throttles=self.throttles.snapshot(), health=self.health.snapshot()))

    def restore(self, kept: Kept) -> list[FallbackUsed]:
        """Put a snapshot back. Returns what could not be: features of another build or configuration start cold, and say so."""
        self.begun, self.now, self.lease_epoch, self._wakes = kept.begun, kept.now, kept.lease_epoch, kept.wakes
        self.feed, self.feed_ended, self.rows_fed = kept.feed, kept.feed_ended, kept.rows_fed
        self._trade_date, self._rechecks, self.intake_snapshot = kept.trade_date, kept.rechecks, kept.intake
        for room in ("latches", "marks", "ledger", "execution", "decisions", "views", "live", "reconcile", "throttles",
                     "health"):
            getattr(self, room).restore(getattr(kept, room))
        self._sessions, self._held = {}, {}
        notes: list[FallbackUsed] = []
        for (symbol, timeframe), table in self.tables.items():
            try:
                table.restore(kept.tables[f"{symbol} {timeframe}"])
                self.detectors[symbol].restore(kept.detectors[symbol])
            except (InputError, KeyError) as error:
                notes.append(fallback("features.cold", WARNING, f"features of {symbol} start cold: {error}"))
                self.tables[symbol, timeframe] = FeatureTable(self.setup.instruments[symbol], timeframe, self.setup.columns)
                self.detectors[symbol] = StructureRegime(self.setup.instruments[symbol])
                continue
            row = table.row
            if row is not None:
                self.rows[symbol] = row
            if self.detectors[symbol].current.ts_known:
                self.regimes[symbol] = self.detectors[symbol].current
        return notes
