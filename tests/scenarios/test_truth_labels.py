"""What a label rests on: evidence with an age, and never a word of the configuration or a sign of life alone."""

from typing import Any

import pytest
from tests.scenarios.desk import Desk

from interlock.model.account import Truth, lane_truth
from interlock.model.ids import AccountName
from interlock.model.money import SECOND


def shown(desk: Desk) -> dict[str, str]:
    """The label of paper-a wherever it is shown."""
    answer: Any = desk.service._handlers(desk.built)["status"]({})
    status: Any = desk.run(answer)
    engine = desk.built.engine
    return {"board": desk.truth("paper-a"), "status": status["accounts"][0]["truth"], "lane": status["lanes"][0]["truth"],
            "gate": engine.views.truth(AccountName("paper-a"), desk.clock.now()).value}


@pytest.fixture
def desk(desk_of):
    desk = desk_of()
    desk.go(2)
    return desk


def test_a_venue_that_answers_is_named_everywhere(desk):
    assert set(shown(desk).values()) == {"paper_sim"}


def test_ten_seconds_after_the_venue_fell_silent_every_label_is_grey(desk):
    desk.paper.wire.silence()
    desk.go(9)
    assert shown(desk)["gate"] == "paper_sim", "one that answered lately is believed a while"

    desk.go(1)

    assert set(shown(desk).values()) == {"unknown"}
    desk.paper.wire.heal()
    desk.go(2)
    assert set(shown(desk).values()) == {"paper_sim"}


def test_labels_turn_grey_while_the_engine_hangs(desk):
    """Nobody's turn is needed for it: the label fades by the clock, for a status that is asked beside a loop that hangs."""
    desk.clock.set(desk.clock.now() + 11 * SECOND)

    found = shown(desk)

    assert (found["board"], found["status"], found["lane"]) == ("unknown", "unknown", "unknown")


def test_a_line_that_is_down_is_known_as_nothing_at_once(desk):
    desk.paper.wire.disconnect("cut")
    desk.go(1)

    assert set(shown(desk).values()) == {"unknown"}


def test_a_sign_of_life_names_no_account(desk_of):
    """Pongs alone, before the account was read, and for ever after: what kind of venue it is, only its answer about the account
    says."""
    desk = desk_of()
    line = desk.built.engine.latches.lines["paper-a"]
    line.environment = None

    desk.go(0.5)

    assert line.ts_proof is not None
    assert shown(desk)["gate"] == "unknown"


def test_no_paper_heartbeat_ever_becomes_a_live_connection(desk):
    desk.go(40)

    assert {shown(desk)[where] for where in ("board", "status", "gate")} == {"paper_sim"}
    assert Truth.BROKER_VERIFIED.value not in shown(desk).values()


@pytest.mark.parametrize(("labels", "label"), [
    (["paper_sim", "paper_sim"], "paper_sim"), (["paper_sim", "unknown"], "mixed"), (["broker_verified", "paper_sim"], "mixed"),
    (["unknown", "unknown"], "unknown"), ([], "unknown")])
def test_a_lane_is_what_all_its_accounts_are_or_mixed(labels, label):
    assert lane_truth(labels) == label
