"""`interlock-kill` while the engine hangs, while its disk is full, and while there is none."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.process.desk import Desk, free_ports, interlock
from tests.process.namespace import small_disk
from tests.process.venue import VenueProcess, config_at, desk_at, go_on, kill_command, stop, wait_until

from interlock.records import Records
from interlock.storage.journal import verify
from interlock.storage.lease import read_record

pytestmark = pytest.mark.process

FAR = "15000"


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


def rows(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["account"]: row for row in answer["accounts"]}


def held(venue: VenueProcess) -> dict[str, list[Any]]:
    return {account: list(read.positions) for account, read in venue.at("flatten").reads().items()}


def test_a_hung_engine_is_fenced_its_orders_cancelled_and_one_account_closed(desk, venue):
    desk.start()
    assert desk.alert("demo", "buy")
    wait_until(lambda: all(held(venue).values()), 10, "both entries fill")
    venue.at().place("far", "buy", "1", limit=FAR)
    stop(desk)

    status, answer, said = kill_command(desk.state, "--yes-flatten", "paper-a", "--why", "it hangs")

    assert status == 0, said
    assert answer["engine_was_holding"] is True
    flat, kept = rows(answer)["paper-a"], rows(answer)["paper-b"]
    assert "far" in flat["cancelled"]
    assert (flat["result"], flat["clean"], flat["positions"]) == ("flat", True, [])
    assert kept["result"] is None
    assert len(kept["positions"]) == 1
    assert not held(venue)["paper-a"]
    assert held(venue)["paper-b"], "what nobody asked to close stays, with its stop"
    assert [order.is_protective for order in venue.at("flatten").read("paper-b").orders].count(True) == 1
    assert "trade" in venue.arrived()
    assert venue.arrived()["flatten"]["place"]["messages"] == 1
    record = read_record(desk.state)
    assert record is not None
    assert record.epoch == answer["epoch"] == 2

    journal = Path(answer["journal"])
    assert journal.parent != desk.state
    assert verify(journal).ok

    before = venue.order_bytes()
    go_on(desk)
    assert desk.dies_within(10)
    assert venue.order_bytes() == before


def test_the_next_start_is_killed_and_asks_about_what_has_moved(desk, venue):
    desk.start()
    assert desk.alert("demo", "buy")
    wait_until(lambda: all(held(venue).values()), 10, "both entries fill")
    desk.kill()
    status, answer, said = kill_command(desk.state, "--yes-flatten", "paper-a", "--yes-flatten", "paper-b")
    assert status == 0, said
    assert answer["engine_was_holding"] is False

    desk.start()

    assert json.loads(interlock("status", "--state", desk.state, "--json").stdout)["killed"] is True
    assert not (desk.state / "rescued.json").exists(), "the note has become an entry"
    before = venue.order_bytes()
    desk.alert("second", "buy")
    with Records.open(desk.state) as records:
        given = [entry["payload"] for entry in records.tail(2000, "command_given")]
    assert [command["origin"] for command in given] == ["interlock-kill"]
    assert venue.order_bytes() == before


def test_a_full_disk_keeps_neither_the_fence_nor_the_flatten_from_being_made(venue, tmp_path):
    with small_disk(tmp_path / "small", "24m") as disk:
        made = desk_at(tmp_path / "state", venue)
        disk.run(f"cp -a {made.state}/. {disk.path}")
        ports = free_ports(2)
        desk = Desk(disk.path, (ports[0], ports[1]), disk.prefix)
        desk.start()
        outer = Desk(disk.outside, (desk.port, desk.hook_port))
        try:
            assert outer.alert("demo", "buy")
            wait_until(lambda: all(held(venue).values()), 10, "both entries fill")
            stop(desk)
            disk.fill()

            status, answer, said = kill_command(disk.path, "--journal", str(disk.path / "rescue"), "--yes-flatten", "paper-a",
                                                "--yes-flatten", "paper-b", prefix=disk.prefix)

            assert status == 0, said
            assert answer["epoch"] == 2
            assert {row["result"] for row in answer["accounts"]} == {"flat"}
            assert held(venue) == {"paper-a": [], "paper-b": []}
            disk.run(f"cp -a {disk.path}/rescue {tmp_path}/read")
            assert verify(tmp_path / "read" / "rescue.db").ok
        finally:
            go_on(desk)
            desk.kill()


def test_without_a_fence_it_cancels_and_closes_nothing(desk, venue):
    venue.at().place("entry", "buy", "1")
    venue.at().place("far", "buy", "1", limit=FAR)
    wait_until(lambda: held(venue)["paper-a"], 10, "the entry fills")
    (desk.state / "lease.json").write_text("{")                # cannot be read, so nobody can say what epoch is next

    status, answer, said = kill_command(desk.state, "--yes-flatten", "paper-a")

    assert status == 3
    assert answer["epoch"] is None
    assert "[rescue.no_fence]" in said
    assert rows(answer)["paper-a"]["cancelled"] == ["far"]
    assert rows(answer)["paper-a"]["result"] == "unknown"
    assert [position.quantity for position in held(venue)["paper-a"]] == [Decimal(1)]
    assert "place" not in venue.arrived().get("flatten", {})


def test_without_a_journal_it_cancels_and_closes_nothing(desk, venue, tmp_path):
    venue.at().place("entry", "buy", "1")
    venue.at().place("far", "buy", "1", limit=FAR)
    wait_until(lambda: held(venue)["paper-a"], 10, "the entry fills")
    (tmp_path / "file").write_text("no directory")

    status, answer, said = kill_command(desk.state, "--journal", str(tmp_path / "file" / "journal"), "--yes-flatten", "paper-a")

    assert status == 3
    assert answer["journal"] is None
    assert "[rescue.no_journal]" in said
    assert rows(answer)["paper-a"]["cancelled"] == ["far"]
    assert held(venue)["paper-a"]


def test_nobody_at_a_terminal_is_no_confirmation(desk, venue):
    venue.at().place("entry", "buy", "1")
    wait_until(lambda: held(venue)["paper-a"], 10, "the entry fills")

    status, answer, said = kill_command(desk.state, "--flatten")

    assert status == 1
    assert "[rescue.not_confirmed]" in said
    assert rows(answer)["paper-a"]["result"] == "residual"
    assert rows(answer)["paper-b"]["result"] == "flat"
    assert held(venue)["paper-a"]


def test_an_account_that_is_not_configured_is_named(desk):
    status, answer, said = kill_command(desk.state, "--yes-flatten", "paper-x")

    assert (status, answer) == (2, {})
    assert "[rescue.account_unknown]" in said


def test_a_venue_that_is_gone_is_not_flat(desk, venue):
    venue.kill()

    status, answer, _ = kill_command(desk.state, "--yes-flatten", "paper-a")

    assert status == 3
    assert rows(answer)["paper-a"]["result"] == "unknown"
    assert "rescue.unreachable" in [why["code"] for why in rows(answer)["paper-a"]["why"]]


def test_the_venue_inside_the_engine_is_explained(tmp_path):
    state = tmp_path / "state"
    assert interlock("init", "--state", state).returncode == 0

    status, answer, _ = kill_command(state)

    assert status == 3
    assert all(row["why"][0]["code"] == "rescue.venue_inside" for row in answer["accounts"])
    assert answer["epoch"] == 1, "the fence stands all the same"


def test_the_credential_of_the_rescue_is_its_own(desk, venue):
    """The engine's is not needed, and not used."""
    secrets = desk.state / "secrets.toml"
    secrets.write_text("".join(line for line in secrets.read_text().splitlines(keepends=True) if "venue_trade" not in line))

    status, answer, said = kill_command(desk.state)

    assert status == 0, said
    assert rows(answer)["paper-a"]["clean"] is True
    assert "trade" not in venue.arrived()
    assert "may do more" not in said
    assert config_at(1).count("rescue_token") == 1
