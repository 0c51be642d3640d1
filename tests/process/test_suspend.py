"""A process that slept past its lease writes nothing when it wakes, whatever it was about to do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.process.desk import Desk, free_ports, interlock
from tests.process.venue import SHORT, VenueProcess, desk_at, go_on, kill_command, stop, wait_until

pytestmark = pytest.mark.process

COULD_NOT = 3


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[VenueProcess]:
    made = VenueProcess(tmp_path / "venue").start()
    yield made
    made.kill()


@pytest.fixture
def desk(tmp_path: Path, venue: VenueProcess) -> Iterator[Desk]:
    made = desk_at(tmp_path / "state", venue, is_short=True)
    yield made
    made.end(is_kind=False)


def test_a_desk_that_slept_past_its_lease_ends_and_has_written_nothing(desk, venue):
    desk.start()
    stop(desk)
    wait_asleep(desk)
    before = venue.order_bytes()

    go_on(desk)

    assert desk.dies_within(10.0), "a lease that was slept through is not taken again in passing"
    assert desk.status == COULD_NOT
    assert "must be taken again" in desk.said()
    assert venue.order_bytes() == before


def test_an_alert_that_waited_while_it_slept_is_not_traded(desk, venue):
    desk.start()
    desk._sample("demo")               # the market of before
    stop(desk)
    desk.alert("demo", "buy", wait=False)
    wait_asleep(desk)

    go_on(desk)

    assert desk.dies_within(10.0)
    assert venue.order_bytes() == 0


def test_a_second_desk_is_refused_while_the_first_one_sleeps(desk):
    desk.start()
    stop(desk)
    wait_asleep(desk)
    port, hook_port = free_ports(2)

    second = interlock("run", "--state", desk.state, "--port", str(port), "--hook-port", str(hook_port))

    assert second.returncode == COULD_NOT
    assert "held by interlock run" in second.stderr
    go_on(desk)


def test_a_thawed_desk_that_does_not_notice_is_refused_at_the_wire(desk, venue):
    desk.program = (*SHORT, "deaf")
    desk.start()
    assert desk.alert("demo", "buy")
    wait_until(lambda: all(read.positions for read in venue.at().reads().values()), 10, "both entries fill")
    stop(desk)
    status, answer, said = kill_command(desk.state)
    assert status == 0, said
    assert answer["engine_was_holding"] is True
    before = venue.order_bytes()

    go_on(desk)
    wait_until(lambda: "deaf to" in desk.said(), 5, "it has missed its renewal")
    assert desk.alert("second", "buy"), "it decides as if nothing had happened"

    refused = wait_until(lambda: tail(desk, "write_refused"), 10, "what it decided is refused")
    assert {entry["payload"]["code"] for entry in refused} <= {"safe.lease_moved", "safe.epochs_unreadable"}
    assert venue.order_bytes() == before, "and not a byte has reached the venue"


def tail(desk: Desk, kind: str) -> list[dict[str, Any]]:
    found = interlock("journal", "tail", "-n", "500", "--kind", kind, "--state", desk.state, "--json")
    return [json.loads(line) for line in found.stdout.splitlines()]


def wait_asleep(desk: Desk) -> None:
    """Until its lease has run out."""
    from interlock.storage.lease import boot_clock, read_record

    def is_over() -> bool:
        record = read_record(desk.state)
        return record is not None and boot_clock() - record.renewed > record.ttl

    wait_until(is_over, 10, "the lease runs out")
