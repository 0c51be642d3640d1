"""Health as a stage: folds what tells how well the desk sees and is heard, and answers with tiers, halts and alarms.

`apply` alone changes what is kept, from the record. `look` reads everything once and yields what has changed: a worse tier at
once, a better one by one step a minute of better readings, and from the worst only after a person. It is asked for by
`is_due`: after whatever may matter, and in wall time each second.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, Protocol, TypeAlias

import msgspec
from msgspec import Struct

from interlock.health.clock import ClockEvidence
from interlock.health.table import HALT, Vital, judge
from interlock.model.account import ClosedTrade
from interlock.model.command import Enabled
from interlock.model.entry import Payload
from interlock.model.fallbacks import FALLBACKS, INFO
from interlock.model.ids import AccountName, LaneName
from interlock.model.market import Bar, Proof, Quote
from interlock.model.money import MINUTE, SECOND, Nanos, plain
from interlock.model.record import (
    AccountFrozen,
    AccountThawed,
    Alarm,
    AlarmCleared,
    Attempt,
    FallbackUsed,
    OrderDropped,
    Reading,
    Started,
    Tick,
    TierChanged,
)
from interlock.model.report import (
    AccountRead,
    LineChanged,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderFound,
    OrderMissing,
    OrderRejected,
    WriteRefused,
)
from interlock.model.signal import AlertAccepted

LOOK_EVERY: Final[Nanos] = SECOND
LOOK_LATE: Final[Nanos] = SECOND * 3 // 2
"""Without a message for this long a look is asked for all the same."""
LOOK_GAP_MAX: Final[Nanos] = 5 * SECOND
"""Readings further apart than this are no minute of readings."""
CLEAN: Final[Nanos] = MINUTE
START_GRACE: Final[Nanos] = 60 * SECOND
"""How long a process may take until the market and its accounts are first heard."""
FAULT_LIFE: Final[Nanos] = 60 * SECOND
GAP_LIFE: Final[Nanos] = 60 * SECOND
ACKS_LIFE: Final[Nanos] = 5 * MINUTE
ACK_WAIT: Final[Nanos] = 3 * SECOND
ACK_LATE: Final = 250.0
ACKS_KEPT: Final = 20
ACKS_MIN: Final = 5
"""Fewer acknowledgements have no slowest twentieth."""
AHEAD_MAX: Final[Nanos] = SECOND // 4
"""How far a venue's time may lie ahead of receipt."""
DAY_TRADES_LOW: Final = 1
DRIFT: Final = "drift"
LOSS: Final = "loss"
MILLISECOND: Final = 1_000_000
_ACKS: Final = (OrderAccepted, OrderFilled, OrderCancelled, OrderRejected, OrderExpired, OrderFound, OrderMissing)
_ALARMS: Final = ("fallback.", "day_trades.")


class Sight(Struct, frozen=True):
    """An instrument as the market shows it: when it was last quoted, and since when it could have been."""

    ts_quote: Nanos | None
    is_usable: bool
    ts_open: Nanos
    is_open: bool


Risk: TypeAlias = Mapping[tuple[str, AccountName, str], bool]
"""By lane, account and instrument."""


class World(Protocol):
    """What the stage may ask, once per look."""

    def now(self) -> Nanos: ...

    def sight(self, instrument: str, now: Nanos, /) -> Sight: ...

    def risk(self, account: AccountName | None = None, /) -> Risk:
        """Every open position and every entry that may still fill, of one account or of all."""
        ...

    def line(self, account: AccountName, now: Nanos, /) -> tuple[bool, Nanos | None]:
        """Whether it is up, and when the account last proved itself."""
        ...

    def degraded(self, account: AccountName, now: Nanos, /) -> tuple[Vital, ...]: ...

    def rests(self, account: AccountName, /) -> tuple[Nanos, ...]:
        """When a degraded source may be tried again."""
        ...

    def day(self, account: AccountName, /) -> tuple[Decimal | None, Decimal | None, str] | None:
        """The day's result, its limit, and the trading day; None: the account was never read."""
        ...

    def near(self) -> dict[str, tuple[float, float]]:
        """Of every instrument that is held: twice its mid in increments, and by how much that may move (all others likewise)
        without any account reaching the day's limit."""
        ...


class Scope(Struct):
    """A tier. `ts_better`: since when its readings call for a better one."""

    tier: int = 0
    reasons: tuple[str, ...] = ()
    ts_better: Nanos | None = None
    is_enabled: bool = False           # a person has ended the halt, and no look has said so yet


class Loss(Struct):
    """A halt by the day's loss. `trade_date` "": a figure was not known."""

    why: str
    trade_date: str


class Told(Struct):
    """What one account has told of itself."""

    ts_heard: Nanos | None = None      # of the first sign of its line in this process
    waiting: dict[str, Nanos] = {}     # attempts without an answer
    acks: list[tuple[Nanos, float]] = []           # when, and how many ms longer than they should have taken
    day_trades: int | None = None
    drift: str = ""
    loss: Loss | None = None


class Kept(Struct, kw_only=True):
    """The snapshot."""

    scopes: dict[str, Scope] = {}
    accounts: dict[AccountName, Told] = {}
    is_started: bool = False
    ts_started: Nanos = 0
    ts_tick: Nanos = 0
    ts_market: Nanos | None = None     # of the first market message in this process
    bars: dict[str, Nanos] = {}        # how late the last bar of each instrument came
    events: dict[str, Nanos] = {}      # the feed's own time, by instrument
    faults: dict[str, Nanos] = {}      # when it jumped
    gap: tuple[Nanos, float] | None = None
    clock: ClockEvidence = msgspec.field(default_factory=ClockEvidence)
    used: dict[str, FallbackUsed] = {}
    alarms: dict[str, bool] = {}


class Health:
    """Tiers of lanes and accounts. `lanes` names the instruments of each that the feed brings; `expected` is what an
    acknowledgement takes at the account's venue by configuration."""

    def __init__(self, lanes: Mapping[LaneName, tuple[str, ...]], expected: Mapping[AccountName, Nanos], *, clock: str,
                 world: World) -> None:
        self._lanes, self._expected, self._is_wall, self.world = lanes, expected, clock == "wall", world
        self.kept = Kept(accounts={account: Told() for account in expected})
        self._is_asked = False         # for everything, by what this step has brought
        self._asked: dict[AccountName, None] = {}      # for what has brought something of these accounts alone
        self._looked: Nanos = 0        # by this process
        self._near: dict[str, tuple[float, float]] | None = None       # see `World.near`
        self._due: Nanos | None = None
        self._is_due_known = False
        self._folds: dict[type, Callable[[Any, Nanos], None]] = {
            TierChanged: self._on_tier, Started: self._on_started, LineChanged: self._on_line, AccountRead: self._on_read,
            AccountFrozen: self._on_frozen, AccountThawed: self._on_thawed, Reading: self._on_reading, Attempt: self._on_attempt,
            Enabled: self._on_enabled, FallbackUsed: self._on_fallback, Alarm: self._on_alarm,
            AlarmCleared: self._on_alarm_cleared,
            WriteRefused: self._on_unsent, OrderDropped: self._on_unsent, Tick: self._on_tick, ClosedTrade: self._on_closed,
            AlertAccepted: self._on_signal,
            **dict.fromkeys(_ACKS, self._on_ack)}

    # -- folding

    def apply(self, payload: Payload, ts: Nanos) -> None:
        fold = self._folds.get(type(payload))
        if fold is not None:
            fold(payload, ts)

    def on_market(self, message: Any, ts: Nanos) -> None:
        """Fold a row of the market. In playback the clock waits for everybody, and ages say nothing of the desk."""
        if not self._is_wall:
            return
        kept, kind = self.kept, type(message)
        if kind is Proof:
            if message.ts_event:
                kept.clock.heard(message.account, ts, message.ts_event, message.ts_recv)
            return
        if kept.ts_market is None:
            kept.ts_market = ts
        symbol = message.instrument
        if kind is Quote:
            before = kept.events.get(symbol, message.ts_event)
            if message.ts_event < before or message.ts_event - message.ts_recv > AHEAD_MAX:
                kept.faults[symbol] = ts
            kept.events[symbol] = max(before, message.ts_event)

    def on_bar(self, bar: Bar, ts: Nanos) -> None:
        """Fold a bar: how late it came; and whether it has moved what is held by so much that a loss limit may be near."""
        if self._is_wall:
            if self.kept.ts_market is None:
                self.kept.ts_market = ts
            self.kept.bars[bar.instrument] = max(0, ts - bar.ts_event - bar.timeframe)
            self._is_asked = True                      # strategies are asked next
            return
        near = self._near
        if near is None:
            self._is_asked = True
        elif near:
            found = near.get(bar.instrument)
            if found is not None and not abs(2 * bar.close - found[0]) < found[1]:
                self._is_asked = True

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(self.kept)

    def restore(self, body: bytes) -> None:
        accounts = self.kept.accounts
        self.kept = msgspec.msgpack.decode(body, type=Kept)
        self.kept.accounts = {**accounts, **self.kept.accounts}
        self._is_due_known, self._near = False, None

    def _on_signal(self, _accepted: AlertAccepted, _ts: Nanos) -> None:
        self._is_asked = True                          # it is judged next

    def _on_closed(self, trade: ClosedTrade, _ts: Nanos) -> None:
        self._asked[trade.account], self._is_due_known = None, False

    def _on_tick(self, _tick: Tick, ts: Nanos) -> None:
        self.kept.ts_tick = ts
        self._is_asked, self._is_due_known = True, False

    def _on_tier(self, changed: TierChanged, ts: Nanos) -> None:
        scope = self.kept.scopes.setdefault(changed.scope, Scope())
        if changed.tier >= HALT or changed.readings >= changed.tier:
            scope.ts_better = None
        elif scope.ts_better is None or changed.tier != scope.tier:
            scope.ts_better = ts
        scope.tier, scope.reasons, scope.is_enabled = changed.tier, changed.reasons, False
        self._is_due_known = False

    def _on_started(self, _started: Started, ts: Nanos) -> None:
        """A new process has heard nothing yet and measured nothing; what stood, stands."""
        kept = self.kept
        kept.is_started, kept.ts_started, kept.ts_market, kept.gap, kept.clock = True, ts, None, None, ClockEvidence()
        kept.bars, kept.events, kept.faults, kept.used = {}, {}, {}, {}
        for told in kept.accounts.values():
            told.ts_heard = None
        self._is_asked = True

    def _on_line(self, line: LineChanged, ts: Nanos) -> None:
        told = self._told(line.account)
        if told.ts_heard is None:
            told.ts_heard = ts
        self._asked[line.account] = None

    def _on_read(self, read: AccountRead, ts: Nanos) -> None:
        told = self._told(read.account)
        if told.day_trades != read.day_trades_left:
            told.day_trades = read.day_trades_left
            self._asked[read.account] = None
        if self._is_wall:
            self.kept.clock.heard(read.account, ts, read.ts_event)

    def _on_frozen(self, frozen: AccountFrozen, _ts: Nanos) -> None:
        told = self._told(frozen.account)
        if frozen.code == DRIFT:
            told.drift = frozen.why or DRIFT
        elif frozen.code == LOSS:
            told.loss = Loss(frozen.why, frozen.trade_date)
        self._asked[frozen.account] = None

    def _on_thawed(self, thawed: AccountThawed, _ts: Nanos) -> None:
        told = self._told(thawed.account)
        if thawed.code == DRIFT:
            told.drift = ""
        elif thawed.code == LOSS:
            told.loss = None
        self._asked[thawed.account] = None

    def _on_reading(self, reading: Reading, ts: Nanos) -> None:
        match reading.name:
            case "clock_offset":
                self.kept.clock.read(reading.value, ts)
            case "loop_gap":
                self.kept.gap = ts, float("nan") if reading.value is None else reading.value
            case _:
                return
        self._is_asked = True

    def _on_attempt(self, attempt: Attempt, ts: Nanos) -> None:
        self._told(attempt.order.account).waiting[attempt.client_order_id] = ts
        self._is_due_known = False                     # it has not waited yet

    def _on_unsent(self, payload: WriteRefused | OrderDropped, _ts: Nanos) -> None:
        if self._told(payload.account).waiting.pop(payload.client_order_id, None) is not None:
            self._asked[payload.account], self._is_due_known = None, False

    def _on_ack(self, report: Any, ts: Nanos) -> None:
        told = self._told(report.account)
        since = told.waiting.pop(report.client_order_id, None)
        if since is not None:
            late = ts - since - self._expected.get(report.account, 0)
            told.acks = [*told.acks[1 - ACKS_KEPT:], (ts, max(0.0, late / MILLISECOND))]
            self._is_due_known = False
        if since is not None or type(report) is OrderFilled:
            self._asked[report.account] = None

    def _on_enabled(self, enabled: Enabled, _ts: Nanos) -> None:
        kind, _, scope = enabled.latch.partition(".")
        if kind == "tier4" and scope in self.kept.scopes:
            self.kept.scopes[scope].is_enabled = True
            self._is_asked = True

    def _on_fallback(self, used: FallbackUsed, _ts: Nanos) -> None:
        self.kept.used[used.name] = used
        self._is_asked = True

    def _on_alarm(self, alarm: Alarm, _ts: Nanos) -> None:
        if alarm.key.startswith(_ALARMS):
            self.kept.alarms[alarm.key] = True

    def _on_alarm_cleared(self, cleared: AlarmCleared, _ts: Nanos) -> None:
        self.kept.alarms.pop(cleared.key, None)

    def _told(self, account: AccountName) -> Told:
        found = self.kept.accounts.get(account)
        if found is None:
            found = self.kept.accounts[account] = Told()
        return found

    # -- when

    def begin(self) -> None:
        """A step begins. What a restart has folded was looked at by the process before."""
        self._is_asked, self._asked = False, {}

    def is_due(self, ts: Nanos) -> bool:
        if not self.kept.is_started:
            return False               # no process yet, only the head of a record
        if self._is_asked or self._asked:
            return True
        return self._is_wall and ts - self._looked >= LOOK_EVERY

    def next_due(self) -> Nanos | None:
        """When a look is due that nothing else brings about."""
        if self._is_wall:
            return self._looked + LOOK_LATE if self._looked else None
        if not self._is_due_known:
            self._due, self._is_due_known = self._next_due(), True
        return self._due

    def _next_due(self) -> Nanos | None:
        kept = self.kept
        dues = [scope.ts_better + CLEAN for scope in kept.scopes.values() if scope.ts_better is not None]
        for account, told in kept.accounts.items():
            wait = self._expected.get(account, 0) + ACK_WAIT + 1
            dues.extend(since + wait for since in told.waiting.values())
            for at, late in told.acks:
                if late > ACK_LATE:
                    dues.extend((at + CLEAN, at + ACKS_LIFE))
            dues.extend(self.world.rests(account))
        return min((due for due in dues if due > kept.ts_tick), default=None)

    # -- looking

    def look(self, ts: Nanos) -> Iterator[Payload]:
        """What has changed. Each answer is folded before the next is asked for.

        What comes from one account makes nothing else better or worse; for ages there is a look at everything each second (in
        playback, when one is due).
        """
        is_whole = self._is_asked or (self._is_wall and ts - self._looked >= LOOK_EVERY)
        asked, self._asked, self._is_asked, is_gap = self._asked, {}, False, False
        if is_whole:
            is_gap = self._is_wall and ts - self._looked > LOOK_GAP_MAX
            self._looked = ts
        accounts = self._expected if is_whole else [account for account in asked if account in self._expected]
        for scope, vitals in self.vitals(ts) if is_whole else self._vitals_of(accounts, ts):
            yield from self._settle(scope, vitals, ts, is_gap=is_gap)
        for account in accounts:
            yield from self._losses(account)
        yield from self._warnings()
        if not self._is_wall:
            self._near = self.world.near()

    def vitals(self, ts: Nanos) -> Iterator[tuple[str, tuple[Vital, ...]]]:
        """Every scope with its readings now."""
        risk = self.world.risk() if self._is_wall else {}
        offset = self.kept.clock.offset(ts) if self._is_wall else None
        for lane in self._lanes:
            yield f"lane.{lane}", tuple(self._lane(lane, ts, risk, offset))
        for account in self._expected:
            yield f"account.{account}", tuple(self._account(account, ts, risk))

    def _vitals_of(self, accounts: Iterable[AccountName], ts: Nanos) -> Iterator[tuple[str, tuple[Vital, ...]]]:
        for account in accounts:
            risk = self.world.risk(account) if self._is_wall else {}
            yield f"account.{account}", tuple(self._account(account, ts, risk))

    def _settle(self, name: str, vitals: tuple[Vital, ...], ts: Nanos, *, is_gap: bool) -> Iterator[Payload]:
        scope = self.kept.scopes.get(name) or Scope()
        readings, reasons = judge(vitals)
        tier = scope.tier
        if readings > tier:
            tier = readings
        elif tier >= HALT:
            if scope.is_enabled:
                # Never further than one step, whoever asks for it; and what has come back meanwhile takes the word back.
                yield TierChanged(name, tier if readings >= HALT else HALT - 1, tier, reasons, readings)
            return
        elif is_gap and scope.ts_better is not None:
            yield TierChanged(name, tier, tier, (*reasons, "there were no readings for a while"), tier)
            return
        elif readings < tier and scope.ts_better is not None and ts - scope.ts_better >= CLEAN:
            tier -= 1
        is_better = readings < tier < HALT
        if tier != scope.tier or is_better != (scope.ts_better is not None):
            yield TierChanged(name, tier, scope.tier, reasons, readings)

    def _lane(self, lane: LaneName, ts: Nanos, risk: Risk, offset: Nanos | None) -> Iterator[Vital]:
        if not self._is_wall:
            return
        kept = self.kept
        held = tuple(dict.fromkeys(symbol for owner, _, symbol in risk if owner == lane))
        for symbol in dict.fromkeys((*self._lanes[lane], *held)):
            age = self._age(symbol, ts)
            if age is not None:
                yield Vital("quote_age", age, symbol)
                if symbol in held:
                    yield Vital("quote_age_at_risk", age, symbol)
            if symbol in kept.bars:
                yield Vital("bar_lag", kept.bars[symbol] / SECOND, symbol)
            if ts - kept.faults.get(symbol, ts - FAULT_LIFE) < FAULT_LIFE:
                yield Vital("feed_order", 1.0, symbol)
        if kept.gap is not None and ts - kept.gap[0] < GAP_LIFE:
            yield Vital("loop_gap", kept.gap[1])
        if offset is not None or ts - kept.ts_started > START_GRACE:
            yield Vital("clock_offset", None if offset is None else abs(offset) / SECOND)

    def _age(self, symbol: str, ts: Nanos) -> float | None:
        """Seconds since the last quote, or since there could have been one; not a number for one that is of no use. None: the
        market is closed or halted."""
        sight = self.world.sight(symbol, ts)
        if not sight.is_open:
            return None
        if sight.ts_quote is not None and not sight.is_usable:
            return float("nan")
        kept = self.kept
        first = kept.ts_started + START_GRACE if kept.ts_market is None else kept.ts_market
        return max(0, ts - max(sight.ts_quote or 0, sight.ts_open, first)) / SECOND

    def _account(self, account: AccountName, ts: Nanos, risk: Risk) -> Iterator[Vital]:
        told = self._told(account)
        is_up, ts_proof = self.world.line(account, ts)
        if told.ts_heard is not None and not is_up:
            yield Vital("line", 1.0)
        elif told.ts_heard is not None or self._is_wall:
            first = self.kept.ts_started + START_GRACE if told.ts_heard is None else told.ts_heard
            yield Vital("account_age", max(0, ts - max(ts_proof or 0, first)) / SECOND)
        recent = [(at, late) for at, late in told.acks if ts - at < ACKS_LIFE]
        if len(recent) >= ACKS_MIN:
            slowest = sorted(late for _, late in recent)
            yield Vital("ack_p95", slowest[-(-len(slowest) * 95 // 100) - 1])
        expected = self._expected.get(account, 0)
        waits = [(ts - since - expected) / SECOND for since in told.waiting.values()]
        waits.extend(late / 1000 for at, late in recent if ts - at < CLEAN)
        if waits:
            yield Vital("ack_wait", max(0.0, *waits))
        yield from self.world.degraded(account, ts)
        if self._is_wall:
            for lane, of, symbol in risk:
                if of == account and lane not in self._lanes and (age := self._age(symbol, ts)) is not None:
                    yield Vital("orphan_quote_age", age, symbol)

    def _losses(self, account: AccountName) -> Iterator[Payload]:
        """The day's loss, marked at what the market says now. What is not known counts as lost."""
        if self._told(account).loss is not None:
            return
        found = self.world.day(account)
        if found is None:
            return
        result, limit, trade_date = found
        if result is None or not result.is_finite() or limit is None or not limit.is_finite():
            what = "the day's result" if result is None or not result.is_finite() else "the day's limit"
            yield AccountFrozen(account, LOSS, f"{what} is not known, which counts as a loss beyond the limit")
        elif not result > -limit:
            yield AccountFrozen(account, LOSS, f"the day's result is {plain(result)}, the limit {plain(limit)}", trade_date)

    def _warnings(self) -> Iterator[Payload]:
        kept = self.kept
        texts: dict[str, tuple[str, str]] = {}
        for account, told in kept.accounts.items():
            if told.day_trades is not None and told.day_trades <= DAY_TRADES_LOW:
                texts[f"day_trades.{account}"] = "warning", f"{account}: {told.day_trades} day trades left, by its broker's count"
        for name, used in kept.used.items():
            if used.severity != INFO:
                what = FALLBACKS[name].degrades if name in FALLBACKS else name
                texts[f"fallback.{name}"] = used.severity, f"{what}: {used.why}"
        for key, (severity, text) in texts.items():
            if key not in kept.alarms:
                yield Alarm(key, severity, text)
        for key in [key for key in kept.alarms if key not in texts]:
            yield AlarmCleared(key)

    # -- reading

    def tier(self, lane: str, account: str) -> tuple[int, tuple[str, ...]]:
        """The worse of the lane's and the account's, and what is wrong. A kill is no part of it: it has a check of its own."""
        worst, reasons = 0, list[str]()
        for name in (f"lane.{lane}", f"account.{account}"):
            scope = self.kept.scopes.get(name)
            if scope is not None and scope.tier:
                worst = max(worst, scope.tier)
                reasons.extend(f"{name}: {reason}" for reason in scope.reasons or ("recovering",))
        told = self.kept.accounts.get(AccountName(account))
        for why in () if told is None else (told.drift, "" if told.loss is None else told.loss.why):
            if why:
                worst = HALT
                reasons.append(f"account.{account}: {why}")
        return worst, tuple(reasons)

    def clock_offset(self) -> Nanos | None:
        """Nanoseconds that the engine clock is ahead; 0 where it waits for everybody; None: not measured."""
        return self.kept.clock.offset(self.world.now()) if self._is_wall else 0

    def halted(self) -> Iterator[tuple[str, Scope]]:
        """Scopes at the tier that only a person ends."""
        for name, scope in self.kept.scopes.items():
            if scope.tier >= HALT:
                yield name, scope
