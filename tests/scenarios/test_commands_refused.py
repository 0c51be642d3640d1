"""Commands that are refused, and why: by the door that the control socket and the page have, and without an engine."""

import pytest
from tests.scenarios.desk import Desk, configured, fault

from interlock.engine.questions import question, questions
from interlock.errors import InputError
from interlock.model.clearance import Clearance
from interlock.model.command import (
    RELEASE_PHRASE,
    CommandGiven,
    ConfirmAccount,
    Decide,
    DisableAccount,
    Enable,
    Flatten,
    Kill,
    Killed,
    Reconcile,
    Reconnect,
    Release,
)
from interlock.model.ids import AccountName, LaneName
from interlock.model.record import AccountFrozen, Attempt
from interlock.model.report import LineChanged, WriteRefused
from interlock.runtime.commands import give

A = AccountName("paper-a")


@pytest.mark.parametrize(("command", "code"), [
    (Kill(why="x", account=AccountName("nobody")), "command.unknown_account"),
    (Kill(why="x", lane=LaneName("nowhere")), "command.unknown_lane"),
    (Kill(why="x", scope="half"), "command.scope"),
    (Release(phrase=RELEASE_PHRASE), "command.not_killed"),
    (Flatten(why="x", instrument="NONE"), "command.unknown_instrument"),
    (Decide("drift.paper-a", "abort", "0" * 16), "command.no_question"),
    (Enable("loss.paper-a", "0" * 16), "command.not_latched"),
    (Reconnect(A, "0" * 16), "command.line_up"),
    (ConfirmAccount(A, "P-1", "0" * 16), "confirm.not_live"),
])
def test_what_cannot_be_done_is_refused(desk_of, command, code):
    assert desk_of().command(command)["code"] == code


def test_what_has_moved_since_it_was_shown_is_refused(desk_of):
    desk = desk_of()
    desk.command(Kill(why="x"))

    assert desk.command(Release(phrase=RELEASE_PHRASE, seen="0" * 16))["code"] == "command.state_moved"


def test_a_question_takes_its_own_answers_alone(desk_of):
    desk = desk_of()
    desk.command(Kill(why="x"))
    asked = questions(desk.built.engine)[0]
    assert desk.command(Decide(asked.id, "adopt-broker", asked.digest))["code"] == "command.answer"


def test_a_line_that_is_down_answers_no_query_and_is_connected_anew_once(desk_of):
    desk: Desk = desk_of()
    engine, now = desk.built.engine, desk.clock.now()

    def told(command):
        given = CommandGiven(command, "test", "cli", now)
        return engine.outcome(given, engine.step(now, given))["refused"]

    engine.step(now, LineChanged(A, False, 1, "the test"))
    assert told(Reconcile(A)) == "command.not_ready"
    line = question(engine, f"line.{A}")
    assert line is not None
    engine.step(now, CommandGiven(Reconnect(A, line.digest), "test", "cli", now))
    assert told(Reconnect(A, line.digest)) == "command.connecting"


def test_without_an_engine_nobody_can_be_asked(tmp_path):
    Desk(tmp_path / "state").stop()

    with pytest.raises(InputError, match=r"command\.needs_engine"):
        give(tmp_path / "state", Reconcile())
    with pytest.raises(InputError, match=r"confirm\.no_engine|command\.needs_engine"):
        give(tmp_path / "state", ConfirmAccount(A, "P-1", "0" * 16))


def test_a_command_without_an_outcome_is_told_so(desk_of):
    desk = desk_of()

    assert desk.built.engine.outcome(CommandGiven(Reconcile(), "test", "cli", 1), [])["refused"] == "command.no_answer"


def test_an_order_that_never_left_says_so(desk_of):
    """The line is gone and nobody has told the desk."""
    desk = desk_of()
    desk.paper.wire.is_up = False
    desk.post(desk.alert())
    desk.go(1)

    assert {refused.code for refused in desk.entries(WriteRefused)} == {"wire.not_sent"}
    assert desk.order_bytes == 0



def test_more_filled_than_was_ordered_freezes_the_account_and_halts_the_desk(desk_of):
    desk = desk_of(configured(more=fault("fill", "overfill", fraction="1")))
    desk.post(desk.alert())
    desk.go(3)

    assert {frozen.code for frozen in desk.entries(AccountFrozen)} >= {"overfill"}
    assert desk.entries(Killed), "more out than in is for a person"


def test_an_entry_whose_account_was_disabled_between_clearance_and_write_is_not_written(desk_of):
    desk = desk_of()
    acts: list[tuple[Attempt, Clearance]] = []
    real, desk.built.desk._place = desk.built.desk._place, _held(acts)
    signal = desk.post(desk.alert()).signal_id
    desk.built.desk._place = real
    assert desk.codes(signal) == {"paper-a": "cleared", "paper-b": "cleared"}
    desk.command(DisableAccount(account=AccountName("paper-a"), why="a holiday"))

    for attempt, clearance in acts:
        desk.run(real(attempt, clearance))
    desk.go(2)

    (refused,) = desk.entries(WriteRefused)
    assert (refused.account, refused.code) == ("paper-a", "order.withdrawn")
    assert list(desk.booked()) == [("paper-b", "MES")]


def _held(acts: list[tuple[Attempt, Clearance]]):
    """In place of the write: keep what would be written."""
    async def hold(attempt: Attempt, clearance: Clearance) -> None:
        acts.append((attempt, clearance))

    return hold
