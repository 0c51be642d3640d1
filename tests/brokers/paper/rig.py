"""A paper broker moved by hand, without an event loop. MNQ: tick .25, two dollars a point, .62 per side."""

from collections.abc import Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from interlock.brokers.paper import Fault, Paper, Plan, Rules, Verb
from interlock.model.ids import AccountName, ClientOrderId, LaneName, SignalId, StrategyName
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Bar, MarketState, Provenance, Quote, Trade
from interlock.model.money import MINUTE, SECOND, plain
from interlock.model.order import Leg, Order, OrderType, TimeInForce
from interlock.model.report import OrderAccepted, OrderCancelled, OrderFilled, OrderRejected
from interlock.model.signal import Purpose, Side
from interlock.ports import Capabilities

D = Decimal
T = TypeVar("T")
A = AccountName("paper-1")
B = AccountName("paper-2")
MNQ = INSTRUMENTS["MNQ"]


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a call that does not suspend."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    coroutine.close()
    raise AssertionError("the call suspended")


def leg(id: str, side: str, quantity: str, kind: str = "market", price: str | None = None, purpose: str = "enter",
        tif: str = "gtc", reduce: bool | None = None) -> Leg:
    value = None if price is None else D(price)
    roles = {"enter": "entry", "protect": "stop", "target": "target"}
    return Leg(client_order_id=ClientOrderId(id), role=roles.get(purpose, "exit"), purpose=Purpose(purpose),
               side=Side(side), quantity=D(quantity), type=OrderType(kind), limit=value if kind == "limit" else None,
               stop=value if kind == "stop" else None, time_in_force=TimeInForce(tif),
               is_reduce_only=purpose != "enter" if reduce is None else reduce)


def order(*legs: Leg, account: str = A, symbol: str = "MNQ", replaces: str | None = None) -> Order:
    return Order(account=AccountName(account), instrument=symbol, venue_symbol=symbol, legs=legs,
                 signal_id=SignalId("s" * 18), lane=LaneName("futures"), strategy=StrategyName("demo"),
                 replaces=None if replaces is None else ClientOrderId(replaces))


def bracket(quantity: str = "2", name: str = "", entry: tuple[str, str | None] = ("market", None),
            account: str = A) -> Order:
    """Long MNQ with a stop at 19990 and a target at 20020."""
    return order(leg(f"{name}entry", "buy", quantity, *entry),
                 leg(f"{name}stop", "sell", quantity, "stop", "19990", "protect"),
                 leg(f"{name}target", "sell", quantity, "limit", "20020", "target"), account=account)


class Rig:
    """Shorthand around one Paper."""

    def __init__(self, *faults: Fault, native: bool = True, replace: bool = True, path: Path | None = None,
                 visibility: int = 0, **more: Any) -> None:
        self.paper = Paper({"MNQ": MNQ, "ES": INSTRUMENTS["ES"]}, {A: D(50_000), B: D(50_000)}, path=path,
                           plan=Plan(faults, seed=1) if faults else None,
                           capabilities=Capabilities(has_native_brackets=native, has_replace=replace,
                                                     visibility_delay=visibility), **more)
        self.broker, self.wire, self.venue = self.paper.broker, self.paper.wire, self.paper.venue

    @property
    def now(self) -> int:
        return self.paper.now

    def place(self, order: Order) -> None:
        run(self.broker.place(self.broker.encode(order)))

    def modify(self, order: Order) -> None:
        run(self.broker.modify(self.broker.encode(order)))

    def cancel(self, id: str, account: AccountName = A) -> None:
        run(self.broker.cancel(account, ClientOrderId(id)))

    def lookup(self, id: str, account: AccountName = A):
        return run(self.broker.lookup(account, ClientOrderId(id)))

    def read(self, account: AccountName = A):
        return run(self.broker.read(account))

    def wait(self, nanos: int):
        self.paper.advance(self.now + nanos)
        return self.told()

    def told(self):
        """What the broker reported, shortened to (kind, id, ...)."""
        return [short(report) for report in self.broker.drain()]

    def quote(self, bid: str, ask: str, size: int = 50, after: int = SECOND // 2, symbol: str = "MNQ"):
        ts = self.now + after
        instrument = INSTRUMENTS[symbol]
        self.paper.on_market(Quote(symbol, instrument.increments(D(bid)), instrument.increments(D(ask)), size, size,
                                   ts, ts, Provenance.SIMULATED))
        return self.told()

    def trade(self, price: str, after: int = SECOND // 10):
        ts = self.now + after
        self.paper.on_market(Trade("MNQ", MNQ.increments(D(price)), 1, ts, ts, Provenance.SIMULATED))
        return self.told()

    def state(self, is_open: bool, is_halted: bool = False, after: int = 0):
        ts = self.now + after
        self.paper.on_market(MarketState("MNQ", is_open, is_halted, ts, ts))
        return self.told()

    def bar(self, open: str, high: str, low: str, close: str):
        begin = self.now // MINUTE * MINUTE
        first, top, bottom, last = (MNQ.increments(D(price)) for price in (open, high, low, close))
        self.paper.on_market(Bar("MNQ", MINUTE, first, top, bottom, last, 100, begin, begin + MINUTE,
                                 Provenance.PLAYBACK))
        return self.told()


def short(report):
    kind = type(report).__struct_config__.tag
    match report:
        case OrderAccepted():
            size = "" if report.quantity is None else f" {plain(report.quantity)}"
            return "ack", report.client_order_id, ("live" if report.is_live else "waiting") + size
        case OrderFilled():
            return "fill", report.client_order_id, f"{plain(report.quantity)} @ {plain(report.price)}"
        case OrderCancelled() | OrderRejected():
            return kind.removeprefix("order_"), report.client_order_id, report.reason.split(":")[0]
        case _:
            return kind, getattr(report, "client_order_id", report.account), getattr(report, "reason", "").split(":")[0]


def filled(rig: Rig, quantity: str = "2") -> Rig:
    """A long bracket whose entry has filled at 20000.50."""
    rig.place(bracket(quantity))
    rig.wait(SECOND // 4)
    return rig


__all__ = ["MNQ", "A", "B", "D", "Fault", "Rig", "Rules", "Verb", "bracket", "filled", "leg", "order", "run"]
