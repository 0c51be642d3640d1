"""A desk small enough to hold in one hand: execution, a gate that lets through what it is told to, and no venue.

Outputs are folded one by one, as the engine does; what left for the venue is in `sent`, `cancels` and `lookups`.
"""

from decimal import Decimal
from typing import Any

from interlock.execution.compose import compose
from interlock.execution.stage import AccountProfile, Execution, WakeAt
from interlock.execution.state import HardClose
from interlock.model.account import Truth
from interlock.model.command import FlattenBegun, FlattenEnded, Killed, KillProved
from interlock.model.ids import AccountName, BrokerOrderId, ClientOrderId, ExecutionId, LaneName, SignalId, StrategyName
from interlock.model.instrument import INSTRUMENTS, Instrument
from interlock.model.market import Provenance, Quality
from interlock.model.money import SECOND, Nanos
from interlock.model.order import PROFILES, Order, OrderRecord
from interlock.model.record import (
    AccountFrozen,
    Alarm,
    AlarmCleared,
    Attempt,
    CancelRequested,
    LookupRequested,
    ReadRequested,
    Tick,
)
from interlock.model.report import (
    AccountRead,
    BrokerOrder,
    BrokerPosition,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    ReadFailed,
)
from interlock.model.signal import AccountIntent, Intent, Purpose, Side, Source
from interlock.model.verdict import Cleared, Refused, Sized, SizedIntent, Verdict
from interlock.model.view import AccountView, GateView, Limits, Mark, Memory, Session, SourceRecord
from interlock.ports import Capabilities

A = AccountName("paper-1")
LANE = LaneName("futures")
STRATEGY = StrategyName("drive")
START: Nanos = 1_700_000_000 * SECOND
D = Decimal


def profile(*, brackets: bool = False, replace: bool = True, visibility: Nanos = 0,
            pair: bool = False) -> AccountProfile:
    return AccountProfile(capabilities=Capabilities(has_native_brackets=brackets, has_replace=replace,
                                                    visibility_delay=visibility), pair_may_rest=pair)


def intent(side: Side = Side.BUY, purpose: Purpose = Purpose.ENTER, *, signal: str = "s1", stop: str | None = "95",
           target: str | None = "110", quantity: str | None = None, instrument: str = "MNQ", owned: bool = False,
           strategy: StrategyName = STRATEGY, reference: str | None = None) -> Intent:
    return Intent(signal_id=SignalId(signal), lane=LANE, strategy=strategy, source=Source.BARS, instrument=instrument,
                  side=side, purpose=purpose, why="test", ts_decided=START, stop=None if stop is None else D(stop),
                  target=None if target is None else D(target), quantity=None if quantity is None else D(quantity),
                  is_target_owned=owned, reference=None if reference is None else D(reference))


def view(instrument: str, account: AccountName = A, *, trade_date: str = "2026-03-02", key: str = "",
         ts_flat: Nanos = 0) -> GateView:
    """A view with nothing in it that execution or ledger does not read."""
    zero = D(0)
    return GateView(
        now=START, lane=LANE, strategy=STRATEGY, source=Source.BARS, instrument=INSTRUMENTS[instrument], mark=None,
        session=Session(is_open=True, is_known=True, trade_date=trade_date, ts_open=0, ts_close=ts_flat, ts_flat=ts_flat,
                        local_minute=600, zone="America/Chicago"),
        account=AccountView(
            account=account, account_id="1", truth=Truth.PAPER_SIM, is_enabled=True, frozen_by=None, is_line_up=True,
            ts_proof=START, currency="USD", equity=zero, balance=zero, day_pnl=zero, week_pnl=zero,
            day_start_equity=zero, consecutive_losses=0, margin_used=None, position=zero,
            broker_position=zero, orders_last_minute=0),
        held=(), pending=(), all_orders_last_minute=0, all_day_pnl=zero, kill_epoch=0, killed_by=None, tier=0,
        tier_reasons=(), regime_detector="none", regime=None, features=(), clock_offset=0,
        record=SourceRecord(r_multiples=(), slippage=()),
        memory=Memory(ts_stop_outs=(), ts_entries=(), entries_today=(), signal_keys=()),
        limits=Limits(notional_per_order=D(50_000), position_per_symbol=D(20), orders_per_minute=60, daily_loss=D(500),
                      symbols=()), signal_key=key)


def verdict(asked: AccountIntent, order: Order | None, quantity: Decimal, *, risk: str = "0",
            instrument: str | None = None, trade_date: str = "2026-03-02", key: str = "", ts_flat: Nanos = 0) -> Verdict:
    name = instrument or asked.intent.instrument
    sized = Sized(instrument=name, quantity=quantity, risk=D(risk), risk_per_unit=D(0), why="test")
    result = Refused(sized, "test", "told to") if order is None else Cleared(sized, order)
    return Verdict(signal_id=asked.intent.signal_id, account=asked.account, profile=PROFILES[asked.intent.purpose],
                   asked=asked, view=view(name, asked.account, trade_date=trade_date, key=key, ts_flat=ts_flat), answers=(),
                   result=result, config="", checks="")


class Rig:
    def __init__(self, of: AccountProfile, accounts: tuple[AccountName, ...] = (A,), *, ts_flat: Nanos = 0,
                 overnight: tuple[LaneName, ...] = ()) -> None:
        self.profiles = dict.fromkeys(accounts, of)
        self.closing = HardClose(overnight=frozenset(overnight), accounts=frozenset(accounts))
        self.execution = Execution(self.profiles, self.closing)
        self.ts_flat = ts_flat or 2**63 - 1
        self.ts: Nanos = START
        self.marks: dict[str, Mark] = {}
        self.sent: list[Order] = []
        self.cancels: list[ClientOrderId] = []
        self.lookups: list[ClientOrderId] = []
        self.out: list[Any] = []
        self.wakes: list[Nanos] = []
        self.journal: list[tuple[Nanos, Any]] = []
        self.refuse: set[Purpose] = set()
        self.epoch = 0
        self._executions = 0

    # -- the world

    def mark(self, instrument: str) -> Mark | None:
        return self.marks.get(instrument)

    def session(self, instrument: str) -> Session:
        return Session(is_open=self.ts < self.ts_flat, is_known=True, trade_date="2026-03-02", ts_open=0, ts_close=self.ts_flat,
                       ts_flat=self.ts_flat, local_minute=600, zone="America/Chicago")

    def instrument(self, symbol: str) -> Instrument | None:
        return INSTRUMENTS.get(symbol)

    def quote(self, bid: str, ask: str, instrument: str = "MNQ") -> None:
        self.marks[instrument] = Mark(
            instrument=instrument, bid=D(bid), ask=D(ask), bid_size=10, ask_size=10, ts_event=self.ts, ts_recv=self.ts,
            provenance=Provenance.SIMULATED, quality=Quality.OK, fresh_until=0, is_open=True, is_halted=False)

    # -- the engine

    def fold(self, payload: Any) -> None:
        self.journal.append((self.ts, payload))
        self.execution.apply(payload, self.ts)

    def feed(self, payload: Any) -> None:
        self.fold(payload)
        self._take(self.execution.react(payload, self.ts, self))

    def _take(self, outputs: Any) -> None:
        for output in outputs:
            if isinstance(output, WakeAt):
                self.wakes.append(output.ts)
                continue
            self.out.append(output)
            if isinstance(output, AccountIntent):
                self.judge(output, None)
                continue
            self.fold(output)
            if isinstance(output, CancelRequested):
                self.cancels.append(output.client_order_id)
            elif isinstance(output, LookupRequested):
                self.lookups.append(output.client_order_id)

    def judge(self, asked: AccountIntent, quantity: str | None, risk: str = "0",
              instrument: str | None = None) -> Order | None:
        size = D(quantity) if quantity is not None else asked.intent.quantity
        assert size is not None
        if asked.intent.purpose in self.refuse:
            self.fold(verdict(asked, None, D(0)))
            return None
        name = instrument or asked.intent.instrument
        sized = SizedIntent(asked, Sized(instrument=name, quantity=size, risk=D(risk), risk_per_unit=D(0), why=""))
        capabilities = self.profiles[asked.account].capabilities
        order = compose(sized, INSTRUMENTS[name], has_native_brackets=capabilities.has_native_brackets)
        self.fold(verdict(asked, order, size, risk=risk, instrument=instrument, ts_flat=self.ts_flat))
        self.fold(Attempt(order.client_order_id, 1, order, D(risk)))
        self.sent.append(order)
        return order

    def resume(self) -> None:
        self._take(self.execution.resume(self.ts))

    def after(self, nanos: Nanos) -> None:
        """Time passes; every wake that is due comes as a tick."""
        until = self.ts + nanos
        while (wake := self.execution.next_wake) is not None and wake <= until:
            self.ts = wake
            self.feed(Tick())
        self.ts = until

    # -- what a test does

    def enter(self, quantity: str = "3", account: AccountName = A, **changes: Any) -> Order:
        order = self.judge(AccountIntent(intent(**changes), account), quantity, risk="90")
        assert order is not None
        return order

    def exit(self, quantity: str | None = None, *, signal: str = "x1", purpose: Purpose = Purpose.REDUCE,
             account: AccountName = A) -> None:
        wish = intent(Side.SELL, purpose, signal=signal, stop=None, target=None, quantity=quantity)
        self.feed(AccountIntent(wish, account))

    def flatten(self, *accounts: AccountName, instrument: str | None = None, command: str = "c1") -> None:
        self.feed(FlattenBegun("test", None, instrument, accounts or tuple(self.profiles), (), command))

    def kill(self, scope: str = "risk", lane: LaneName | None = None, account: AccountName | None = None) -> None:
        self.epoch += 1
        self.feed(Killed(lane, account, scope, "test", self.epoch, (), ()))

    def proofs(self) -> list[tuple[bool, tuple[str, ...]]]:
        return [(item.is_clean, item.left) for item in self.out if isinstance(item, KillProved)]

    def results(self) -> list[tuple[str, str, Decimal]]:
        return [(item.instrument, item.result, item.quantity) for item in self.out if isinstance(item, FlattenEnded)]

    def accept(self, cid: ClientOrderId, *, is_live: bool = True, quantity: str | None = None) -> None:
        self.feed(OrderAccepted(self.record(cid).account, cid, BrokerOrderId(f"b{cid}"), self.ts, is_live,
                                None if quantity is None else D(quantity)))

    def fill(self, cid: ClientOrderId, quantity: str, price: str = "100", execution: str | None = None) -> OrderFilled:
        record = self.record(cid)
        self._executions += 1
        name = ExecutionId(execution or f"e{self._executions}")
        report = OrderFilled(record.account, cid, name, record.instrument, record.leg.side, D(quantity), D(price),
                             D("0.62"), self.ts)
        self.feed(report)
        return report

    def cancelled(self, cid: ClientOrderId) -> None:
        self.feed(OrderCancelled(self.record(cid).account, cid, "", self.ts))

    def rejected(self, cid: ClientOrderId) -> None:
        self.feed(OrderRejected(self.record(cid).account, cid, "no", self.ts))

    def read(self, *orders: BrokerOrder, position: str = "0", fills: tuple[OrderFilled, ...] = (),
             cash: str = "50000", account: AccountName = A) -> None:
        for _ in self.execution.ears.asked.get(account, [])[1:]:
            self.feed(ReadFailed(account, "late"))          # what was asked before the last question has no answer
        held = (BrokerPosition("MNQ", D(position)),) if D(position) else ()
        self.feed(AccountRead(account, "1", D(cash), "USD", held, orders, fills, self.ts, 1))

    def listed(self, cid: ClientOrderId) -> BrokerOrder:
        record = self.record(cid)
        return BrokerOrder(cid, BrokerOrderId("b"), record.instrument, record.leg.side, record.leg.quantity,
                           record.filled, True, record.leg.purpose is Purpose.PROTECT)

    # -- what a test sees

    def record(self, cid: ClientOrderId) -> OrderRecord:
        found = self.execution.orders.by_id(cid)
        assert found is not None
        return found

    def position(self) -> Decimal:
        return self.execution.orders.position(A, "MNQ")

    def stops(self) -> list[OrderRecord]:
        return [record for record in self.execution.orders.open_orders() if record.leg.purpose is Purpose.PROTECT]

    def alarms(self) -> list[str]:
        return [item.key for item in self.out if isinstance(item, Alarm)]

    def standing(self) -> set[str]:
        found: set[str] = set()
        for item in self.out:
            if isinstance(item, Alarm):
                found.add(item.key)
            elif isinstance(item, AlarmCleared):
                found.discard(item.key)
        return found

    def freezes(self) -> list[str]:
        return [item.code for item in self.out if isinstance(item, AccountFrozen)]

    def reads(self) -> int:
        return sum(isinstance(item, ReadRequested) for item in self.out)
