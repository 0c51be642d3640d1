"""Health tiers through the wiring that `run` builds: what raises them, what they stop, and how a desk comes back."""

import pytest
from tests.scenarios.desk import Desk

from interlock.model.command import Enable, Kill, Release
from interlock.model.money import SECOND
from interlock.model.record import Alarm, CancelRequested, Reading, TierChanged


def tier(desk: Desk) -> int:
    return desk.built.engine.health.tier("main", "paper-a")[0]


def answers(desk: Desk) -> set[str]:
    """What the gate says to a fresh alert."""
    reply = desk.post(desk.alert())
    desk.go(1)
    return set(desk.codes(reply.signal_id).values())


def enabled(desk: Desk, latch: str) -> dict[str, object]:
    from interlock.engine.questions import question

    asked = question(desk.built.engine, latch)
    return desk.command(Enable(latch, asked.digest if asked is not None else ""))


@pytest.fixture
def desk(desk_of):
    desk = desk_of()
    desk.go(2)
    return desk


def test_a_market_that_falls_silent_stops_entries_and_comes_back_step_by_step(desk):
    assert tier(desk) == 0

    desk.go(12, quotes=False)
    assert tier(desk) == 3
    desk.go(1)
    assert answers(desk) == {"order.tier"}

    desk.go(57)
    assert tier(desk) == 3
    desk.go(5)
    assert tier(desk) == 2
    desk.go(120)
    assert tier(desk) == 0
    assert answers(desk) == {"cleared"}


def test_without_quotes_and_with_risk_the_lane_is_halted_until_a_person_enables_it(desk):
    desk.post(desk.alert())
    desk.go(2)
    held, sent = desk.positions(), desk.order_bytes

    desk.go(12, quotes=False)

    assert tier(desk) == 4
    assert desk.positions() == held, "nothing is closed by itself"
    assert desk.order_bytes == sent
    alarm, = (each for each in desk.entries(Alarm) if each.key == "halt.lane.main")
    assert "interlock flatten" in alarm.text
    assert desk.built.engine.health.can_enable("tier4.lane.main") is not None, "its cause stands"
    assert "refused" in enabled(desk, "tier4.lane.main")

    desk.go(120)
    assert tier(desk) == 4, "however well it sees, only a person ends it"
    assert desk.built.engine.health.can_enable("tier4.lane.main") is None
    assert enabled(desk, "tier4.lane.main")["enabled"] is True
    assert tier(desk) == 3, "and by one step"


def test_a_halt_survives_the_restart(desk):
    desk.post(desk.alert())
    desk.go(2)
    desk.go(12, quotes=False)
    desk.crash()

    again = desk.again()

    assert tier(again) == 4
    again.go(70)
    assert tier(again) == 4
    again.stop()


def test_an_entry_that_still_rests_is_cancelled_by_the_halt(desk):
    desk.paper.wire.silence()          # the acknowledgements stay out, so the entry is still open
    desk.post(desk.alert())
    desk.go(1)

    desk.go(12, quotes=False)

    assert tier(desk) == 4
    assert [each.why for each in desk.entries(CancelRequested) if each.why.startswith("halt:")]


def test_a_silent_venue_degrades_its_accounts(desk):
    desk.paper.wire.silence()
    desk.go(7)

    assert desk.built.engine.health.tier("", "paper-a")[0] == 2
    desk.go(25)
    assert desk.built.engine.health.tier("", "paper-a")[0] == 3
    assert desk.built.engine.health.tier("main", "")[0] == 0, "the lane sees as well as before"


@pytest.mark.parametrize(("off", "expected"), [(200_000_000, 0), (300_000_000, 3), (-1_200_000_000, 4)])
def test_a_clock_that_cannot_be_believed(desk, off, expected):
    desk.clock._ahead = off
    desk.go(2)

    assert tier(desk) == expected
    if expected:
        reply = desk.post(desk.alert())
        desk.go(1)
        assert set(desk.codes(reply.signal_id).values()) == {"order.tier"}
        assert desk.built.engine.health.clock_offset() == off


def test_the_clock_is_measured_before_the_first_alert_and_stands_in_every_view(desk):
    desk.post(desk.alert())
    desk.go(1)

    assert [each.value for each in desk.entries(Reading) if each.name == "clock_offset"][:1] == [0.0]
    assert desk.built.engine.health.clock_offset() == 0


def test_nothing_is_entered_while_nobody_measures_the_clock(desk):
    desk.built.driver._next_clock = desk.clock.now() + 3_600 * SECOND
    desk.go(32)

    assert desk.built.engine.health.clock_offset() is None
    assert answers(desk) & {"input_missing.clock_offset", "order.tier"}
    assert "cleared" not in answers(desk)


def test_a_kill_is_shown_as_the_worst_tier_and_its_release_needs_no_second_word(desk):
    from interlock.engine.questions import kill_id, question

    desk.command(Kill(why="by hand"))
    assert desk.built.engine.health.shown(lane="main")[0] == 4
    assert not desk.entries(TierChanged)

    seen = question(desk.built.engine, kill_id(None, None))
    assert seen is not None
    desk.command(Release("RELEASE THE KILL", seen=seen.digest))
    desk.go(1)

    assert desk.built.engine.health.shown(lane="main")[0] == 0
    assert answers(desk) == {"cleared"}


def test_a_loop_that_did_not_come_round_is_told(desk):
    desk.built.driver._tell_gap(12 * SECOND)
    desk.go(1)

    assert tier(desk) == 3
    assert "did not come round" in "; ".join(desk.built.engine.health.tier("main", "paper-a")[1])


def test_status_shows_tiers_and_heartbeat(desk):
    desk.go(12, quotes=False)

    status = desk.run(desk.service._handlers(desk.built)["status"]({}))

    assert status["lanes"][0]["tier"] == 3
    assert any("no quote" in reason for reason in status["lanes"][0]["tier_reasons"])
    assert [account["tier"] for account in status["accounts"]] == [0, 0]
    assert status["heartbeat"]["state"] == "beating"
