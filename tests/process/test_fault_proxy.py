"""A real desk and a real venue with a bad line between them: an order is written once, and nothing is guessed."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.process.desk import Desk
from tests.process.proxy import DOWN, UP, FaultProxy
from tests.process.venue import VenueProcess, desk_at, wait_until

from interlock.records import Records

pytestmark = pytest.mark.process


class Setting:
    def __init__(self, venue: VenueProcess, proxy: FaultProxy, desk: Desk) -> None:
        self.venue, self.proxy, self.desk = venue, proxy, desk
        self.beside = venue.at("flatten")

    def entries(self) -> Counter[str]:
        """How many entry messages the venue has seen, per account: those that rest and those that have filled."""
        found: Counter[str] = Counter()
        for account, read in self.beside.reads().items():
            resting = {order.client_order_id for order in read.orders if not order.is_exit}
            found[account] = len(resting | {fill.client_order_id for fill in read.fills})
        return found

    def placed(self) -> int:
        return self.venue.arrived().get("trade", {}).get("place", {"messages": 0})["messages"]

    def attempts(self) -> int:
        with Records.open(self.desk.state) as records:
            return len(records.tail(5000, "attempt"))

    def is_up(self) -> bool:
        with Records.open(self.desk.state) as records:
            return any(line.is_up for line in records.engine.latches.lines.values())


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    venue = VenueProcess(tmp_path / "venue").start()
    with FaultProxy(venue.port) as proxy:
        desk = desk_at(tmp_path / "state", venue, port=proxy.port)
        try:
            desk.start()
            yield Setting(venue, proxy, desk)
        finally:
            desk.end(is_kind=False)
            venue.kill()


def sliced(proxy: FaultProxy) -> None:
    proxy.slice = 7


def delayed(proxy: FaultProxy) -> None:
    proxy.delay = {UP: 0.05, DOWN: 0.1}


@pytest.mark.parametrize("plan", [sliced, delayed], ids=["slices of seven bytes", "150 ms there and back"])
def test_a_slow_line_is_a_line(setting, plan: Callable[[FaultProxy], None]):
    plan(setting.proxy)

    assert setting.desk.alert("demo", "buy")

    wait_until(lambda: all(read.positions and len([o for o in read.orders if o.is_protective]) == 1
                           for read in setting.beside.reads().values()), 15, "both entries fill and are protected")
    assert setting.entries() == {"paper-a": 1, "paper-b": 1}
    assert setting.is_up()


@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
def test_a_cut_line_stays_down_and_nothing_is_sent_again(setting, is_reset):
    assert setting.desk.alert("demo", "buy")
    wait_until(lambda: setting.entries() == {"paper-a": 1, "paper-b": 1}, 10, "both entries arrive")
    connections = setting.proxy.connections

    setting.proxy.cut(reset=is_reset)

    wait_until(lambda: not setting.is_up(), 10, "the desk sees it")
    before = setting.placed()
    setting.desk.alert("second", "buy")
    time.sleep(1.5)
    assert setting.proxy.connections == connections, "it does not connect by itself"
    assert setting.placed() == before
    assert setting.entries() == {"paper-a": 1, "paper-b": 1}


def test_requests_that_are_swallowed_leave_orders_in_doubt_and_are_not_repeated(setting):
    """Half open, and then gone with everything that was on its way."""
    setting.proxy.stalled.add(UP)

    assert setting.desk.alert("demo", "buy")
    wait_until(lambda: setting.attempts() == 2, 10, "both are attempted")
    wait_until(lambda: not setting.is_up(), 15, "pings without an answer end the line")
    setting.proxy.cut()
    setting.proxy.stalled.clear()
    time.sleep(1.0)

    assert setting.attempts() == 2
    assert setting.placed() == 0
    with Records.open(setting.desk.state) as records:
        entries = [order for order in records.engine.execution.orders.open_orders() if order.leg.role == "entry"]
    assert {type(order.state).__name__ for order in entries} == {"InDoubt"}


def test_answers_that_are_swallowed_leave_orders_in_doubt_while_they_stand_at_the_venue(setting):
    setting.proxy.stalled.add(DOWN)

    assert setting.desk.alert("demo", "buy")
    wait_until(lambda: setting.entries() == {"paper-a": 1, "paper-b": 1}, 10, "both entries arrive")
    wait_until(lambda: not setting.is_up(), 15, "pings without an answer end the line")
    time.sleep(0.5)

    assert setting.placed() == 2
    assert setting.attempts() == 2
    assert setting.entries() == {"paper-a": 1, "paper-b": 1}
