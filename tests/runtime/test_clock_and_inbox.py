"""Time that never runs back, and a queue that refuses at the door instead of dropping behind it."""

import asyncio

import pytest

from interlock.errors import InvariantBroken, StorageError
from interlock.model.command import Kill
from interlock.model.money import SECOND
from interlock.model.record import Tick
from interlock.runtime.clock import PlaybackClock, WallClock
from interlock.runtime.inbox import CommandDoor, Inbox


class Host:
    """The two clocks of a machine, by hand: `set_back` moves the one on the wall alone."""

    def __init__(self, ts: int = 1_700_000_000 * SECOND) -> None:
        self.wall, self.boot = ts, 77 * SECOND

    def go(self, seconds: float) -> None:
        self.wall, self.boot = self.wall + int(seconds * SECOND), self.boot + int(seconds * SECOND)

    def clock(self) -> WallClock:
        return WallClock(wall=lambda: self.wall, boot=lambda: self.boot)


def test_wall_time_never_runs_back_and_does_not_stand_where_the_host_is_set_back():
    host = Host()
    clock = host.clock()
    before = clock.now()

    host.wall -= 30 * SECOND

    assert clock.now() == before
    assert clock.off() == 30 * SECOND, "it is that far ahead of the host"
    host.go(10)
    assert clock.now() == before + 5 * SECOND, "half the pace, so that the host comes up with it"
    host.go(50)
    assert clock.now() == host.wall, "a minute later they agree"
    host.go(1)
    assert clock.now() == host.wall


def test_a_step_forward_is_followed_and_told_for_a_minute():
    host = Host()
    clock = host.clock()
    before = clock.now()

    host.wall += 3_600 * SECOND

    assert clock.now() == before + 3_600 * SECOND
    assert clock.off() == 3_600 * SECOND
    host.go(61)
    clock.now()
    assert clock.off() == 0


def test_a_machine_that_slept_was_not_set():
    host = Host()
    clock = host.clock()
    clock.now()

    host.go(3_600)
    clock.now()

    assert clock.off() == 0, "the clock that counts suspend went along"


def test_a_record_from_the_future_is_caught_up_with():
    host = Host()
    clock = host.clock()
    clock.move(host.wall + 4 * SECOND)

    first = clock.now()
    host.go(8)

    assert clock.now() > first
    assert clock.off() == 0


def test_playback_keeps_the_pace_it_was_given(monkeypatch):
    monkeypatch.setattr("interlock.runtime.clock.time.monotonic", lambda: 50.0)
    clock = PlaybackClock(60.0)
    clock.start(1_000_000_000_000)
    monkeypatch.setattr("interlock.runtime.clock.time.monotonic", lambda: 51.5)

    assert clock.now() == 1_000_000_000_000, "it moves only when told"
    assert clock.target() == 1_090_000_000_000, "sixty engine seconds a second"
    assert clock.seconds_until(1_120_000_000_000) == pytest.approx(0.5)
    clock.move(1_030_000_000_000)
    clock.move(1_010_000_000_000)
    assert clock.now() == 1_030_000_000_000


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_pace_that_is_none_is_refused(speed):
    with pytest.raises(InvariantBroken):
        PlaybackClock(speed)


def test_a_full_inbox_refuses_those_outside_and_never_what_has_happened():
    async def fill() -> None:
        inbox = Inbox(bound=2)
        inbox.put(Tick())
        inbox.put(Tick())
        with pytest.raises(StorageError, match="2 messages wait"):
            await inbox.ask(Tick())
        inbox.put(Tick())
        assert len(inbox) == 3

    asyncio.run(fill())


def test_whoever_waits_when_the_inbox_closes_is_told_why():
    async def close() -> None:
        inbox = Inbox()
        waiting = asyncio.create_task(CommandDoor(inbox).submit(Kill(why="x"), who="me", origin="cli"))
        await asyncio.sleep(0)
        inbox.close("the disk is full")
        with pytest.raises(StorageError, match="the disk is full"):
            await waiting
        with pytest.raises(StorageError, match="the disk is full"):
            await inbox.ask(Tick())

    asyncio.run(close())
