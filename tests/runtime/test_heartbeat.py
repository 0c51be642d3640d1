"""The lease lives by the decision loop, and by nothing else that is alive in the process."""

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from interlock.errors import LeaseHeld, StorageError
from interlock.model.money import SECOND
from interlock.rescue.watchdog import Health, look
from interlock.runtime.driver import Driver
from interlock.runtime.heartbeat import FILE, Heartbeat
from interlock.storage.lease import Lease, overrule
from interlock.web import serve


class Boot:
    """The clock that counts suspend, by hand."""

    def __init__(self) -> None:
        self.now = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


@pytest.fixture
def boot():
    return Boot()


@pytest.fixture
def lease(tmp_path, boot):
    lease = Lease.take(tmp_path, "a test", boot)
    yield lease
    lease.release()


@pytest.fixture
def beating(tmp_path, lease, boot):
    return Heartbeat(lease, (tmp_path / FILE).write_bytes, boot=boot, wall=lambda: 7)


def written(directory) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode((directory / FILE).read_bytes())
    return found


def test_a_pass_renews_the_lease_when_it_is_due_and_says_so(tmp_path, lease, beating, boot):
    beating.passed()
    assert written(tmp_path)["seq"] == 1
    for _ in range(4):
        boot.go(1)
        beating.passed()
    assert written(tmp_path)["seq"] == 1

    boot.go(1)
    beating.passed()

    found = written(tmp_path)
    assert (found["epoch"], found["seq"], found["renewed"], found["interval"], found["ts_wall"]) == (
        lease.epoch, 6, boot.now, 5 * SECOND, 7)
    assert not lease.is_overslept()


def test_without_a_pass_nothing_renews_it_and_every_reader_finds_out(tmp_path, lease, beating, boot):
    beating.passed()
    assert look(tmp_path, boot.now).health is Health.HEALTHY

    boot.go(10.5)
    assert beating.row()["state"] == "late"
    boot.go(5)

    assert beating.row()["state"] == "dead"
    assert look(tmp_path, boot.now).health is Health.SILENT
    with pytest.raises(StorageError):
        lease.read_epoch()


def test_a_loop_that_comes_round_after_the_lease_ran_out_ends_the_desk(beating, boot):
    beating.passed()
    boot.go(16)                        # hung, or suspended: the clock counts both

    with pytest.raises(StorageError):
        beating.passed()


def test_a_shorter_sleep_is_told(beating, boot):
    beating.passed()
    boot.go(12)

    assert beating.passed() == 12 * SECOND


def test_who_was_overruled_does_not_beat(tmp_path, lease, beating, boot):
    beating.passed()
    before = written(tmp_path)
    overrule(tmp_path, "interlock-kill", boot)
    boot.go(5)

    with pytest.raises(LeaseHeld):
        beating.passed()

    assert written(tmp_path) == before


def test_the_start_keeps_the_lease_until_the_loop_runs_and_beats_for_nobody(tmp_path, lease, beating, boot):
    boot.go(10)
    beating.start()
    boot.go(10)
    beating.start()
    assert not lease.is_overslept()
    assert not (tmp_path / FILE).exists()

    beating.passed()
    boot.go(10)
    beating.start()

    assert written(tmp_path)["renewed"] == boot.now - 10 * SECOND, "from then on only passes count"
    boot.go(6)
    assert lease.is_overslept()


# -- the driver, hung and not


class Source:
    name, rows = "none", 0

    def peek(self):
        return 1 << 62

    def take(self):
        raise AssertionError("nothing is ever due")

    def share(self):
        return 0.0


class NoMail:
    items = ()

    def __len__(self):
        return 0

    def wake(self):
        """Nobody waits."""

    async def wait(self, seconds):
        await asyncio.sleep(0)


def a_driver(beating, settle) -> Driver:
    """The real loop on a desk that has nothing to do but to commit."""
    async def nothing():
        return

    clock = SimpleNamespace(kind="playback", now=lambda: 0, target=lambda: 0, move=lambda ts: None, seconds_until=lambda ts: 0.0)
    engine = SimpleNamespace(feed_ended=False, next_wake=lambda: None, marks=SimpleNamespace(latest=lambda: ()))
    desk: Any = SimpleNamespace(clock=clock, engine=engine, inbox=NoMail(), is_urgent=True, has_open=False, open_count=0,
                                take=lambda limit: 0, settle=settle, finish=nothing, turn=lambda message: [])
    return Driver(desk, Source(), (), reconcile=30 * SECOND, ends_with_source=False, heartbeat=beating)


def test_a_loop_that_comes_round_beats(beating):
    passes = []

    async def settle():
        passes.append(beating.seq)
        if len(passes) == 5:
            driver.stop()

    driver = a_driver(beating, settle)
    asyncio.run(driver.run())

    assert beating.seq >= 4


def test_a_loop_that_hangs_loses_its_lease_while_everything_else_lives(lease, beating, boot):
    async def story():
        hangs = asyncio.Event()
        beating.passed()

        async def settle():
            await hangs.wait()         # a commit that never comes back

        driving = asyncio.create_task(a_driver(beating, settle).run())
        for _ in range(40):            # the page, the hook and the old task that kept the lease go on
            boot.go(0.5)
            await serve._keep_lease(beating)
            await asyncio.sleep(0)
        driving.cancel()
        await asyncio.gather(driving, return_exceptions=True)

    asyncio.run(story())

    assert beating.seq == 1
    assert lease.is_overslept()
