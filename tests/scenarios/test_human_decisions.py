"""A person acts on what they were shown, or not at all: each halt has its own answer, and the second click is harmless."""

import pytest

from interlock.engine.questions import digest_of, positions_state
from interlock.errors import InputError
from interlock.model.command import (
    CommandGiven,
    Decide,
    Enable,
    Enabled,
    Flatten,
    Kill,
    Reconcile,
    Reconnect,
    RecordDrill,
    Release,
    Released,
)
from interlock.model.ids import AccountName, LaneName, StrategyName
from interlock.model.record import StrategyDisabled
from interlock.runtime.commands import give, open_questions, shown_positions

PHRASE = "RELEASE THE KILL"
A = AccountName("paper-a")


def release(desk, lane=None, account=None, seen=None):
    name = ".".join(["kill", *([f"lane.{lane}"] if lane else []), *([f"account.{account}"] if account else [])])
    name = "kill.all" if name == "kill" else name
    return desk.command(Release(PHRASE, lane, account, desk.seen(name) if seen is None else seen))


def test_two_kills_need_two_releases(desk_of):
    desk = desk_of()
    desk.command(Kill(why="one"))
    desk.command(Kill(why="two", account=A))
    assert {"kill.all", f"kill.account.{A}"} <= set(desk.questions())

    assert release(desk)["ok"]
    assert desk.built.engine.latches.killed_by("main", A), "the account's own kill stands"
    assert release(desk, account=A)["ok"]
    assert desk.built.engine.latches.killed_by("main", A) is None


def test_the_digest_of_one_kill_releases_no_other(desk_of):
    desk = desk_of()
    desk.command(Kill(why="news"))
    desk.command(Kill(why="news", lane=LaneName("main")))

    assert release(desk, seen=desk.seen("kill.lane.main"))["code"] == "command.state_moved"
    assert release(desk, lane="main", seen=desk.seen("kill.all"))["code"] == "command.state_moved"


def test_a_kill_given_again_makes_the_release_on_the_first_one_void(desk_of):
    desk = desk_of()
    desk.command(Kill(why="news"))
    seen = desk.seen("kill.all")
    desk.command(Kill(why="news"))

    told = release(desk, seen=seen)

    assert told["code"] == "command.state_moved"
    assert desk.seen("kill.all") in told["reason"]
    assert desk.entries(Released) == []


def test_a_position_that_is_gone_since_makes_the_release_void(desk_of):
    desk = desk_of()
    desk.post(desk.alert())
    desk.go(2)
    desk.command(Kill(why="news"))
    seen = desk.seen("kill.all")
    desk.post(desk.alert("close"))
    desk.go(2)

    assert release(desk, seen=seen)["code"] == "command.state_moved"
    assert release(desk)["ok"]


def test_what_a_kill_shows_does_not_change_by_time_and_price(desk_of):
    desk = desk_of()
    desk.post(desk.alert())
    desk.go(2)
    desk.command(Kill(why="news"))
    seen = desk.seen("kill.all")
    desk.quote("MES", "4551")
    desk.go(61)

    assert desk.seen("kill.all") == seen
    assert release(desk, seen=seen)["ok"]


def test_the_second_click_is_refused_and_changes_nothing(desk_of):
    desk = desk_of()
    desk.command(Kill(why="news"))
    seen = desk.seen("kill.all")
    assert release(desk, seen=seen)["ok"]
    epoch = desk.built.engine.kill_epoch

    assert release(desk, seen=seen)["code"] == "command.not_killed"
    assert desk.built.engine.kill_epoch == epoch
    assert len(desk.entries(Released)) == 1


@pytest.mark.parametrize(("command", "code"), [
    (Release(PHRASE), "command.not_killed"), (Decide("drift.paper-a", "abort", "x"), "command.no_question"),
    (Enable("strategy.main.demo", "x"), "command.not_latched"), (Enable("offline.paper-a"), "command.not_latched"),
    (Flatten("why", account=AccountName("nobody")), "command.unknown_account"),
    (Flatten("why", instrument="XX"), "command.unknown_instrument"),
    (Release(PHRASE, lane=LaneName("nowhere")), "command.unknown_lane")])
def test_what_nothing_waits_for_is_refused(desk_of, command, code):
    assert desk_of().command(command)["code"] == code


def test_a_kill_is_released_and_neither_decided_nor_enabled(desk_of):
    desk = desk_of()
    desk.command(Kill(why="news"))
    seen = desk.seen("kill.all")

    assert desk.command(Decide("kill.all", "release", seen))["code"] == "command.answer"
    assert desk.command(Enable("kill.all", seen))["code"] == "command.not_latched"
    assert desk.built.engine.latches.killed_by("main", A)


def test_a_flatten_carries_the_positions_it_was_decided_on(desk_of):
    desk = desk_of()
    desk.post(desk.alert())
    desk.go(2)
    shown = positions_state(desk.built.engine, A)
    assert shown == (("position.paper-a.MES", "1", "1"),)

    assert desk.command(Flatten("enough", account=A))["code"] == "command.unseen"
    assert desk.command(Flatten("enough", account=A, seen=digest_of([])))["code"] == "command.state_moved"
    assert desk.command(Flatten("enough", account=A, seen=digest_of(shown)))["ok"]


def test_a_strategy_that_broke_is_asked_again_once_a_person_has_enabled_it(desk_of):
    desk = desk_of()
    desk.built.desk.turn(StrategyDisabled(LaneName("main"), StrategyName("opening_drive"), "ZeroDivisionError"))
    desk.go(1)
    asked = desk.questions()["strategy.main.opening_drive"]
    assert asked.state[1] == ("strategy.broke", "ZeroDivisionError", "")
    assert desk.built.engine.decisions.disabled
    assert any(alarm["key"] == asked.id for alarm in desk.board()["alarms"])

    assert desk.command(Enable(asked.id, asked.digest))["ok"]
    desk.go(1)

    assert not desk.built.engine.decisions.disabled
    assert desk.built.engine.latches.strategy_off("main", "opening_drive") is None
    assert not any(alarm["key"] == asked.id for alarm in desk.board()["alarms"])
    assert desk.command(Enable(asked.id, asked.digest))["code"] == "command.not_latched"
    assert [each.latch for each in desk.entries(Enabled)] == [asked.id]


def test_every_act_stands_in_the_journal_with_who_where_and_what_they_had_seen(desk_of):
    desk = desk_of()
    desk.command(Kill(why="news"))
    seen = desk.seen("kill.all")
    release(desk, seen=seen)

    given = [each for each in desk.entries(CommandGiven) if isinstance(each.command, Release)]
    assert [(each.who, each.origin, each.command.seen) for each in given] == [("test", "cli", seen)]


def test_the_page_shows_what_waits(desk_of):
    desk = desk_of()
    desk.command(Kill(why="news"))

    shown = {row["id"]: row for row in desk.board()["questions"]}
    assert shown["kill.all"]["digest"] == desk.seen("kill.all")
    assert shown["kill.all"]["answers"] == ["release"]


def test_a_drill_is_recorded(desk_of):
    assert desk_of().command(RecordDrill(5, 5, 12.5))["confirmed_ms"] == 12.5


def test_without_an_engine_a_kill_and_its_release_are_written_by_hand_and_the_rest_says_that_one_must_run(desk_of):
    desk = desk_of()
    directory = desk.directory
    desk.crash()

    assert give(directory, Kill(why="nobody is there"))["running"] is False
    waiting = {each.id: each for each in open_questions(directory)}
    assert set(waiting) == {"kill.all"}
    with pytest.raises(InputError, match=r"command\.unseen"):
        give(directory, Release(PHRASE))
    for command in (Flatten("why", seen="x"), Reconcile(), Decide("drift.paper-a", "abort", "x"), Enable("x", "x"),
                    Reconnect(A, "x")):
        with pytest.raises(InputError, match=r"command\.needs_engine"):
            give(directory, command)
    assert give(directory, Release(PHRASE, seen=waiting["kill.all"].digest))["killed"] is False
    assert open_questions(directory) == ()
    assert shown_positions(directory, None, None)["digest"] == digest_of([])
