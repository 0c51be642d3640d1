"""The paper venue in a process of its own: it listens for those who have its credentials, and outlives those who trade there."""

import stat
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.process.desk import interlock
from tests.process.venue import VenueProcess, desk_at, wait_until

pytestmark = pytest.mark.process


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[VenueProcess]:
    made = VenueProcess(tmp_path / "venue").start()
    yield made
    made.kill()


def test_its_credentials_are_for_its_owner_alone_and_a_second_process_on_its_book_is_refused(venue):
    for session in ("trade", "flatten"):
        assert stat.S_IMODE((venue.state / f"{session}.token").stat().st_mode) == 0o600

    second = interlock("venue", "start", "paper", "--state", venue.state)

    assert second.returncode == 3
    assert "held by interlock venue" in second.stderr


def test_who_has_no_credential_hears_nothing(venue):
    hand = venue.at()
    hand._token = "guessed"

    with pytest.raises(AssertionError, match="no such credential"):
        hand.read()


def test_the_flatten_credential_may_cancel_and_reduce_and_nothing_else(venue):
    owner, restricted = venue.at("trade"), venue.at("flatten")
    owner.place("entry", "buy", "2")
    wait_until(lambda: owner.read().positions, 5, "the entry fills")

    restricted.place("more", "buy", "1")
    restricted.place("turn", "sell", "1")          # would reduce, and does not say so
    restricted.place("close", "sell", "2", reduce=True)

    wait_until(lambda: not owner.read().positions, 5, "the exit fills")
    assert {fill.client_order_id for fill in owner.read().fills} == {"entry", "close"}


def test_it_comes_back_on_its_port_with_its_book(venue):
    venue.at().place("entry", "buy", "2")
    wait_until(lambda: venue.at().read().positions, 5, "the entry fills")
    port = venue.port

    venue.kill()
    venue.start()

    assert venue.port == port
    assert [held.quantity for held in venue.at().read().positions] == [Decimal(2)]


def test_a_paper_desk_does_not_start_at_a_venue_that_calls_itself_live(tmp_path: Path):
    venue = VenueProcess(tmp_path / "venue").start("--environment", "live-rehearsal")
    try:
        assert venue.environment == "live"
        assert venue.at().read().environment == "runtime_sim", "what it calls itself makes no label"
        assert venue.at().read().endpoint == "live"
        desk = desk_at(tmp_path / "state", venue)
        ended = interlock("run", "--state", desk.state, "--port", str(desk.port), "--hook-port", str(desk.hook_port))
    finally:
        venue.kill()

    assert ended.returncode != 0
    assert "calls its environment live" in ended.stderr


def test_a_venue_that_dies_takes_the_line_down_and_nothing_is_sent_again(tmp_path: Path):
    venue = VenueProcess(tmp_path / "venue").start()
    desk = desk_at(tmp_path / "state", venue)
    try:
        desk.start()
        assert desk.alert("demo", "buy")
        wait_until(lambda: all(read.positions for read in venue.at().reads().values()), 10, "both entries fill")
        venue.kill()
        wait_until(lambda: not any(row["line"] for row in lines(desk)), 10, "the desk sees that the line is down")
        assert desk.alert("second", "buy"), "the hook goes on"
        time.sleep(1.0)

        venue.start()
        beside = venue.at("flatten")
        before = {account: read.fills for account, read in beside.reads().items()}
        time.sleep(2.0)

        assert "trade" not in venue.arrived(), "it does not come back by itself"
        assert {account: read.fills for account, read in beside.reads().items()} == before
        assert not any(row["line"] for row in lines(desk))

        shown = interlock("reconnect", "paper-a", "--state", desk.state).stderr
        asked = interlock("reconnect", "paper-a", "--seen", shown.split("--seen")[1].split()[0], "--state", desk.state)
        assert asked.returncode == 0, asked.stderr
        wait_until(lambda: all(row["line"] for row in lines(desk)), 10, "a person opens it again, and it reads")
        assert {account: read.fills for account, read in beside.reads().items()} == before, "and sends nothing of before"
    finally:
        desk.end(is_kind=False)
        venue.kill()


def lines(desk) -> list[dict[str, bool]]:
    """Whether each account's line is up, by the desk's own record."""
    from interlock.records import Records

    with Records.open(desk.state) as records:
        return [{"line": line.is_up} for line in records.engine.latches.lines.values()]
