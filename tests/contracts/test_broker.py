"""What any broker behind `ports.Broker` must do, whatever venue stands behind it. Run against each that we have.

A `Subject` is one broker and a hand on its market; it says what the venue can do by itself.
"""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import uvloop
from tests.brokers.paper.loopback import Loopback

from interlock.brokers.paper import Fault, Paper, Plan, Verb
from interlock.errors import MalformedMessage, OutcomeUnknown, Unsupported
from interlock.model.clearance import legs_content
from interlock.model.ids import AccountName, ClientOrderId, LaneName, SignalId, StrategyName
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Provenance, Quote, Trade
from interlock.model.money import SECOND
from interlock.model.order import Leg, Order, OrderType, Outcome
from interlock.model.report import (
    CancelRejected,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderFound,
    OrderMissing,
    OrderRejected,
    Report,
)
from interlock.model.signal import Purpose, Side
from interlock.ports import Capabilities

D = Decimal
ACCOUNT = AccountName("paper-1")
MNQ = INSTRUMENTS["MNQ"]


class PaperSubject:
    """The paper broker, kept in a file so that it can be started again."""

    def __init__(self, path: Path, capabilities: Capabilities, *faults: Fault, has_quote: bool = True) -> None:
        self.path, self.capabilities = path, capabilities
        self.paper = Paper({"MNQ": MNQ}, {ACCOUNT: D(50_000)}, path=path, capabilities=capabilities,
                           plan=Plan(faults) if faults else None)
        self.broker = self.paper.broker
        if has_quote:
            self.quote("20000", "20000.25")

    def quote(self, bid: str, ask: str, size: int = 50) -> None:
        ts = self.paper.now + SECOND
        self.paper.on_market(Quote("MNQ", MNQ.increments(D(bid)), MNQ.increments(D(ask)), size, size, ts, ts,
                                   Provenance.SIMULATED))

    def trade(self, price: str) -> None:
        ts = self.paper.now + 1
        self.paper.on_market(Trade("MNQ", MNQ.increments(D(price)), 1, ts, ts, Provenance.SIMULATED))

    def settle(self) -> None:
        """Let everything that is on its way arrive."""
        self.paper.advance(self.paper.now + SECOND)

    def reports(self) -> list[Report]:
        return self.broker.drain()

    def again(self) -> "PaperSubject":
        self.paper.close()
        return PaperSubject(self.path, self.capabilities)


class LoopbackSubject(PaperSubject):
    """The same venue behind a socket."""

    def __init__(self, path: Path, capabilities: Capabilities, *faults: Fault,
                 new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop) -> None:
        self.path, self.capabilities = path, capabilities
        self.paper = Loopback({"MNQ": MNQ}, {ACCOUNT: D(50_000)}, path=path, capabilities=capabilities,  # type: ignore[assignment]
                              faults=faults, new_loop=new_loop)
        self.broker = self.paper.broker
        self.quote("20000", "20000.25")

    def again(self) -> "PaperSubject":
        self.paper.close()
        return LoopbackSubject(self.path, self.capabilities)


NATIVE = Capabilities(has_native_brackets=True, has_replace=True, visibility_delay=0)
SINGLE = Capabilities(has_native_brackets=False, has_replace=False, visibility_delay=0)
SUBJECTS: dict[str, Callable[..., PaperSubject]] = {
    "paper, native brackets": lambda path, *faults: PaperSubject(path, NATIVE, *faults),
    "paper, single orders": lambda path, *faults: PaperSubject(path, SINGLE, *faults),
    "paper behind a socket": lambda path, *faults: LoopbackSubject(path, NATIVE, *faults),
    "paper behind a socket, uvloop": lambda path, *faults: LoopbackSubject(path, NATIVE, *faults, new_loop=uvloop.new_event_loop),
}


@pytest.fixture(params=SUBJECTS)
def make(request, tmp_path) -> Callable[..., PaperSubject]:
    return lambda *faults: SUBJECTS[request.param](tmp_path / "book.db", *faults)


@pytest.fixture
def subject(make) -> Iterator[PaperSubject]:
    made = make()
    yield made
    made.paper.close()


def leg(id: str, side: Side, quantity: str, purpose: Purpose = Purpose.ENTER, *, limit: str | None = None,
        stop: str | None = None) -> Leg:
    kind = OrderType.LIMIT if limit else OrderType.STOP if stop else OrderType.MARKET
    return Leg(client_order_id=ClientOrderId(id), role="entry" if purpose is Purpose.ENTER else "stop", purpose=purpose,
               side=side, quantity=D(quantity), type=kind, limit=D(limit) if limit else None,
               stop=D(stop) if stop else None, is_reduce_only=purpose is not Purpose.ENTER)


def order(*legs: Leg, replaces: str | None = None) -> Order:
    return Order(account=ACCOUNT, instrument="MNQ", venue_symbol="MNQ", legs=legs, signal_id=SignalId("s1"),
                 lane=LaneName("futures"), strategy=StrategyName("demo"),
                 replaces=ClientOrderId(replaces) if replaces else None)


def buy(id: str, quantity: str = "2", limit: str | None = None) -> Order:
    return order(leg(id, Side.BUY, quantity, limit=limit))


def place(subject: PaperSubject, made: Order) -> list[Report]:
    asyncio.run(subject.broker.place(subject.broker.encode(made)))
    subject.settle()
    return subject.reports()


def lookup(subject: PaperSubject, id: str) -> OrderFound | OrderMissing:
    return asyncio.run(subject.broker.lookup(ACCOUNT, ClientOrderId(id)))


def kinds(reports: list[Report]) -> list[tuple[type, str]]:
    return [(type(report), report.client_order_id) for report in reports]  # type: ignore[union-attr]


def test_an_order_is_accepted_and_filled(subject):
    reports = place(subject, buy("a"))

    assert kinds(reports) == [(OrderAccepted, "a"), (OrderFilled, "a")]
    fill = reports[1]
    assert isinstance(fill, OrderFilled)
    assert (fill.account, fill.instrument, fill.side, fill.quantity, fill.price, fill.commission) == (
        ACCOUNT, "MNQ", Side.BUY, D(2), D("20000.50"), D("1.24"))


def test_the_bytes_say_what_the_order_says(subject):
    made = order(leg("a", Side.SELL, "3", Purpose.PROTECT, stop="19990.25"))

    account, symbol, legs, replaces = subject.broker.read_back(subject.broker.encode(made).body)

    assert (account, symbol, replaces) == (ACCOUNT, "MNQ", "")
    assert legs == tuple((*content[:9], "1" if content[9] else "") for content in legs_content(made))
    with pytest.raises(MalformedMessage):
        subject.broker.read_back(b"{}")


def test_encoding_writes_nothing(subject):
    subject.broker.encode(buy("a"))

    assert isinstance(lookup(subject, "a"), OrderMissing)


def test_a_partial_fill_is_reported_as_such_and_its_rest_later(subject):
    subject.quote("20000", "20000.25", size=3)
    reports = place(subject, buy("a", "5"))
    assert [report.quantity for report in reports if isinstance(report, OrderFilled)] == [D(3)]
    found = lookup(subject, "a")
    assert isinstance(found, OrderFound)
    assert (found.filled, found.outcome) == (D(3), None)

    subject.quote("20001", "20001.25")

    fills = [report for report in subject.reports() if isinstance(report, OrderFilled)]
    assert [(fill.quantity, fill.price) for fill in fills] == [(D(2), D("20001.50"))]
    found = lookup(subject, "a")
    assert isinstance(found, OrderFound)
    assert (found.filled, found.outcome) == (D(5), Outcome.FILLED)


def test_a_working_order_is_cancelled(subject):
    place(subject, buy("a", limit="19000"))
    asyncio.run(subject.broker.cancel(ACCOUNT, ClientOrderId("a")))
    subject.settle()

    assert kinds(subject.reports()) == [(OrderCancelled, "a")]
    found = lookup(subject, "a")
    assert isinstance(found, OrderFound)
    assert found.outcome is Outcome.CANCELLED


def test_a_cancel_of_what_is_closed_or_unknown_changes_nothing(subject):
    place(subject, buy("a"))
    for id in ("a", "never"):
        asyncio.run(subject.broker.cancel(ACCOUNT, ClientOrderId(id)))
    subject.settle()

    assert kinds(subject.reports()) == [(CancelRejected, "a"), (CancelRejected, "never")]


def test_an_id_is_used_once(subject):
    place(subject, buy("a"))

    reports = place(subject, buy("a"))

    assert isinstance(reports[0], OrderRejected)
    assert not [report for report in reports if isinstance(report, OrderFilled)]
    assert [held.quantity for held in asyncio.run(subject.broker.read(ACCOUNT)).positions] == [D(2)]


def test_a_bad_order_is_rejected_by_a_report(subject):
    assert kinds(place(subject, buy("a", limit="20000.10"))) == [(OrderRejected, "a")]


def test_a_read_shows_cash_positions_orders_and_fills(subject):
    place(subject, buy("a"))
    place(subject, order(leg("s", Side.SELL, "2", Purpose.PROTECT, stop="19990")))

    read = asyncio.run(subject.broker.read(ACCOUNT))

    assert read.account == ACCOUNT
    assert read.cash == D("49998.76")
    assert [(held.instrument, held.quantity, held.average_price) for held in read.positions] == [
        ("MNQ", D(2), D("20000.50"))]
    assert [(o.client_order_id, o.is_protective, o.stop, o.quantity) for o in read.orders] == [
        ("s", True, D("19990"), D(2))]
    assert [fill.client_order_id for fill in read.fills] == ["a"]


def test_execution_ids_are_unique(subject):
    reports = [report for id in "abc" for report in place(subject, buy(id))]

    ids = [report.execution_id for report in reports if isinstance(report, OrderFilled)]
    assert len(set(ids)) == 3


def test_an_unanswered_write_is_in_doubt_and_a_look_up_resolves_it(make):
    lost, taken = Fault(on="place", verb=Verb.DROP_REQUEST), Fault(on="place", verb=Verb.DROP_RESPONSE, nth=2)
    subject = make(lost, taken)
    for id in ("lost", "taken"):
        with pytest.raises(OutcomeUnknown):
            place(subject, buy(id))

    assert isinstance(lookup(subject, "lost"), OrderMissing)
    assert isinstance(lookup(subject, "taken"), OrderFound)


def test_brackets_and_replacements_are_there_or_refused_before_anything_is_written(subject):
    bracket = order(leg("e", Side.BUY, "2"), leg("s", Side.SELL, "2", Purpose.PROTECT, stop="19990"))
    replacement = order(leg("s2", Side.SELL, "2", Purpose.PROTECT, stop="19995"), replaces="s")
    if not subject.broker.capabilities.has_native_brackets:
        with pytest.raises(Unsupported):
            subject.broker.encode(bracket)
        with pytest.raises(Unsupported):
            subject.broker.encode(replacement)
        return

    accepted = [report for report in place(subject, bracket) if isinstance(report, OrderAccepted)]
    assert [(report.client_order_id, report.is_live, report.quantity) for report in accepted] == [
        ("e", True, None), ("s", False, None), ("s", True, D(2))]
    asyncio.run(subject.broker.modify(subject.broker.encode(replacement)))
    subject.settle()
    assert kinds(subject.reports()) == [(OrderAccepted, "s2"), (OrderCancelled, "s")]


def test_after_a_restart_the_account_is_as_it_was(make):
    subject = make()
    place(subject, buy("a"))
    place(subject, order(leg("s", Side.SELL, "2", Purpose.PROTECT, stop="19990")))
    place(subject, buy("done", limit="19000"))
    asyncio.run(subject.broker.cancel(ACCOUNT, ClientOrderId("done")))
    subject.settle()
    before = asyncio.run(subject.broker.read(ACCOUNT))

    subject = subject.again()
    after = asyncio.run(subject.broker.read(ACCOUNT))

    assert (after.account_id, after.cash, after.positions, after.orders, after.fills) == (
        before.account_id, before.cash, before.positions, before.orders, before.fills)
    found = lookup(subject, "done")
    assert isinstance(found, OrderFound)
    assert found.outcome is Outcome.CANCELLED
    assert isinstance(place(subject, buy("a"))[0], OrderRejected), "ids stay used"
    subject.trade("19990")
    subject.quote("19989", "19989.25")
    stopped = [report for report in subject.reports() if isinstance(report, OrderFilled)]
    assert [(fill.client_order_id, fill.quantity, fill.price) for fill in stopped] == [("s", D(2), D("19989"))]
    assert stopped[0].execution_id not in {fill.execution_id for fill in before.fills}


_VICTIM = """
import sys
from decimal import Decimal as D
from tests.brokers.paper.rig import Rig, bracket, leg, order
rig = Rig(path=sys.argv[1])
prices = [20000, 20003, 19996, 20021, 19999, 19989, 20000]
for turn in range(10_000):
    price = prices[turn % len(prices)]
    told = rig.quote(str(price), f"{price}.25", size=3)
    told += rig.trade(str(price))
    rig.place(bracket(str(1 + turn % 5), name=f"t{turn}"))
    if turn % 3 == 2:
        rig.cancel(f"t{turn - 1}target")
    told += rig.wait(300_000_000)
    for kind, id, text in told:
        print(kind, id, text, flush=True)
"""


@pytest.mark.process
@pytest.mark.parametrize("lines", [1, 40, 77, 150, 233, 400])
def test_a_venue_that_is_killed_has_a_book_that_adds_up_and_goes_on(tmp_path, lines):
    path = tmp_path / "book.db"
    victim = subprocess.Popen([sys.executable, "-c", _VICTIM, str(path)], stdout=subprocess.PIPE, text=True,
                              cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONPATH": "src:."})
    assert victim.stdout is not None
    seen = [victim.stdout.readline().split() for _ in range(lines)]
    victim.send_signal(signal.SIGKILL)
    seen += [line.split() for line in victim.stdout if line.endswith("\n")]
    victim.wait()

    database = sqlite3.connect(path)
    database.row_factory = sqlite3.Row
    executions = database.execute("SELECT * FROM executions ORDER BY rowid").fetchall()
    orders = {row["client_order_id"]: row for row in database.execute("SELECT * FROM orders")}
    cash, position, average = D(50_000), D(0), D(0)
    by_order: dict[str, Decimal] = {}
    for row in executions:
        quantity, price = D(row["quantity"]), D(row["price"])
        by_order[row["client_order_id"]] = by_order.get(row["client_order_id"], D(0)) + quantity
        cash -= D("0.62") * quantity
        if row["side"] == "buy":
            average = (average * position + price * quantity) / (position + quantity)
            position += quantity
        else:
            cash += (price - average) * quantity * 2
            position -= quantity
    assert abs(D(database.execute("SELECT cash FROM accounts").fetchone()["cash"]) - cash) < D("1e-9")
    held = database.execute("SELECT quantity FROM positions").fetchone()
    assert (D(held["quantity"]) if held else D(0)) == position
    assert {id: D(row["filled"]) for id, row in orders.items() if D(row["filled"])} == by_order
    told: dict[str, Decimal] = {}
    for _, id, text, *_ in (line for line in seen if line[0] == "fill"):
        told[id] = told.get(id, D(0)) + D(text)
    assert all(told[id] <= by_order[id] for id in told), "nothing was told that is not in the book"

    subject = PaperSubject(path, NATIVE, has_quote=False)
    read = asyncio.run(subject.broker.read(ACCOUNT))
    stops = sum((o.quantity - o.filled for o in read.orders if o.is_protective and o.is_live), D(0))
    assert stops == sum((p.quantity for p in read.positions), D(0)) == position, "every contract has its stop"
    subject.settle()
    subject.trade("19000")
    for _ in range(40):
        subject.quote("18999", "18999.25")
        subject.settle()
    assert asyncio.run(subject.broker.read(ACCOUNT)).positions == (), "the stops went on working"
