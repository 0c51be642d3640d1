"""A flatten against a venue that answers in any order, lets stops fill meanwhile, and lists positions a moment too late."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.execution.rig import A, D, Rig, profile

from interlock.model.ids import BrokerOrderId, ClientOrderId, ExecutionId
from interlock.model.money import SECOND
from interlock.model.record import ReadRequested
from interlock.model.report import (
    AccountRead,
    BrokerOrder,
    BrokerPosition,
    CancelRejected,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
)
from interlock.model.signal import Purpose, Side

STEPS = st.lists(st.tuples(st.sampled_from(["arrive", "cancel", "fill", "report", "look", "answer", "wait"]),
                           st.integers(0, 3)), min_size=30, max_size=90)


class Venue:
    """Holds the truth, and tells it late."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.position = D(0)
        self.was: list[tuple[int, Any]] = [(0, D(0))]
        self.live: dict[ClientOrderId, tuple[Side, Any, Purpose]] = {}
        self.fills: list[OrderFilled] = []
        self.reports: list[Any] = []
        self.answers: list[AccountRead] = []
        self.taken = self.cancelled = self.looked = 0
        self.lowest = D(0)

    def arrive(self) -> None:
        if self.taken < len(self.rig.sent):
            order = self.rig.sent[self.taken]
            self.taken += 1
            leg = order.parent
            self.live[leg.client_order_id] = (leg.side, leg.quantity, leg.purpose)
            self.reports.append(OrderAccepted(A, leg.client_order_id, BrokerOrderId("b"), self.rig.ts))

    def cancel(self) -> None:
        if self.cancelled < len(self.rig.cancels):
            name = self.rig.cancels[self.cancelled]
            self.cancelled += 1
            if self.live.pop(name, None) is not None:
                self.reports.append(OrderCancelled(A, name, "", self.rig.ts))
            else:
                self.reports.append(CancelRejected(A, name, "not working", self.rig.ts))

    def fill(self, number: int) -> None:
        if self.live:
            name = tuple(self.live)[number % len(self.live)]
            side, quantity, _ = self.live.pop(name)
            self.position += quantity * side.sign
            self.was.append((self.rig.ts, self.position))
            self.fills.append(OrderFilled(A, name, ExecutionId(f"v{len(self.fills)}"), "MNQ", side, quantity, D(100), D(0),
                                          self.rig.ts))
            self.reports.append(self.fills[-1])

    def look(self, *, is_late: bool) -> None:
        """Take what an asked read will say: the orders of now, and perhaps the position of a second ago."""
        asked = sum(isinstance(item, ReadRequested) for item in self.rig.out)
        if self.looked < asked:
            self.looked += 1
            shown = self.position
            if is_late:
                shown = next(position for ts, position in reversed(self.was) if ts <= max(self.rig.ts - SECOND, 0))
            self.answers.append(AccountRead(
                A, "1", D(0), "USD", (BrokerPosition("MNQ", shown),) if shown else (),
                tuple(BrokerOrder(name, BrokerOrderId("b"), "MNQ", side, quantity, D(0), True, purpose is Purpose.PROTECT)
                      for name, (side, quantity, purpose) in self.live.items()),
                () if is_late else tuple(self.fills), self.rig.ts, 1))

    def report(self) -> None:
        while self.reports:
            self.rig.feed(self.reports.pop(0))

    def answer(self, number: int) -> None:
        if self.answers:
            self.rig.feed(self.answers.pop(number % len(self.answers)))

    def drain(self) -> None:
        """Everything is told, in order."""
        for _ in range(20):
            self.arrive()
            self.cancel()
            self.fill(0) if any(purpose is Purpose.FLATTEN for *_, purpose in self.live.values()) else None
            self.report()
            self.look(is_late=False)
            self.answer(0)


@pytest.mark.parametrize("held", [3, 5])
@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_the_true_position_never_turns_and_flat_is_true(held, steps):
    rig = Rig(profile())
    venue = Venue(rig)
    order = rig.enter()
    venue.arrive()
    venue.fill(0)
    venue.position = D(held)                              # somebody else holds the rest
    venue.was.append((rig.ts, venue.position))
    for _ in range(4):
        venue.arrive()
        venue.report()
    assert order.parent.quantity == 3
    rig.after(3 * SECOND)
    while len(venue.answers) or venue.looked < rig.reads():
        venue.look(is_late=False)
        venue.answer(0)
    rig.flatten()
    said = 0
    for kind, number in steps:
        match kind:
            case "arrive":
                venue.arrive()
            case "cancel":
                venue.cancel()
            case "fill":
                venue.fill(number)
            case "report":
                venue.report()
            case "look":
                venue.look(is_late=number > 1)
            case "answer":
                venue.answer(number)
            case "wait":
                rig.after((number + 1) * SECOND // 4)
        assert venue.position >= 0, "a close followed one that had been made already"
        for item in rig.results()[said:]:
            assert item[1] != "flat" or venue.position == 0
        said = len(rig.results())
    for _ in range(30):
        venue.drain()
        rig.after(SECOND)
    assert venue.position >= 0
    assert rig.results(), "it has an end"
