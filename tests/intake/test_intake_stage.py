"""Repeats, fires, signal guards, and what survives a restart."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.intake.given import LANE, NOW, WINDOW, a_message, a_row, a_session, an_intake, code_of, received, rules, turn

from interlock.errors import ConfigError, InvariantBroken, StorageError
from interlock.intake.guards import BUILT_IN, discover
from interlock.intake.memory import Memory, Original
from interlock.intake.rules import Refusal, Window
from interlock.model.entry import Payload
from interlock.model.ids import LaneName, SignalId
from interlock.model.money import MINUTE, SECOND
from interlock.model.signal import AlertAccepted, AlertDuplicate, AlertRefused


def bar(minute: int) -> str:
    return f"2024-06-03T{minute // 60:02}:{minute % 60:02}:00Z"


def test_the_same_bytes_four_times_are_one_signal():
    intake = an_intake()
    answers = [turn(intake, a_message(), NOW + n * 5 * SECOND) for n in range(4)]

    assert [code_of(answer) for answer in answers] == ["accepted"] + ["duplicate.bytes"] * 3
    assert len({answer.signal_id for answer in answers}) == 1


def test_a_resend_is_a_duplicate_even_when_it_has_grown_too_old_to_trade():
    intake = an_intake()
    turn(intake, a_message())

    assert code_of(turn(intake, a_message(), NOW + 31 * SECOND)) == "duplicate.bytes"
    assert code_of(turn(intake, a_message(), NOW + MINUTE)) == "duplicate.bytes"
    assert code_of(turn(intake, a_message(), NOW + MINUTE + 1)) == "age.late"


def test_a_resend_is_a_duplicate_even_when_no_fire_is_left():
    intake = an_intake(rules(a_row(fires=1)))
    turn(intake, a_message())

    assert code_of(turn(intake, a_message(), NOW + 5 * SECOND)) == "duplicate.bytes"


def test_a_refused_alert_is_judged_anew():
    intake = an_intake()

    assert code_of(turn(intake, a_message(), NOW - 5 * SECOND)) == "age.future"
    assert code_of(turn(intake, a_message())) == "accepted"


def test_the_same_id_is_a_duplicate_whatever_else_it_says():
    intake = an_intake()
    first = turn(intake, a_message(id="x"))
    again = turn(intake, a_message(id="x", action="sell", stop="5310", target="5290", bar_time=bar(100)))

    assert isinstance(again, AlertDuplicate)
    assert (again.code, again.signal_id) == ("duplicate.id", first.signal_id)


def test_the_same_meaning_in_other_words_is_a_duplicate():
    intake = an_intake()
    first = turn(intake, a_message())
    again = turn(intake, a_message(price="5300.50", id="other", sent_time="2024-06-03T14:30:01Z", note="second alert"))

    assert isinstance(again, AlertDuplicate)
    assert (again.code, again.signal_id) == ("duplicate.meaning", first.signal_id)


@pytest.mark.parametrize("changes", [
    {"bar_time": "2024-06-03T14:28:00Z"}, {"action": "sell", "stop": "5310", "target": "5290"}, {"action": "close"}])
def test_another_bar_or_action_is_another_signal(changes):
    intake = an_intake()
    first, second = turn(intake, a_message()), turn(intake, a_message(**changes))

    assert code_of(second) == "accepted"
    assert second.signal_id != first.signal_id


def test_lanes_do_not_share_their_memory():
    other = rules(name=LaneName("other"))
    intake = an_intake(rules(), other)

    assert [code_of(turn(intake, a_message(), lane=lane)) for lane in ("main", "other", "main", "other")] == [
        "accepted", "accepted", "duplicate.bytes", "duplicate.bytes"]


def test_a_fire_is_consumed_by_the_accepting_entry_and_by_nothing_else():
    intake = an_intake(rules(a_row(fires=2)))

    assert intake.fires_left() == {"main": {"demo": 2}}
    first = turn(intake, a_message())
    turn(intake, a_message())                                   # a duplicate
    turn(intake, a_message(stop=None))                          # a refusal
    assert isinstance(first, AlertAccepted)
    assert first.fires_left == 1
    assert intake.fires_left() == {"main": {"demo": 1}}
    assert code_of(turn(intake, a_message(bar_time=bar(1)))) == "accepted"
    assert code_of(turn(intake, a_message(bar_time=bar(2)))) == "fires.spent"
    assert intake.fires_left() == {"main": {"demo": 0}}


def test_what_limits_getting_in_does_not_keep_from_getting_out():
    intake = an_intake(rules(a_row(fires=0, window=Window(0, 1))), session=a_session(is_open=False))

    assert code_of(turn(intake, a_message())) == "window.closed"
    for action in ("close", "target"):
        answer = turn(intake, a_message(action=action, position=0))
        assert isinstance(answer, AlertAccepted)
        assert answer.fires_left == 0


def test_a_strategy_without_a_budget_has_none():
    intake = an_intake()
    answer = turn(intake, a_message())

    assert isinstance(answer, AlertAccepted)
    assert answer.fires_left is None
    assert intake.fires_left() == {"main": {"demo": None}}


@pytest.mark.parametrize(("session", "code"), [
    (a_session(is_known=False), "window.unknown"), (a_session(is_open=False), "window.closed"),
    (a_session(local_minute=8 * 60 + 29), "window.outside"), (a_session(local_minute=15 * 60), "window.outside"),
    (a_session(local_minute=8 * 60 + 30), "accepted"), (a_session(local_minute=15 * 60 - 1), "accepted")])
def test_the_session_window_is_half_open_and_in_exchange_time(session, code):
    assert code_of(turn(an_intake(rules(a_row(window=WINDOW)), session=session), a_message())) == code


@given(first=st.integers(0, 1439), end=st.integers(0, 1440), minute=st.integers(0, 1439))
def test_a_window_holds_the_minutes_that_a_clock_passes_from_first_to_end(first, end, minute):
    if first == end:
        return
    passed, at = set(), first
    while at != end % 1440:
        passed.add(at)
        at = (at + 1) % 1440

    assert Window(first, end).has(minute) == (minute in passed or (first == 0 and end == 1440))


@pytest.mark.parametrize(("guard", "code"), [
    (lambda asked: Refusal("moon.full", "it is full"), "guard.refused"),
    (lambda asked: Refusal("fires.spent", "a code that there is"), "fires.spent"),
    (lambda asked: 1 / 0, "guard.failed"),
    (lambda asked: True, "guard.failed"), (lambda asked: None, "accepted")])
def test_a_guard_of_another_package_is_asked_and_what_breaks_in_it_refuses(guard, code):
    intake = an_intake(rules(a_row(guards=("session_window", "theirs"))), guards={**BUILT_IN, "theirs": guard})

    assert code_of(turn(intake, a_message())) == code


def test_a_guard_that_there_is_not_is_refused_at_start():
    with pytest.raises(ConfigError, match="no signal guard is called moon"):
        an_intake(rules(a_row(guards=("moon",))))


def test_guards_are_found_by_entry_point(tmp_path, monkeypatch):
    package = tmp_path / "theirs-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[interlock.signal_guards]\ncalm = theirs:calm\n")
    (tmp_path / "theirs.py").write_text("def calm(asked):\n    return None\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    assert list(discover()) == ["session_window", "fire_count", "calm"]

    (package / "entry_points.txt").write_text("[interlock.signal_guards]\nfire_count = theirs:calm\n")
    with pytest.raises(ConfigError, match="in use already"):
        discover()


@pytest.mark.parametrize("rows", [
    (a_row(), a_row(symbol="MNQ")), (a_row(fires=1), a_row(script_id="demo-2", fires=2))])
def test_rows_that_contradict_each_other_are_refused_at_start(rows):
    with pytest.raises(ConfigError):
        rules(*rows).__post_init__()


@pytest.mark.parametrize(("first", "end"), [(-1, 5), (1440, 5), (5, 1441), (5, -1), (5, 5)])
def test_a_window_that_is_none_is_refused_at_start(first, end):
    with pytest.raises(ConfigError, match="window"):
        Window(first, end)


def test_a_negative_budget_is_refused_at_start():
    with pytest.raises(ConfigError, match="fires must be zero or more"):
        a_row(fires=-1).__post_init__()


def test_a_setting_that_no_guard_reads_is_refused_at_start():
    with pytest.raises(ConfigError, match="nothing reads it"):
        a_row(fires=3, guards=("session_window",)).__post_init__()


def test_signal_ids_differ_for_equal_alerts_and_not_between_runs():
    def run():
        intake = an_intake()
        return [turn(intake, a_message(stop=None)).signal_id for _ in range(3)]

    assert run() == run()
    assert len(set(run())) == 3


def test_an_acceptance_without_its_alert_is_our_own_mistake():
    answer = turn(an_intake(), a_message())

    with pytest.raises(InvariantBroken):
        an_intake().apply(answer, NOW)


def test_fires_and_repeats_survive_a_restart():
    lane = rules(a_row(fires=2))
    before = an_intake(lane)
    first = turn(before, a_message(id="x"))

    after = an_intake(lane)
    after.restore(before.snapshot())

    assert after.fires_left() == {"main": {"demo": 1}}
    assert [turn(after, message).signal_id for message in (
        a_message(id="x"), a_message(id="x", bar_time=bar(9)), a_message(id="y"))] == [first.signal_id] * 3
    assert after.snapshot() != before.snapshot(), "the count of received alerts went on"


def test_a_snapshot_that_is_none_is_refused():
    with pytest.raises(StorageError):
        an_intake().restore(b"\x93\x01")


def test_what_is_forgotten_is_refused_and_never_taken_for_new():
    intake = an_intake(remembered=2)
    for minute in (10, 11, 12):
        assert code_of(turn(intake, a_message(bar_time=bar(minute)))) == "accepted"

    assert code_of(turn(intake, a_message(bar_time=bar(10), note="again"))) == "duplicate.unknown"
    assert code_of(turn(intake, a_message(bar_time=bar(9)))) == "duplicate.unknown"
    assert code_of(turn(intake, a_message(bar_time=bar(11), note="again"))) == "duplicate.meaning"
    assert code_of(turn(intake, a_message(bar_time=bar(13)))) == "accepted"


def test_the_memory_is_bounded():
    memory = Memory(5)
    for n in range(1000):
        memory.add(Original(SignalId(f"s{n}"), LANE, f"h{n}", "demo", "MES", "buy", n, f"i{n}", NOW))

    assert len(memory) == 5
    indexes = (memory._by_bytes, memory._by_id, memory._by_meaning, memory._forgotten)
    assert [len(index) for index in indexes] == [5, 5, 5, 1]


MESSAGES = st.builds(
    a_message,
    action=st.sampled_from(["buy", "buy", "sell", "close"]), bar_time=st.sampled_from([bar(n) for n in range(4)]),
    id=st.sampled_from([None, None, "a", "b"]), secret=st.sampled_from(["hunter2-hunter2-hunter2"] * 5 + ["no"]),
    stop=st.sampled_from(["5290", "5310", None]), target=st.none(), note=st.sampled_from([None, "1"]))


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(MESSAGES, st.integers(0, 20)), max_size=30), cut=st.integers(0, 30))
def test_a_restart_at_any_turn_changes_no_later_answer(steps, cut):
    """One stage runs through; another restores a snapshot at `cut`; a third folds the record and decides nothing."""
    lane = rules(a_row(fires=6))
    whole, record, snapshot = an_intake(lane, remembered=4), [], b""
    now, answers = NOW, []
    for n, (message, wait) in enumerate(steps):
        if n == cut:
            snapshot = whole.snapshot()
        now += wait * SECOND // 10
        alert = received(message, ts=now)
        answers.append(turn(whole, alert, now))
        record.append((alert, answers[-1], now))

    folded = an_intake(lane, remembered=4)
    for *payloads, ts in record:
        for payload in payloads:
            folded.apply(msgspec.msgpack.decode(msgspec.msgpack.encode(payload), type=Payload), ts)
    assert folded.snapshot() == whole.snapshot()

    if snapshot:
        restored = an_intake(lane, remembered=4)
        restored.restore(snapshot)
        for alert, answer, ts in record[cut:]:
            assert turn(restored, alert, ts) == answer
        assert restored.snapshot() == whole.snapshot()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(MESSAGES, st.integers(0, 400)), max_size=30))
def test_no_meaning_is_ever_accepted_twice(steps):
    intake, now, seen = an_intake(remembered=3), NOW, []
    for message, wait in steps:
        now += wait * SECOND // 100
        answer = turn(intake, message, now)
        if isinstance(answer, AlertAccepted):
            seen.append((answer.alert.action, answer.alert.bar_time))
        elif isinstance(answer, AlertRefused):
            assert answer.http_status == (401 if answer.code.startswith("secret.") else 422)

    assert len(seen) == len(set(seen))
