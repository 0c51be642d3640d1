"""Time that never runs back, and a queue that refuses at the door instead of dropping behind it."""

import asyncio

import pytest

from interlock.errors import InvariantBroken, StorageError
from interlock.model.command import Kill
from interlock.model.record import Tick
from interlock.runtime.clock import PlaybackClock, WallClock
from interlock.runtime.inbox import CommandDoor, Inbox


def test_wall_time_stands_where_the_host_goes_back(monkeypatch):
    clock = WallClock()
    monkeypatch.setattr("interlock.runtime.clock.time.time_ns", lambda: 1_000)
    assert clock.now() == 1_000

    monkeypatch.setattr("interlock.runtime.clock.time.time_ns", lambda: 400)

    assert clock.now() == 1_000


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
