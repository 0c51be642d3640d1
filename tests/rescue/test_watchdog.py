"""The watchdog: pages when lease or heartbeat are too old, goes on paging louder, says when it is over, and touches nothing."""

import os
import stat
from pathlib import Path

import msgspec
import pytest

from interlock.model.money import SECOND
from interlock.rescue.fence import HOLDER
from interlock.rescue.watchdog import HEARTBEAT, REPEAT, START_GRACE, Beat, Event, Health, Watchdog, look, notify
from interlock.storage.lease import TTL, Lease


class Boot:
    def __init__(self) -> None:
        self.now = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def boot() -> Boot:
    return Boot()


@pytest.fixture
def lease(tmp_path: Path, boot: Boot):
    taken = Lease.take(tmp_path, "interlock run", boot)
    yield taken
    os.close(taken._lock) if taken._lock >= 0 else None


def beat(directory: Path, boot: Boot, epoch: int = 1) -> None:
    (directory / HEARTBEAT).write_bytes(msgspec.json.encode(Beat(epoch, os.getpid(), 1, boot.now, 5 * SECOND)))


def kinds(events: list[Event]) -> list[tuple[str, int]]:
    return [(event.kind, event.level) for event in events]


def test_a_desk_that_beats_is_well(tmp_path, boot, lease):
    dog = Watchdog(tmp_path, now=boot)
    for _ in range(20):
        boot.now += 5 * SECOND
        lease.renew()
        beat(tmp_path, boot)
        assert dog.step() == []
    assert dog.finding.health is Health.HEALTHY


def test_a_lease_that_is_not_renewed_pages_and_pages_again_at_a_higher_level(tmp_path, boot, lease):
    beat(tmp_path, boot)
    dog = Watchdog(tmp_path, now=boot)
    assert dog.step() == []
    boot.now += TTL + 1
    assert kinds(dog.step()) == [("silent", 1)]
    assert dog.step() == []
    levels = []
    for _ in range(4):
        boot.now += REPEAT
        levels += kinds(dog.step())

    assert levels == [("silent", 2), ("silent", 3), ("silent", 3), ("silent", 3)]
    assert dog.is_paging


def test_a_loop_that_does_not_come_round_is_seen_although_its_lease_is_renewed(tmp_path, boot, lease):
    beat(tmp_path, boot)
    dog = Watchdog(tmp_path, now=boot)
    dog.step()
    told = []
    for _ in range(4):
        boot.now += 5 * SECOND
        lease.renew()
        told += dog.step()

    assert kinds(told) == [("silent", 1)]
    assert "decision loop" in told[0].text


def test_it_says_when_it_is_over(tmp_path, boot, lease):
    beat(tmp_path, boot)
    dog = Watchdog(tmp_path, now=boot)
    boot.now += 10 * SECOND
    lease.renew()
    boot.now += 6 * SECOND
    assert kinds(dog.step()) == [("silent", 1)]

    beat(tmp_path, boot)

    assert kinds(dog.step()) == [("back", 0)]
    assert not dog.is_paging


def test_a_desk_that_was_stopped_in_order_is_told_once_and_not_paged(tmp_path, boot, lease):
    beat(tmp_path, boot)
    dog = Watchdog(tmp_path, now=boot)
    dog.step()
    lease.release()
    boot.now += 10 * TTL

    assert kinds(dog.step()) == [("stopped", 0)]
    assert dog.step() == []


def test_a_process_may_take_a_while_until_its_first_beat_and_no_longer(tmp_path, boot, lease):
    beat(tmp_path, boot, epoch=0)                  # of an earlier process
    dog = Watchdog(tmp_path, now=boot)
    told = []
    for _ in range(START_GRACE // (5 * SECOND) + 2):
        told += dog.step()
        boot.now += 5 * SECOND
        lease.renew()

    assert kinds(told) == [("silent", 1)]
    assert "not beaten" in told[0].text


def test_after_the_rescue_it_says_who_has_the_lease(tmp_path, boot, lease):
    Lease.seize(tmp_path, HOLDER, boot)
    boot.now += TTL + SECOND

    assert HOLDER in look(tmp_path, boot.now).text


@pytest.mark.parametrize(("name", "text"), [("lease.json", "{"), (HEARTBEAT, "{"), (HEARTBEAT, "")])
def test_what_cannot_be_read_counts_as_silence(tmp_path, boot, lease, name, text):
    beat(tmp_path, boot)
    (tmp_path / name).write_text(text)

    assert look(tmp_path, boot.now).health is Health.SILENT


def test_a_record_of_before_the_machine_started_counts_as_silence(tmp_path, boot, lease):
    beat(tmp_path, boot)
    assert look(tmp_path, boot.now - 500 * SECOND).health is Health.SILENT


def test_where_nothing_ever_ran_there_is_nothing_to_page(tmp_path, boot):
    assert Watchdog(tmp_path, now=boot).step() == []


def test_the_command_is_told_the_event(tmp_path):
    script = tmp_path / "page"
    script.write_text(f'#!/bin/sh\necho "$INTERLOCK_EVENT $INTERLOCK_LEVEL $1" > {tmp_path}/told\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)

    assert notify(str(script), tmp_path, Event("silent", 2, "it hangs")) == ""
    assert (tmp_path / "told").read_text() == "silent 2 it hangs\n"


@pytest.mark.parametrize("command", ["false", "/nowhere/at-all", "'"])
def test_a_command_that_fails_is_said_and_stops_nothing(tmp_path, command):
    assert "not given" in notify(command, tmp_path, Event("silent", 1, "x"))
