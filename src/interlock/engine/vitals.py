"""What health looks at, read from the other rooms; and its halts as a person is shown them."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from interlock.engine.questions import Halt, Row, positions_state
from interlock.gate.record import stand
from interlock.health.stage import LOSS, Health, Risk, Sight
from interlock.health.table import HALT, Vital, judge
from interlock.model.ids import AccountName, LaneName
from interlock.model.market import Quality
from interlock.model.money import Nanos, plain
from interlock.model.signal import Purpose, Source

if TYPE_CHECKING:
    from interlock.engine.setup import Setup
    from interlock.engine.step import Engine

TIER4: Final = "tier4"
SOUND: Final = 0.999
"""A bound in floats is taken a little narrower."""


class Vitals:
    """The rooms of one engine, as the health stage may read them."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._version = -1             # of the records below
        self._degraded: dict[AccountName, list[tuple[str, Nanos | None]]] = {}     # what is degraded, and when it last traded
        self._rests: dict[AccountName, tuple[Nanos, ...]] = {}

    def now(self) -> Nanos:
        return self._engine.now

    def sight(self, instrument: str, now: Nanos) -> Sight:
        engine = self._engine
        session, state = engine.views.session(instrument, now), engine.marks.state(instrument)
        is_open = session.is_open and (state is None or (state.is_open and not state.is_halted))
        quote = engine.marks.quote(instrument) if instrument in engine.setup.instruments else None
        return Sight(ts_quote=None if quote is None else quote.ts_recv,
                     is_usable=quote is not None and quote.quality in (Quality.OK, Quality.SYNTH),
                     ts_open=max(session.ts_open, 0 if state is None else state.ts_recv), is_open=is_open)

    def risk(self, account: AccountName | None = None) -> Risk:
        engine = self._engine
        found = {(str(lane or ""), owner, symbol): True for lane, owner, symbol in engine.ledger.held(account)}
        for order in engine.execution.orders.open_orders(account):
            if order.leg.purpose is Purpose.ENTER:
                found[str(order.lane), order.account, order.instrument] = True
        return found

    def line(self, account: AccountName, now: Nanos) -> tuple[bool, Nanos | None]:
        return self._engine.latches.is_up(account), self._engine.views.proof(account, now)

    def degraded(self, account: AccountName, now: Nanos) -> tuple[Vital, ...]:
        """The sources that guard 9 would refuse now, by its own rules."""
        self._look_again()
        bad = self._degraded.get(account)
        if bad is None:
            bad = self._degraded[account] = []
            rules = self._engine.setup.registry.rules.sizing.record
            for source in Source:
                record = self._engine.ledger.record(account, source)
                try:
                    standing = stand(record, rules)
                except ArithmeticError:
                    del self._degraded[account]
                    return (Vital("degraded", None, source.value),)
                if standing.metric:
                    bad.append((f"{source.value}, {standing.metric} {standing.value}", record.ts_last))
        if not bad:
            return ()
        setup = self._engine.setup
        rest = setup.registry.rules.degradation.rest
        return tuple(Vital("degraded", 1.0, what) for what, ts_last in bad
                     if setup.mode != "paper" or ts_last is None or now - ts_last < rest)

    def rests(self, account: AccountName) -> tuple[Nanos, ...]:
        setup, ledger = self._engine.setup, self._engine.ledger
        if setup.mode != "paper":
            return ()
        self._look_again()
        rests = self._rests.get(account)
        if rests is None:
            records = [ledger.record(account, source) for source in Source]
            rests = self._rests[account] = tuple(record.ts_last + setup.registry.rules.degradation.rest for record in records
                                                 if record.ts_last is not None)
        return rests

    def _look_again(self) -> None:
        """What was said of a record stands until one changes."""
        version = self._engine.ledger.records_version()
        if version != self._version:
            self._version, self._degraded, self._rests = version, {}, {}

    def day(self, account: AccountName) -> tuple[Decimal | None, Decimal | None, str] | None:
        """The day's result and the smallest of the limits that phase 3 knows."""
        engine = self._engine
        rules, safe = engine.setup.registry.rules.daily_loss, engine.setup.accounts[account].limits
        if engine.ledger.balance(account) is None:
            return None
        start = engine.ledger.day_start_equity(account)
        limit = None if start is None or not start.is_finite() else min(rules.amount, rules.share * start, safe.daily_loss)
        return engine.ledger.day_pnl(account, engine.views.mids()), limit, engine.ledger.trade_date(account)

    def near(self) -> dict[str, tuple[float, float]]:
        engine, found = self._engine, dict[str, tuple[float, float]]()
        for account in engine.setup.accounts:
            held, day = engine.ledger.quantities(account), self.day(account)
            if not held or day is None:
                continue
            result, limit, _ = day
            slack = -1.0 if result is None or limit is None else float(result + limit) / len(held)
            for symbol, quantity in held.items():
                instrument, mid = engine.setup.instruments[symbol], engine.marks.mid(symbol)
                worth = abs(float(quantity * instrument.multiplier * instrument.increment)) / 2
                # A bar's close is not its mid: the quote that it implies may lie aside of it by the spread.
                reach = SOUND * slack / worth - 4 * instrument.spread_ticks * instrument.tick_increments if worth else -1.0
                before = found.get(symbol)
                center = 0.0 if mid is None else float(mid[1])
                found[symbol] = center, reach if before is None else min(reach, before[1])
        return found


class Care(Health):
    """The health stage of an engine."""

    def __init__(self, engine: "Engine", setup: "Setup") -> None:
        self._engine = engine
        super().__init__(_instruments(setup), {name: account.latency for name, account in setup.accounts.items()},
                         clock=setup.clock, world=Vitals(engine))

    def halts(self) -> Iterator[Halt]:
        """Every latch of this room that only a person lifts."""
        for name, scope in self.halted():
            kind, _, owner = name.partition(".")
            account = AccountName(owner) if kind == "account" else None
            held = positions_state(self._engine, account) if account is not None else self._held(owner)
            yield Halt(id=f"{TIER4}.{name}", scope=f"{kind} {owner}", account=account,
                       text=f"{kind} {owner} is halted: {'; '.join(scope.reasons) or 'its reason stands no more'}. Enabled, "
                            "it stands at tier 3 and improves by one a minute while its readings are better.",
                       state=((TIER4, name, "; ".join(scope.reasons)), *held), why_not=self._why_not(name))
        for account, told in self.kept.accounts.items():
            if told.loss is not None:
                yield Halt(id=f"{LOSS}.{account}", scope=f"account {account}", account=account,
                           text=f"Entries of {account} are off: {told.loss.why}.",
                           state=((LOSS, account, told.loss.why), *positions_state(self._engine, account)),
                           why_not=self._loss_stands(account))

    def can_enable(self, latch: str) -> str | None:
        """Why this latch cannot be lifted now; None: it can."""
        found = next((halt for halt in self.halts() if halt.id == latch), None)
        return f"nothing called {latch!r} is latched" if found is None else found.why_not

    def shown(self, lane: str | None = None, account: str | None = None) -> tuple[int, tuple[str, ...]]:
        """The tier of a lane or an account for people, to whom what is killed is halted too."""
        tier, reasons = self.tier(lane or "", account or "")
        for (of_lane, of_account), (why, _) in self._engine.latches.latched.items():
            if of_lane in (None, lane) and of_account in (None, account):
                tier, reasons = HALT, (*reasons, f"killed: {why}")
        return tier, reasons

    def _why_not(self, name: str) -> str | None:
        """Because what raised it goes on."""
        for scope, vitals in self.vitals(self._engine.now):
            if scope == name:
                readings, reasons = judge(vitals)
                return reasons[0] if readings >= HALT else None
        return None

    def _loss_stands(self, account: AccountName) -> str | None:
        told = self.kept.accounts[account]
        found = self.world.day(account) if account in self._engine.setup.accounts else None
        if found is None or told.loss is None:
            return None
        result, limit, trade_date = found
        if result is None or not result.is_finite() or limit is None or not limit.is_finite():
            return "the day's result or its limit is not known"
        if not result > -limit:
            return f"the day's result is {plain(result)}, the limit {plain(limit)}"
        if told.loss.trade_date and trade_date <= told.loss.trade_date:
            return f"the trading day {told.loss.trade_date} is not over"
        return None

    def _held(self, lane: str) -> tuple[Row, ...]:
        return tuple((f"position.{held.account}.{held.instrument}", plain(held.quantity), "")
                     for held in self._engine.ledger.positions() if held.lane == lane)


def _instruments(setup: "Setup") -> Mapping[LaneName, tuple[str, ...]]:
    """What each lane's strategies and alerts trade, as far as the feed brings it: what it does not bring, the gate refuses."""
    fed = {symbol for symbol, _ in setup.watched}
    named: dict[LaneName, dict[str, None]] = {lane: dict.fromkeys(of.instruments) for lane, of in setup.lanes.items()}
    for seat in setup.seats:
        named.setdefault(seat.lane, {})[seat.instrument.symbol] = None
    return {lane: tuple(symbol for symbol in symbols if symbol in fed) for lane, symbols in named.items()}
