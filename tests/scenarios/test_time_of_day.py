"""The time of day, and clocks that are wrong: nothing is entered after the cut-off, and what is held at the end is gone or a
person has been called."""

import os
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.scenarios.desk import HALF, Desk, HandClock
from tests.scenarios.test_when_things_go_wrong import PROTECTED, alarms

from interlock.config import build
from interlock.errors import StorageError
from interlock.model.money import MINUTE, SECOND, Nanos
from interlock.model.record import Attempt, TierChanged
from interlock.model.verdict import Refuse, Verdict
from interlock.records import Records
from interlock.runtime.clock import WallClock


def at(text: str) -> Nanos:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


CLOSES = {                             # of the exchange in Chicago, by its own published hours
    "an ordinary day": "2023-11-21T22:00:00",
    "a half day": "2023-11-24T18:15:00",
    "the last day of summer time": "2023-11-03T21:00:00",
    "the first day of winter time": "2023-11-06T22:00:00",
    "the last day of winter time": "2024-03-08T22:00:00",
    "the first day of summer time": "2024-03-11T21:00:00",
    "the day before Christmas, a half one": "2024-12-24T18:15:00",
}
CUT_OFF = 10 * MINUTE
ZONES = ("UTC", "Pacific/Auckland", "America/Los_Angeles", "Asia/Kolkata")


@pytest.fixture(autouse=True)
def hours(monkeypatch):
    """The exchange's own sessions, instead of those of a market that never closes."""
    tables = build.session_tables
    monkeypatch.setattr(build, "session_tables", lambda config, *, is_simulated: tables(config, is_simulated=False))


@pytest.fixture
def zone(monkeypatch):
    """The host moves to another zone."""
    before = os.environ.get("TZ")

    def move(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield move
    if before is None:
        monkeypatch.delenv("TZ", raising=False)
    else:
        monkeypatch.setenv("TZ", before)
    time.tzset()


def window(desk: Desk) -> set[str]:
    """What the time window says to an alert that comes now: a code, or "" for nothing against it."""
    reply = desk.post(desk.alert())
    desk.go(1)
    return {answer.verdict.code if isinstance(answer.verdict, Refuse) else ""
            for verdict in desk.entries(Verdict) if verdict.signal_id == reply.signal_id
            for answer in verdict.answers if answer.check == "guard.1_time_window"} or {reply.code}


def entered(desk: Desk) -> list[Attempt]:
    return [each for each in desk.entries(Attempt) if each.order.purpose.value == "enter"]


@pytest.mark.parametrize("day", CLOSES)
def test_nothing_is_entered_from_the_cut_off_on(desk_of, day):
    close = at(CLOSES[day])
    desk = desk_of(clock=HandClock(close - CUT_OFF - 5 * SECOND))
    desk.go(1)
    assert window(desk) == {""}, "five seconds before it is not too late"

    desk.go(3)
    before = len(entered(desk))

    assert window(desk) == {"near_flat"}
    desk.clock.set(close - SECOND)
    desk.go(0.5)
    assert window(desk) & {"near_flat", "session_closed", "window.closed"}
    desk.clock.set(close + MINUTE)
    desk.go(0.5)
    assert "" not in window(desk)
    assert len(entered(desk)) == before


@pytest.mark.parametrize("day", CLOSES)
def test_at_the_end_of_the_day_it_is_flat(desk_of, day):
    close = at(CLOSES[day])
    desk = desk_of(clock=HandClock(close - 15 * MINUTE))
    desk.post(desk.alert())
    desk.go(3)
    assert desk.positions() == PROTECTED

    desk.clock.set(close - 2 * MINUTE - SECOND)
    desk.go(10)

    assert desk.booked() == {}
    assert not [key for key in alarms(desk) if key.startswith("not_flat.")]


def story(desk: Desk, close: Nanos) -> list[tuple[int, str]]:
    """Enter, try again too late, go home."""
    desk.go(1)
    desk.post(desk.alert())
    desk.go(3)
    desk.clock.set(close - CUT_OFF)
    desk.go(1)
    desk.post(desk.alert("sell"))
    desk.go(1)
    desk.clock.set(close - 2 * MINUTE - SECOND)
    desk.go(10)
    with Records.open(desk.directory) as records:
        return [(entry.ts, entry.kind) for entry in records.entries() if not entry.is_host]


def test_the_zone_of_the_host_changes_nothing(desk_of, zone):
    told = {}
    for number, name in enumerate(ZONES):
        zone(name)
        desk = desk_of(name=f"state{number}", clock=HandClock(at("2023-11-24T17:00:00")))
        told[name] = story(desk, at("2023-11-24T18:15:00"))
        assert desk.booked() == {}

    assert all(found == told["UTC"] for found in told.values())
    assert len(told["UTC"]) > 20


# -- clocks that are wrong


class HostClock(HandClock):
    """The product's wall clock on a machine whose clocks a test moves: `set` lets time pass, `step` sets the host's clock."""

    def __init__(self, ts: Nanos) -> None:
        WallClock.__init__(self, wall=lambda: self.host, boot=lambda: self.boot)
        self.host, self.boot = ts, 1_000 * SECOND

    def now(self) -> Nanos:
        return WallClock.now(self)

    def set(self, ts: Nanos) -> None:
        while (left := ts - self.now()) > 0:           # where it runs at half the pace, that takes longer
            self.host, self.boot = self.host + max(left, 2), self.boot + max(left, 2)

    def step(self, seconds: float) -> None:
        self.host += int(seconds * SECOND)


@pytest.fixture
def desk(desk_of):
    """Holding, at ten past nine in Chicago."""
    desk = desk_of(clock=HostClock(at("2023-11-21T15:10:00")))
    desk.go(2)
    desk.post(desk.alert())
    desk.go(3)
    assert desk.positions() == PROTECTED
    return desk


def tier(desk: Desk) -> int:
    return desk.built.engine.health.tier("main", "paper-a")[0]


def stamps(desk: Desk) -> list[Nanos]:
    with Records.open(desk.directory) as records:
        return [entry.ts for entry in records.entries()]


@pytest.mark.parametrize("seconds", [-30, 3_600, -1.5])
def test_a_step_of_the_clock_halts_and_sends_nothing(desk, seconds):
    sent = desk.order_bytes
    clock: Any = desk.clock

    clock.step(seconds)
    desk.settle()
    for _ in range(6):
        clock.set(clock.now() + HALF)
        desk.settle()

    assert tier(desk) == 4, "a person is called"
    assert desk.order_bytes == sent, "nothing is closed because the clock is wrong"
    assert desk.positions() == PROTECTED
    assert stamps(desk) == sorted(stamps(desk)), "and time never ran back"
    desk.go(1)
    reply = desk.post(desk.alert("sell"))
    desk.go(1)
    assert "cleared" not in desk.codes(reply.signal_id).values()


def test_a_small_step_stops_entries_until_it_is_over(desk):
    clock: Any = desk.clock
    clock.step(0.4)
    desk.go(2)
    assert tier(desk) == 3
    assert not [each for each in desk.entries(TierChanged) if each.tier == 4]

    desk.go(64)
    assert tier(desk) == 3, "its minute is over, and that of better readings begins"
    desk.go(190)

    assert tier(desk) == 0


def test_after_a_step_back_the_desk_is_not_deaf(desk):
    """The engine's time runs on at half the pace: what is due comes due, late but not never."""
    clock: Any = desk.clock
    clock.step(-3_600)
    before = clock.now()

    for _ in range(120):               # a minute of the machine
        clock.host, clock.boot = clock.host + HALF, clock.boot + HALF
        desk.settle()

    assert clock.now() == before + 30 * SECOND
    assert desk.built.engine.now >= before + 29 * SECOND
    assert desk.truth("paper-a") == "paper_sim", "the venue is asked all the while"


def test_a_step_past_the_end_of_the_day_ends_flat_or_alarmed(desk):
    clock: Any = desk.clock

    clock.step((at("2023-11-21T21:59:00") - clock.now()) / SECOND)
    desk.go(10)

    assert tier(desk) == 4
    assert desk.booked() == {} or {key.partition(".")[0] for key in alarms(desk)} & {"not_flat", "halt"}


def test_a_machine_that_slept_past_its_lease_ends_and_writes_nothing(desk):
    """The clock that counts suspend went on; the lease did not."""
    sent = desk.order_bytes
    asleep = 16 * SECOND
    lease, heartbeat = desk.place.lease, desk.built.driver.heartbeat
    assert lease is not None
    assert heartbeat is not None
    boot = lease._now
    lease._now = heartbeat._boot = lambda: boot() + asleep

    with pytest.raises(StorageError, match="lease"):
        desk.go(2)

    assert desk.order_bytes == sent


def test_after_a_shorter_sleep_nothing_is_entered_at_once(desk):
    heartbeat, lease = desk.built.driver.heartbeat, desk.place.lease
    assert lease is not None
    assert heartbeat is not None
    boot = lease._now
    lease._now = heartbeat._boot = lambda: boot() + 12 * SECOND
    desk.go(1)

    assert tier(desk) == 3
    reply = desk.post(desk.alert("sell"))
    desk.go(1)
    assert set(desk.codes(reply.signal_id).values()) == {"order.tier"}
