"""Tells the board what has become durable, and what the market did. It only reads; the board holds nothing of ours.

Orders, positions and verdicts are put into words when somebody reads the board, at most once a second without: an order that
goes to fifty accounts changes fifty positions hundreds of times before anybody looks.
"""

from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal

from interlock.config.schema import Config
from interlock.engine.commands import reach
from interlock.engine.questions import questions
from interlock.engine.step import Engine
from interlock.intake.stage import Intake
from interlock.model.account import ClosedTrade, Truth
from interlock.model.command import (
    Decided,
    DrillRecorded,
    Enabled,
    FlattenBegun,
    FlattenEnded,
    Killed,
    KillProved,
    OrderAdopted,
    PositionAdopted,
    QuestionClosed,
    QuestionOpened,
    Reconnecting,
    Released,
)
from interlock.model.entry import Payload
from interlock.model.ids import AccountName, ClientOrderId, LaneName
from interlock.model.market import Bar, MarketState, Proof, Quote, Trade
from interlock.model.money import Nanos, plain
from interlock.model.record import (
    AccountFrozen,
    AccountThawed,
    Alarm,
    AlarmCleared,
    Attempt,
    FeedEnded,
    FeedOpened,
    StrategyDisabled,
    StrategyEnabled,
)
from interlock.model.report import ORDER_REPORTS, AccountRead, LineChanged, OrderFilled
from interlock.model.signal import AlertAccepted, AlertDuplicate, AlertRefused, Held, Intent, RouteRefused
from interlock.model.verdict import Cleared, Verdict
from interlock.records import check_row, order_row, position_rows, status_rows
from interlock.runtime.board import VERDICTS_KEPT, Board
from interlock.runtime.clock import WALL

SHOWN_AGAIN = (Verdict, OrderFilled, AlertAccepted, AlertRefused, AlertDuplicate, RouteRefused, Intent, ClosedTrade, Alarm,
               AlarmCleared, Killed, Released, KillProved, FlattenBegun, FlattenEnded, DrillRecorded, Decided, Enabled,
               Reconnecting, FeedOpened, FeedEnded, StrategyDisabled, StrategyEnabled, Bar)
"""What the page is told again of the record's last entries after a start."""


class BoardFeed:
    """One watcher of the desk. `attach` first, `refresh` every second for what changes without an entry."""

    def __init__(self, board: Board, config: Config) -> None:
        self.board = board
        self._config = config
        self._engine: Engine | None = None
        self._intake: Intake | None = None
        self._held: dict[tuple[str, str], str] = {}
        self._said: dict[tuple[str, str, str], str] = {}
        self._feed: FeedOpened | None = None
        self._cancelled: dict[str, int] = {}           # by reach, orders that the kill asked to go
        self._proved: dict[AccountName, tuple[KillProved, Nanos]] = {}
        self._read: dict[AccountName, Nanos] = {}
        self._moved: dict[ClientOrderId, None] = {}    # orders that the board does not show as they are now
        self._is_moved = False                         # and positions
        self._judged: deque[tuple[int, Nanos, Verdict]] = deque(maxlen=VERDICTS_KEPT)  # verdicts that it does not show yet
        self.progress: Callable[[], float] | None = None   # through a recording; None: no end
        self.rows = 0

    def attach(self, engine: Engine, intake: Intake, *, is_simulated: bool, state_id: str, clock: str, version: str,
               recent: Iterable[tuple[int, Nanos, Payload]] = ()) -> None:
        """Begin with what the engine knows already: lanes, accounts, orders, positions, latches; and with the last entries of
        the record, so that a restart does not empty the page."""
        self._engine, self._intake = engine, intake
        self.board.before_read = self._catch_up
        self.board.set_identity(self._config.desk.mode, state_id, clock, version, is_simulated)
        for symbol, timeframe in engine.setup.watched:
            instrument = engine.setup.instruments[symbol]
            self.board.instrument(symbol, tick=plain(instrument.tick), multiplier=plain(instrument.multiplier),
                                  exchange=instrument.exchange, timeframe=timeframe)
        for record in engine.execution.orders.records():
            self.board.order(order_row(record))
        for seq, ts, payload in recent:
            if isinstance(payload, SHOWN_AGAIN) and not (is_simulated and isinstance(payload, Bar)):
                self.on_entry(seq, ts, payload)
        self._latched()
        self._positions()
        self.refresh()

    def refresh(self) -> None:
        """Accounts, lanes and the worth of what is open."""
        engine, intake = self._engine, self._intake
        if engine is None or intake is None:
            return
        self._catch_up()
        truths = {account: truth_of(engine, account, engine.now) for account in engine.setup.accounts}
        lanes, accounts = status_rows(self._config, engine, intake.fires_left(), truths=truths)
        for lane in lanes:
            self.board.lane(lane["name"], lane["mode"], lane["strategies"], lane["accounts"], tier=lane["tier"],
                            tier_reasons=lane["tier_reasons"])
        for row in accounts:
            account = AccountName(row["name"])
            equity, cash, day_pnl = engine.views.figures(account)
            line = engine.latches.lines[account]
            self.board.account(
                row["name"], mode=row["mode"],
                truth=(line.environment if line.is_up else None) or Truth.UNKNOWN.value,
                ts_proof=engine.views.proof(account, engine.now) if line.environment else None,
                evidence=evidence_of(engine, account),
                enabled=row["enabled"], frozen_by=engine.latches.frozen_by(account), account_id=row["account_id"],
                tier=row["tier"], tier_reasons=row["tier_reasons"], line=line_of(engine, account),
                ts_read=self._read.get(account), differences=self._differences(account),
                equity=_text(equity), cash=_text(cash), day_pnl=_text(day_pnl), currency=engine.setup.accounts[account].currency)
        self._value()
        self._ask()
        if self._feed is not None:
            self.board.feed(self._feed.source, self._feed.provenance, "ended" if engine.feed_ended else "running",
                            None if self.progress is None else self.progress(), self.rows, self._feed.dropped)

    def on_market(self, message: Quote | Trade | MarketState | Proof) -> None:
        engine = self._engine
        if engine is None:
            return
        self.rows += 1
        match message:
            case Quote():
                instrument = engine.setup.instruments[message.instrument]
                self.board.quote(message.instrument, plain(instrument.price(message.bid)), plain(instrument.price(message.ask)),
                                 str(message.bid_size), str(message.ask_size), message.ts_recv, message.provenance.name.lower())
            case Proof():
                self.board.proof(message.account, message.ts_recv)
            case _:
                return

    def on_entry(self, seq: int, ts: Nanos, payload: Payload) -> None:
        engine, board = self._engine, self.board
        if engine is None:
            return
        match payload:
            case Held():
                key = (payload.lane, payload.strategy, payload.instrument)
                if self._said.get(key) != payload.why:
                    self._said[key] = payload.why
                    self._say(ts, f"{payload.strategy} {payload.instrument}: {payload.why}")
            case Bar():
                self.bar(payload)
            case Intent():
                self._say(ts, f"{payload.strategy} {payload.instrument}: {payload.purpose.value} {payload.side.value}, "
                              f"{payload.why}")
            case Verdict():
                self._judged.append((seq, ts, payload))
            case AlertAccepted() | AlertRefused() | AlertDuplicate() | RouteRefused():
                board.alert(alert_row(ts, payload))
            case Attempt():
                for leg in payload.order.legs:
                    self._moved[leg.client_order_id] = None
            case OrderFilled():
                record = engine.execution.orders.by_id(payload.client_order_id)
                board.fill({"account": payload.account, "instrument": payload.instrument, "side": payload.side.value,
                            "quantity": plain(payload.quantity), "price": plain(payload.price),
                            "purpose": None if record is None else record.leg.purpose.value, "ts": payload.ts_event})
            case ClosedTrade():
                self._say(ts, f"{payload.strategy} {payload.instrument} {payload.account}: closed, net {plain(payload.net)}")
            case FlattenBegun():
                for account in payload.accounts:
                    board.flatten_begun(account, payload.instrument, payload.why, ts)
                self._say(ts, f"flatten {payload.instrument or 'everything'} in {', '.join(payload.accounts)}: {payload.why}")
            case FlattenEnded():
                board.flatten_result(payload.account, payload.instrument, payload.result, plain(payload.quantity), payload.why,
                                     ts, is_over=engine.execution.may_flatten(payload.account, payload.instrument))
                self._say(ts, flatten_text(payload))
            case KillProved():
                self._proved[payload.account] = (payload, ts)
                self._say(ts, proof_text(payload))
                self._latched()
            case DrillRecorded():
                board.drilled(payload.orders, payload.cancelled, payload.confirmed_ms, ts)
            case AccountRead():
                self._read[payload.account] = ts
            case Alarm():
                board.alarm(payload.key, payload.severity, payload.text, ts)
            case AlarmCleared():
                board.alarm_cleared(payload.key)
            case Killed():
                self._cancelled[reach(payload.lane, payload.account)] = len(payload.orders_to_cancel)
                self._say(ts, f"killed {reach(payload.lane, payload.account)}: {payload.why}")
                self._latched()
                self._ask()
            case Released():
                self._cancelled.pop(reach(payload.lane, payload.account), None)
                self._say(ts, f"released {reach(payload.lane, payload.account)}")
                self._latched()
                self._ask()
            case Decided():
                self._say(ts, f"{payload.question}: a person answered {payload.answer}")
                self._ask()
            case Enabled():
                self._say(ts, f"{payload.latch}: a person enabled it")
                self._ask()
            case Reconnecting():
                self._say(ts, f"{payload.account}: a person had the line opened anew")
                self._ask()
            case QuestionOpened() | QuestionClosed() | AccountFrozen() | AccountThawed() | LineChanged():
                self._ask()
            case PositionAdopted():
                self._is_moved = True
            case OrderAdopted():
                self._moved[payload.client_order_id] = None
            case StrategyEnabled():
                board.alarm_cleared(f"strategy.{payload.lane}.{payload.strategy}")
                self._ask()
            case StrategyDisabled():
                board.alarm(f"strategy.{payload.lane}.{payload.strategy}", "critical",
                            f"strategy {payload.strategy} is disabled: {payload.why}", ts)
            case FeedOpened():
                self._feed = payload
            case FeedEnded():
                self._say(ts, "the recording has ended; the desk stays up")
            case _:
                pass
        if isinstance(payload, ORDER_REPORTS):
            self._moved[payload.client_order_id] = None
            self._is_moved = True

    def bar(self, bar: Bar) -> None:
        """A finished bar, as prices; in playback it is the quote too."""
        engine = self._engine
        if engine is None:
            return
        instrument = engine.setup.instruments[bar.instrument]
        opened, high, low, close = (plain(instrument.price(value)) for value in (bar.open, bar.high, bar.low, bar.close))
        self.board.bar(bar.instrument, bar.ts_event, opened, high, low, close, str(bar.volume), bar.provenance.name.lower())
        self.rows += 1
        if engine.setup.clock != WALL:         # the clock waited for the venue's answers: that is its proof, at each row
            for account, line in engine.latches.lines.items():
                if line.is_up:
                    self.board.proof(account, bar.ts_known)
        quote = engine.marks.quote(bar.instrument)
        if quote is not None and quote.fresh_until:
            self.on_market(quote)

    def _catch_up(self) -> None:
        """Show what has moved since somebody last looked."""
        engine = self._engine
        if engine is None:
            return
        while self._judged:
            self.board.verdict(verdict_row(*self._judged.popleft()))
        moved, self._moved = self._moved, {}
        for key in moved:
            record = engine.execution.orders.by_id(key)
            if record is not None:
                self.board.order(order_row(record))
        if self._is_moved:
            self._is_moved = False
            self._positions()

    def _ask(self) -> None:
        """What waits for a person, as it stands now."""
        if self._engine is not None:
            self.board.questions([{"id": each.id, "kind": each.kind, "scope": each.scope, "account": each.account,
                                   "text": each.text, "state": [list(row) for row in each.state], "digest": each.digest,
                                   "answers": list(each.answers)} for each in questions(self._engine)])

    def _say(self, ts: Nanos, text: str) -> None:
        self.board.decision(text, ts)

    def _latched(self) -> None:
        """Every kill that stands, with what the brokers' own lists have shown since."""
        engine = self._engine
        if engine is None:
            return
        self.board.killed(None)
        for (lane, account), (why, _) in engine.latches.latched.items():
            words = reach(lane, account)
            since = engine.execution.killed_at(None if lane is None else LaneName(lane),
                                               None if account is None else AccountName(account))
            self.board.killed(words, why, engine.now if since is None else since, cancelled=self._cancelled.get(words),
                              proofs=[self._proof(each) for each in self._within(lane, account)])

    def _within(self, lane: str | None, account: str | None) -> Iterable[AccountName]:
        named = self._config.lanes[lane].accounts if lane in self._config.lanes else self._config.accounts
        return [AccountName(each) for each in named if account in (None, each)]

    def _proof(self, account: AccountName) -> dict[str, object]:
        assert self._engine is not None
        is_clean, left = self._engine.execution.proof_of(account)
        told, ts = self._proved.get(account, (None, None))
        if is_clean is None or told is None:
            return {"account": account, "clean": is_clean, "left": list(left), "notional": None, "ts": None}
        return {"account": account, "clean": is_clean, "left": list(left), "ts": ts,
                "notional": None if told.notional is None else f"{told.notional:.2f}"}

    def _differences(self, account: AccountName) -> int | None:
        """How many the last comparison showed; None: none was made in this process."""
        engine = self._engine
        if engine is None or account not in self._read or account not in engine.reconcile.accounts:
            return None
        of = engine.reconcile.accounts[account]
        return len(of.rows) + len(of.foreign)          # what a late report has booked since, a person has still to decide on

    def _positions(self) -> None:
        engine = self._engine
        if engine is None:
            return
        rows = position_rows(engine)
        now = {(row["account"], row["instrument"]): row["quantity"] for row in rows}
        for account, symbol in self._held.keys() - now.keys():
            self.board.position(account, symbol, "0", "0", "0")
        for row in rows:
            tick = engine.setup.instruments[row["instrument"]].tick
            self.board.position(row["account"], row["instrument"], row["quantity"], legible(row["average_price"], tick),
                                row["protected"], row["stop"], row["target"], None, row["strategy"])
        self._held = now
        self._value()

    def _value(self) -> None:
        engine = self._engine
        if engine is None:
            return
        mids = engine.views.mids()
        for position in engine.ledger.positions():
            mid = mids.get(position.instrument)
            if mid is None:
                self.board.mark(position.account, position.instrument, None, None)
                continue
            multiplier = engine.setup.instruments[position.instrument].multiplier
            worth = (mid - position.average_price) * position.quantity * multiplier
            self.board.mark(position.account, position.instrument, f"{worth:.2f}",
                            f"{abs(position.quantity) * mid * multiplier:.2f}")


def truth_of(engine: Engine, account: AccountName, now: Nanos) -> tuple[str, str]:
    """The label of an account and the evidence for it, at `now` on the engine clock."""
    line = engine.latches.lines[account]
    label = engine.views.truth(account, now)
    if line.environment is None:
        return label.value, "the broker has not answered yet"
    proof = engine.views.proof(account, now)
    if not line.is_up or proof is None:
        return label.value, "the line to the broker is down"
    return label.value, f"{line.account_id}, last proof {max(0, now - proof) / 1e9:.0f} s ago"


def legible(price: str, tick: Decimal) -> str:
    """An average price for a reader: two places finer than the tick where it has more.

    >>> legible("6039.166666666666666666666667", Decimal("0.25")), legible("6039.5", Decimal("0.25"))
    ('6039.1667', '6039.5')
    """
    places = max(0, -int(tick.as_tuple().exponent)) + 2
    value = Decimal(price)
    return price if -int(value.as_tuple().exponent) <= places else f"{value:.{places}f}"


def line_of(engine: Engine, account: AccountName) -> str:
    """The line to the broker: new, connecting, up, failing or down."""
    line = engine.latches.lines[account]
    if line.is_connecting:
        return "connecting"
    if line.is_up:
        return "failing" if engine.latches.is_frozen_for(account, "unread") else "up"
    return "down" if line.reason else "new"


def flatten_text(ended: FlattenEnded) -> str:
    """The result of a flatten as one sentence; nothing in it is ours."""
    what = f"{ended.account} {ended.instrument}" if ended.instrument else ended.account
    match ended.result:
        case "flat":
            return f"{what}: flat by the broker's word"
        case "residual":
            return f"{what}: NOT flat, {plain(ended.quantity)} left by the broker's word: {ended.why}"
        case _:
            return f"{what}: UNKNOWN whether it is flat: {ended.why}"


def proof_text(proved: KillProved) -> str:
    """What the broker's own list showed after a kill, as one sentence."""
    value = "unknown" if proved.notional is None else f"{proved.notional:.2f}"
    if proved.is_clean:
        return f"{proved.account}: the kill is proved clean by the broker's list; notional still open {value}"
    if not proved.left:
        return f"{proved.account}: the kill is NOT proved yet, the broker's list is awaited; notional still open {value}"
    return f"{proved.account}: the kill is NOT proved, {len(proved.left)} orders may still add risk; notional still open {value}"


def evidence_of(engine: Engine, account: AccountName) -> str:
    """What stands behind an account's label, without its age: the board adds that when it is read."""
    line = engine.latches.lines[account]
    if line.environment is None:
        return "the broker has not answered yet"
    return "the venue answers on its own stream" if line.is_up else "the line to the broker is down"


def verdict_row(seq: int, ts: Nanos, verdict: Verdict) -> dict[str, object]:
    intent, result = verdict.asked.intent, verdict.result
    is_cleared = isinstance(result, Cleared)
    return {"seq": seq, "ts": ts, "signal_id": verdict.signal_id, "account": verdict.account, "lane": intent.lane,
            "strategy": intent.strategy, "instrument": result.sized.instrument, "side": intent.side.value,
            "purpose": intent.purpose.value, "quantity": plain(result.sized.quantity),
            "result": "cleared" if is_cleared else "refused", "code": None if isinstance(result, Cleared) else result.code,
            "reason": None if isinstance(result, Cleared) else result.reason,
            "checks": [check_row(answer.check, answer.verdict) for answer in verdict.answers]}


def alert_row(ts: Nanos, payload: AlertAccepted | AlertRefused | AlertDuplicate | RouteRefused) -> dict[str, object]:
    row: dict[str, object] = {"ts": ts, "signal_id": payload.signal_id, "lane": payload.lane}
    match payload:
        case AlertAccepted():
            alert = payload.alert
            return row | {"status": "accepted", "code": "accepted", "strategy": alert.strategy, "instrument": payload.instrument,
                          "reason": f"{alert.action.value} {payload.instrument} by {alert.strategy}"}
        case AlertDuplicate():
            return row | {"status": "duplicate", "code": payload.code, "reason": payload.reason}
        case _:
            return row | {"status": "refused", "code": payload.code, "reason": payload.reason}


def _text(value: object) -> str | None:
    return None if value is None else f"{value:.2f}"
