"""The day's end: no entry after the cut-off, flat before the session ends, or an alarm that goes on until it is so."""

from datetime import UTC, datetime

import pytest
from tests.scenarios.desk import NOW, Desk, HandClock, configured, fault
from tests.scenarios.test_when_things_go_wrong import BOTH, PROTECTED, alarms, by_hand

from interlock.config import build
from interlock.model.command import Kill
from interlock.model.ids import AccountName
from interlock.model.money import MINUTE, SECOND
from interlock.model.record import Alarm, Attempt, ExitBegun
from interlock.model.signal import Side
from interlock.model.verdict import Refuse, Verdict

A, B = (AccountName(name) for name in BOTH)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


CLOSE = at("2023-11-21T22:00:00")              # 16:00 in Chicago
DAYS = {
    "ordinary": ("2023-11-21T15:10:00", "2023-11-21T22:00:00"),
    "half day": ("2023-11-24T15:10:00", "2023-11-24T18:15:00"),
    "summer time, last day": ("2023-11-03T15:10:00", "2023-11-03T21:00:00"),
    "winter time, first day": ("2023-11-06T15:10:00", "2023-11-06T22:00:00"),
    "winter time, last day": ("2024-03-08T15:10:00", "2024-03-08T22:00:00"),
    "summer time, first day": ("2024-03-11T15:10:00", "2024-03-11T21:00:00"),
}


@pytest.fixture(autouse=True)
def hours(monkeypatch):
    """The exchange's own sessions, instead of those of a market that never closes."""
    tables = build.session_tables
    monkeypatch.setattr(build, "session_tables", lambda config, *, is_simulated: tables(config, is_simulated=False))


def entered(desk_of, text=None, **more) -> Desk:
    desk: Desk = desk_of(text, **more)
    desk.post(desk.alert())
    desk.go(3)
    assert desk.positions() == PROTECTED
    return desk


def jump(desk, ts: int) -> None:
    """Nothing happens until then."""
    desk.clock.set(ts)
    desk.go(1)


def sent_after(desk, ts: int) -> list[Attempt]:
    from interlock.records import Records
    with Records.open(desk.directory) as records:
        return [entry.payload for entry in records.entries() if isinstance(entry.payload, Attempt) and entry.ts >= ts]


@pytest.mark.parametrize("day", list(DAYS))
def test_a_position_is_out_before_its_session_ends(desk_of, day):
    start, close = (at(text) for text in DAYS[day])
    desk = entered(desk_of, clock=HandClock(start))

    jump(desk, close - 2 * MINUTE - 2 * SECOND)
    assert desk.positions() == PROTECTED
    desk.go(10)

    assert desk.booked() == {}
    assert {row["state"] for row in desk.orders()} == {"closed"}
    exits = desk.entries(ExitBegun)
    assert {each.account for each in exits} == set(BOTH)
    assert all("hard close" in each.asked.intent.why for each in exits)
    assert not [key for key in alarms(desk) if key.startswith("not_flat.")]


def test_nothing_is_entered_after_the_cut_off(desk_of):
    desk = desk_of()
    jump(desk, CLOSE - 10 * MINUTE)

    reply = desk.post(desk.alert())
    desk.go(3)

    refused = [answer.verdict.code for verdict in desk.entries(Verdict) if verdict.signal_id == reply.signal_id
               for answer in verdict.answers if answer.check == "guard.1_time_window" and isinstance(answer.verdict, Refuse)]
    assert refused == ["near_flat", "near_flat"]
    assert desk.order_bytes == 0


def test_a_lane_that_holds_over_night_is_left_alone(desk_of):
    desk = entered(desk_of, configured(replace={"[lanes.main]": "[lanes.main]\nholds_overnight = true"}))

    jump(desk, CLOSE - MINUTE)
    desk.go(5)

    assert desk.positions() == PROTECTED


def test_the_buffer_is_configured_and_checked(desk_of):
    from interlock.errors import ConfigError
    desk = entered(desk_of, configured(more="hard_close_buffer_minutes = 5\n"))

    jump(desk, CLOSE - 5 * MINUTE)
    desk.go(5)

    assert desk.booked() == {}
    for number in (0, 31, 10):
        with pytest.raises(ConfigError, match="hard_close_buffer_minutes"):
            desk_of(configured(more=f"hard_close_buffer_minutes = {number}\n"), name=f"other{number}")


def test_while_killed_nothing_is_sent_and_a_person_is_called_from_the_cut_off_on(desk_of):
    desk = entered(desk_of)
    desk.command(Kill(why="news"))
    desk.go(2)

    jump(desk, CLOSE - 10 * MINUTE)
    called = [alarm for alarm in desk.entries(Alarm) if alarm.key == f"not_flat.{A}.MES"]
    assert len(called) == 1
    assert f"interlock flatten --account {A} --instrument MES" in called[0].text
    jump(desk, CLOSE - MINUTE)
    jump(desk, CLOSE + 5 * MINUTE)

    assert desk.positions() == PROTECTED
    assert sent_after(desk, NOW + MINUTE) == []
    assert f"not_flat.{A}.MES#2" in alarms(desk), "and called again while it is so"


def test_what_the_broker_shows_otherwise_is_a_persons_to_close(desk_of):
    desk = entered(desk_of, configured(more=fault("fill", "drop_report", nth=3)))
    by_hand(desk, A, Side.BUY)
    desk.go(3)

    jump(desk, CLOSE - 2 * MINUTE)
    desk.go(10)

    assert desk.booked() == {(A, "MES"): "2"}, "the other account is out"
    assert f"not_flat.{A}.MES" in alarms(desk)


def test_without_quotes_a_person_is_called(desk_of):
    desk = entered(desk_of)

    desk.clock.set(CLOSE - 2 * MINUTE)
    desk.go(5, quotes=False)
    assert desk.positions() == PROTECTED
    assert f"not_flat.{A}.MES" in alarms(desk)
    desk.go(5)

    assert desk.booked() == {}, "a quote has come, and there was still time"


def test_a_restart_after_the_close_calls_a_person_and_sends_nothing(desk_of):
    desk = entered(desk_of)
    desk.crash()
    desk.clock.set(CLOSE + 2 * MINUTE)

    desk = desk.again()
    desk.go(10)

    assert set(desk.booked()) == {(A, "MES"), (B, "MES")}
    assert f"not_flat.{A}.MES" in alarms(desk)
    assert sent_after(desk, CLOSE) == []
    desk.crash()
