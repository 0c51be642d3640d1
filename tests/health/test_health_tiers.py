"""Tiers: each trigger alone and in pairs, how they come back, and that doubt never improves one."""

from decimal import Decimal
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.health.rig import BEGIN, LANE, A, Rig

from interlock.health.table import BY_NAME, COMPONENTS, HALT, Vital, judge
from interlock.model.command import Enabled
from interlock.model.market import Provenance, Quote
from interlock.model.money import SECOND
from interlock.model.record import AccountFrozen, AccountThawed, Alarm, AlarmCleared, FallbackUsed, Reading, TierChanged
from interlock.model.report import AccountRead, LineChanged


def quiet(rig: Rig, seconds: int) -> None:
    rig.is_quoted = False
    rig.go(seconds)


def held(rig: Rig) -> None:
    rig.world.at_risk = {(LANE, A, "MES"): True}


def quiet_with_risk(rig: Rig, seconds: int) -> None:
    held(rig)
    quiet(rig, seconds)


def line_down(rig: Rig) -> None:
    rig.world.is_up = False
    rig.give(LineChanged(A, False, 1, "cut"))


def silent(rig: Rig, seconds: int) -> None:
    rig.is_proved = False
    rig.go(seconds)


def clock(rig: Rig, off: float) -> None:
    rig.off = off
    rig.give(Reading("clock_offset", "", off))


def degraded(rig: Rig) -> None:
    rig.world.bad = (Vital("degraded", 1.0, "bars, mean_r -0.4"),)
    rig.go(1)


TRIGGERS = {
    "no quote for 3 s": (lambda rig: quiet(rig, 3), 1),
    "no quote for 11 s": (lambda rig: quiet(rig, 11), 3),
    "no quote for 11 s with risk": (lambda rig: quiet_with_risk(rig, 11), 4),
    "the line is cut": (line_down, 3),
    "no sign of life for 6 s": (lambda rig: silent(rig, 6), 2),
    "no sign of life for 31 s": (lambda rig: silent(rig, 31), 3),
    "the clock is 0.3 s off": (lambda rig: clock(rig, 0.3), 3),
    "the clock is 1.1 s off": (lambda rig: clock(rig, -1.1), 4),
    "the clock is no number": (lambda rig: clock(rig, float("nan")), 0),       # for a minute: nobody has said anything yet
    "the loop hung for 3 s": (lambda rig: rig.give(Reading("loop_gap", "", 3.0)), 1),
    "the loop hung for 12 s": (lambda rig: rig.give(Reading("loop_gap", "", 12.0)), 3),
    "a source is degraded": (degraded, 3),
    "the broker differs": (lambda rig: rig.give(AccountFrozen(A, "drift", "MES: ours 0, theirs 1")), 4),
    "the day's limit is lost": (lambda rig: rig.give(AccountFrozen(A, "loss", "the day's result is -1000", "2023-11-14")), 4),
}


@pytest.mark.parametrize("name", TRIGGERS)
def test_each_trigger_alone(name):
    rig = Rig()
    assert rig.tier == 0

    act, tier = TRIGGERS[name]
    act(rig)

    assert rig.tier == tier, rig.reasons
    assert bool(rig.reasons) is bool(tier), "a tier says why"


@pytest.mark.parametrize(("first", "second"), list(combinations([name for name in TRIGGERS if "number" not in name], 2)))
def test_of_two_triggers_the_worse_counts(first, second):
    rig = Rig()

    TRIGGERS[first][0](rig)
    TRIGGERS[second][0](rig)

    assert rig.tier >= max(TRIGGERS[first][1], TRIGGERS[second][1])


def test_a_tier_worsens_at_once_and_improves_by_one_a_minute_of_better_readings():
    rig = Rig()
    quiet(rig, 11)
    assert rig.tier == 3

    rig.is_quoted = True
    rig.go(1)
    seen = []
    for _ in range(200):
        seen.append(rig.tier)
        rig.go(1)

    assert seen == [3] * 60 + [2] * 60 + [1] * 60 + [0] * 20
    assert [change[1:] for change in rig.changes()] == [(0, 1), (1, 3), (3, 2), (2, 1), (1, 0)]


def test_a_minute_that_is_interrupted_begins_anew():
    rig = Rig()
    quiet(rig, 11)
    rig.is_quoted = True
    rig.go(59)
    quiet(rig, 11)
    rig.is_quoted = True
    rig.go(59)

    assert rig.tier == 3


def test_readings_that_are_apart_are_no_minute_of_readings():
    rig = Rig()
    quiet(rig, 11)
    rig.is_quoted = True
    rig.go(30)

    rig.world.ts += 40 * SECOND        # the desk did not look
    rig.go(2)

    assert rig.tier == 3


def test_it_improves_only_down_to_what_the_readings_say():
    rig = Rig()
    quiet(rig, 11)
    rig.is_quoted = True
    rig.give(Reading("loop_gap", "", 3.0))
    rig.go(59)
    rig.give(Reading("loop_gap", "", 3.0))
    rig.go(59)
    rig.give(Reading("loop_gap", "", 3.0))
    rig.go(59)

    assert rig.tier == 1


def halted() -> Rig:
    rig = Rig()
    held(rig)
    quiet(rig, 11)
    assert rig.tier == HALT
    return rig


def test_the_worst_tier_waits_for_a_person_however_well_everything_is():
    rig = halted()
    rig.is_quoted = True

    rig.go(600)

    assert rig.tier == HALT


def test_a_person_ends_it_by_one_step():
    rig = halted()
    rig.is_quoted = True
    rig.go(5)

    rig.give(Enabled("tier4.lane.main"))

    assert rig.tier == 3
    rig.go(61)
    assert rig.tier == 2


def test_a_word_given_while_the_trigger_stands_is_void_later_too():
    rig = halted()

    rig.give(Enabled("tier4.lane.main"))
    rig.is_quoted = True
    rig.go(300)

    assert rig.tier == HALT


def test_a_word_for_another_scope_changes_nothing():
    rig = halted()
    rig.is_quoted = True
    rig.go(5)

    rig.give(Enabled("tier4.account.paper-a"))
    rig.give(Enabled("tier4.lane.other"))

    assert rig.tier == HALT


def test_a_halt_survives_a_restart():
    rig = halted()
    kept = rig.health.snapshot()
    other = Rig()

    other.health.restore(kept)
    other.go(120)

    assert other.tier == HALT


def test_what_has_a_latch_of_its_own_needs_no_second_word():
    rig = Rig()
    rig.give(AccountFrozen(A, "drift", "MES: ours 0, theirs 1"))
    assert rig.tier == HALT

    rig.give(AccountThawed(A, "drift"))

    assert rig.tier == 0
    assert not rig.changes(), "the decision about the drift was the person's word"


def test_a_closed_market_gives_no_quotes_and_nobody_minds():
    rig = Rig()
    held(rig)
    rig.world.is_open = False

    quiet(rig, 60)

    assert rig.tier == 0


def test_the_first_quote_of_a_session_is_waited_for_from_its_opening():
    rig = Rig()
    rig.world.is_open = False
    quiet(rig, 3_600)
    rig.world.is_open, rig.world.ts_open = True, rig.world.ts

    rig.go(2)
    assert rig.tier == 0
    rig.go(1)

    assert rig.tier == 1


def test_a_start_is_given_a_while_and_then_silence_counts():
    rig = Rig()
    rig.give(Reading("clock_offset", "", 0.0))
    fresh = Rig.__new__(Rig)
    Rig.__init__(fresh)
    fresh.health.kept.ts_market, fresh.is_quoted = None, False
    fresh.world.quotes = {}

    fresh.go(55)
    assert fresh.tier == 0
    fresh.go(30)

    assert fresh.tier == 3


def test_a_feed_that_jumps_in_its_own_time_stops_entries_for_its_minute():
    rig = Rig()
    now = rig.world.ts
    rig.health.on_market(Quote("MES", 1, 2, 1, 1, now, now, Provenance.LIVE), now)
    rig.health.on_market(Quote("MES", 1, 2, 1, 1, now - 1, now, Provenance.LIVE), now)

    rig.go(1)

    assert rig.tier == 3
    assert "jumped" in rig.reasons


def test_playback_judges_no_age_of_the_market():
    rig = Rig("playback")
    held(rig)

    quiet(rig, 600)

    assert rig.tier == 0
    assert rig.health.clock_offset() == 0


# -- the table

NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.none()


@given(st.sampled_from(COMPONENTS), st.floats(min_value=0, max_value=1e6), st.floats(min_value=0, max_value=1e6))
def test_a_larger_reading_is_never_better(component, one, other):
    small, large = sorted((one, other))

    assert component.tier_of(small) <= component.tier_of(large)


@given(st.lists(st.tuples(st.sampled_from(COMPONENTS), NUMBERS), max_size=6), NUMBERS, st.sampled_from(COMPONENTS))
def test_another_reading_never_improves_the_tier(found, value, component):
    vitals = tuple(Vital(each.name, number) for each, number in found)

    assert judge((*vitals, Vital(component.name, value)))[0] >= judge(vitals)[0]


@given(st.lists(st.tuples(st.sampled_from(COMPONENTS), st.floats(min_value=0, max_value=1e6)), min_size=1, max_size=6), st.data())
def test_a_reading_that_goes_missing_never_improves_the_tier_short_of_a_halt(found, data):
    vitals = [Vital(each.name, number) for each, number in found]
    at = data.draw(st.integers(0, len(vitals) - 1))
    before = judge(tuple(vitals))[0]

    for gone in (None, float("nan"), float("inf"), -float("inf")):
        vitals[at] = Vital(vitals[at].component, gone)
        assert judge(tuple(vitals))[0] >= min(before, 3)


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda each: each.name)
def test_a_missing_reading_is_as_bad_as_any_number_short_of_a_halt(component):
    assert component.missing >= max(tier for _, tier in component.steps if tier < HALT or len(component.steps) == 1)
    assert [above for above, _ in component.steps] == sorted(above for above, _ in component.steps)
    assert [tier for _, tier in component.steps] == sorted(tier for _, tier in component.steps)


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda each: each.name)
@pytest.mark.parametrize("gone", [None, float("nan")])
def test_each_input_removed_at_each_tier_never_improves_it(component, gone):
    """At every tier that stands, one input after the other is taken away for ten minutes, and the tier does not improve."""
    for tier in range(1, HALT + 1):
        rig = Rig()
        rig.give(TierChanged("lane.main" if component.scope == "lane" else "account.paper-a", tier, 0, ("so it is",), tier))
        rig.health.vitals = lambda *_, gone=gone: iter(  # type: ignore[method-assign]
            [(("lane.main" if component.scope == "lane" else "account.paper-a"), (Vital(component.name, gone),))])

        rig.go(600)

        assert rig.tier >= min(tier, component.missing)
        if component.missing >= tier:
            assert rig.tier >= tier


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["quote", "quiet", "cut", "join", "silent", "prove", "enable", "clock", "well"]),
                          st.integers(1, 70)), max_size=12))
def test_whatever_happens_a_tier_improves_by_one_step_after_a_minute_and_never_from_the_worst_alone(acts):
    rig, enabled = Rig(), False
    for act, seconds in acts:
        match act:
            case "quote" | "quiet":
                rig.is_quoted = act == "quote"
            case "cut":
                line_down(rig)
            case "join":
                rig.world.is_up = True
                rig.give(LineChanged(A, True, 2, ""))
            case "silent" | "prove":
                rig.is_proved = act == "prove"
            case "clock" | "well":
                rig.off = 1.5 if act == "clock" else 0.0
            case "enable":
                enabled = True
                rig.give(Enabled("tier4.lane.main"))
        rig.go(seconds)

    worst: dict[str, int] = {}
    for said in rig.said:
        if isinstance(said, TierChanged):
            assert said.before == worst.get(said.scope, 0)
            assert said.tier >= said.before - 1
            assert said.before < HALT or said.tier >= HALT or enabled
            worst[said.scope] = said.tier


# -- losses, warnings, alarms


def losses(rig: Rig) -> list[AccountFrozen]:
    return [said for said in rig.said if isinstance(said, AccountFrozen)]


@pytest.mark.parametrize(("result", "is_frozen"), [("-999.99", False), ("-1000", True), ("-1000.01", True), ("1000", False)])
def test_the_days_limit_is_reached_when_it_is_touched(result, is_frozen):
    rig = Rig()
    rig.world.figures = Decimal(result), Decimal(1000), "2023-11-14"

    rig.go(1)

    assert [(each.code, each.trade_date) for each in losses(rig)] == ([("loss", "2023-11-14")] if is_frozen else [])


@pytest.mark.parametrize("figures", [(None, Decimal(1000)), (Decimal("NaN"), Decimal(1000)), (Decimal(0), None),
                                     (Decimal(0), Decimal("NaN"))])
def test_a_figure_that_is_not_known_counts_as_lost(figures):
    rig = Rig()
    rig.world.figures = *figures, "2023-11-14"

    rig.go(1)

    found, = losses(rig)
    assert "not known" in found.why
    assert found.trade_date == "", "it holds for as long as its cause, and until a person has seen it"


def test_an_account_that_nobody_has_read_yet_has_lost_nothing():
    rig = Rig()
    rig.world.figures = None

    rig.go(5)

    assert not losses(rig)


def test_a_halt_by_loss_is_said_once_and_stays():
    rig = Rig()
    rig.world.figures = Decimal(-1000), Decimal(1000), "2023-11-14"
    rig.go(30)
    rig.world.figures = Decimal(0), Decimal(1000), "2023-11-15"
    rig.go(30)

    assert len(losses(rig)) == 1
    assert rig.tier == HALT


def read(left: int | None) -> AccountRead:
    return AccountRead(A, "1", Decimal(1), "USD", (), (), (), BEGIN, 1, day_trades_left=left)


@pytest.mark.parametrize(("left", "severity"), [(0, "warning"), (1, "warning"), (2, None), (None, None)])
def test_the_last_day_trades_are_warned_of_and_no_such_rule_is_no_error(left, severity):
    rig = Rig()

    rig.give(read(left))

    found = [said.severity for said in rig.said if isinstance(said, Alarm)]
    assert found == ([severity] if severity else [])
    rig.give(read(3))
    assert [said.key for said in rig.said if isinstance(said, AlarmCleared)] == (["day_trades.paper-a"] if severity else [])


@pytest.mark.parametrize(("severity", "alarms"), [("critical", 1), ("warning", 1), ("info", 0)])
def test_a_fallback_tells_a_person_after_one_use_and_once(severity, alarms):
    rig = Rig()

    rig.give(FallbackUsed("mirror.behind", severity, "disk full", 1))
    rig.give(FallbackUsed("mirror.behind", severity, "disk full", 2))

    assert len([said for said in rig.said if isinstance(said, Alarm)]) == alarms


def test_a_name_stands_once_in_the_table():
    assert len(BY_NAME) == len(COMPONENTS)
