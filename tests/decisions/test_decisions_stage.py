"""What strategies are told, when they are asked, and what becomes of their answers."""

# mypy: disable-error-code="arg-type,union-attr,func-returns-value,has-type"

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

import pytest
from tests.features.walks import MINUTE, bar_at, walk

from interlock.decisions.opening_drive import OpeningDrive
from interlock.decisions.stage import Decisions, Seat, flat
from interlock.decisions.strategy import FLAT, Needs, PositionView, Strategy
from interlock.errors import InputError
from interlock.features.table import FeatureTable
from interlock.model.ids import signal_id
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Quality
from interlock.model.record import StrategyDisabled
from interlock.model.signal import Enter, Exit, Held, Hold, Intent, Purpose, Side, Source
from interlock.model.view import Regime

ES = INSTRUMENTS["ES"]


@dataclass(frozen=True)
class Says(Strategy):
    """Answers what it was given, or raises it."""

    answer: object = Hold("nothing to do")
    needs: ClassVar[Needs] = Needs(bars="1m", features=("ema_2",))

    def decide(self, moment):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer(moment) if callable(self.answer) else self.answer


@dataclass(frozen=True)
class SaysInTrends(Says):
    needs: ClassVar[Needs] = Needs(bars="1m", features=("ema_2",), regime="structure")


def stage(strategy, name="s", lane="main"):
    return Decisions([Seat(lane, name, strategy, ES)])


def rows(n, names=("ema_2", "atr"), **bar):
    table = FeatureTable(ES, MINUTE, names)
    bars = [*walk(n - 1), bar_at(n - 1, 100, 101, 99, 100, **bar)]
    return [(each, table.step(each)) for each in bars]


def asked(decisions, bar_and_row, regimes=None, positions=flat):
    return list(decisions.decide(*bar_and_row, regimes or {}, positions, bar_and_row[0].ts_known))


def test_a_strategy_is_not_asked_before_its_columns_are_warm():
    first, second = rows(2)
    never = stage(Says(AssertionError("asked")))

    assert asked(never, first) == [Held("main", "s", "ES", "warming: ema_2")]
    assert isinstance(asked(never, second)[0], StrategyDisabled), "now it was asked"


@pytest.mark.parametrize(
    ("quality", "why"),
    [(Quality.SYNTH, "synthetic: ema_2"), (Quality.STALE, "stale: ema_2"), (Quality.MISSING, "missing: ema_2")],
)
def test_a_column_that_cannot_be_trusted_is_named(quality, why):
    assert asked(stage(Says()), rows(3, quality=quality)[-1])[0].why == why


def test_a_synthetic_bar_will_do_where_the_needs_say_so():
    @dataclass(frozen=True)
    class Patient(Says):
        needs: ClassVar[Needs] = Needs(bars="1m", features=("ema_2",), is_synth_ok=True)

    assert asked(stage(Patient()), rows(3, quality=Quality.SYNTH)[-1])[0].why == "nothing to do"
    assert asked(stage(Patient()), rows(3, quality=Quality.STALE)[-1])[0].why == "stale: ema_2"


def test_a_column_that_the_table_does_not_have_is_missing():
    assert asked(stage(Says()), rows(3, names=("atr",))[-1])[0].why == "missing: ema_2"


@pytest.mark.parametrize(
    "regimes", [{}, {"hmm": Regime("hmm", "calm", 1)}, {"structure": Regime("structure", "unknown", 1)}]
)
def test_a_needed_regime_that_is_not_known_is_waited_for(regimes):
    assert asked(stage(SaysInTrends()), rows(3)[-1], regimes)[0].why == "warming: regime structure"


def test_a_strategy_is_told_its_regime_its_position_and_the_time():
    told = []
    held = PositionView(Side.BUY, Decimal(2))
    last = rows(3)[-1]

    asked(
        stage(SaysInTrends(lambda moment: told.append(moment) or Hold("x"))),
        last,
        {"structure": Regime("structure", "trend_up", 1)},
        lambda lane, name, symbol: held,
    )

    assert (told[0].regime, told[0].position, told[0].now, told[0].close) == ("trend_up", held, last[0].ts_known, 25.0)


def test_only_bars_of_its_own_instrument_and_length_are_shown():
    bar, row = rows(3)[-1]
    decisions = Decisions([Seat("main", "s", Says(), INSTRUMENTS["NQ"])])

    assert asked(decisions, (bar, row)) == []


def test_equal_answers_are_one_record_and_new_ones_do_not_pile_up():
    last = rows(3)[-1]
    decisions = stage(Says())
    numbers = iter(range(500))
    wordy = stage(Says(lambda moment: Hold(f"number {next(numbers)}")))

    assert asked(decisions, last)[0] is asked(decisions, last)[0]
    assert [asked(wordy, last)[0].why for _ in range(500)] == [f"number {i}" for i in range(500)]
    assert len(wordy._bounds["ES"][MINUTE][0].held) <= 64


def test_an_entry_becomes_an_intent_that_names_its_cause():
    last = rows(3)[-1]
    enter = Enter(Side.SELL, stop=Decimal("30"), why="because", target=Decimal("20"))

    intent = asked(stage(Says(enter)), last)[0]

    assert intent == Intent(
        signal_id=signal_id("bars", "main", "s", "ES", MINUTE, last[0].ts_event),
        lane="main",
        strategy="s",
        source=Source.BARS,
        instrument="ES",
        side=Side.SELL,
        purpose=Purpose.ENTER,
        why="because",
        ts_decided=last[0].ts_known,
        stop=Decimal("30"),
        target=Decimal("20"),
        reference=Decimal("25.00"),
        setup="continuation",
    )


def test_an_exit_leaves_all_of_what_is_held_on_its_other_side():
    held = PositionView(Side.BUY, Decimal(3))

    intent = asked(stage(Says(Exit("enough"))), rows(3)[-1], positions=lambda *_: held)[0]

    assert (intent.purpose, intent.side, intent.quantity, intent.stop) == (Purpose.REDUCE, Side.SELL, None, None)


def test_an_exit_from_nothing_is_a_hold():
    assert asked(stage(Says(Exit("enough"))), rows(3)[-1])[0].why == "nothing to leave"


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (ZeroDivisionError("oh"), "ZeroDivisionError: oh"),
        (lambda moment: None, "expected Hold, Enter or Exit, found None"),
        (lambda moment: moment.features["nothing"], "KeyError"),
        (Enter(Side.BUY, stop=None, why="x"), "an entry needs a stop"),
    ],
)
def test_a_strategy_that_breaks_is_disabled_with_its_reason_and_the_others_go_on(answer, named):
    last = rows(3)[-1]
    decisions = Decisions([Seat("main", "bad", Says(answer), ES), Seat("main", "good", Says(), ES)])

    first, second = asked(decisions, last)

    assert isinstance(first, StrategyDisabled)
    assert named in first.why
    assert isinstance(second, Held)
    assert len(asked(decisions, last)) == 2, "an answer alone changes nothing"
    decisions.apply(first)
    assert [answer.strategy for answer in asked(decisions, last)] == ["good"]


def test_a_disabled_strategy_stays_disabled_after_a_restart():
    decisions, resumed = stage(Says()), stage(Says())
    decisions.apply(StrategyDisabled("main", "s", "broke"))

    resumed.restore(decisions.snapshot())

    assert asked(resumed, rows(3)[-1]) == []
    assert dict(resumed.disabled) == {("main", "s"): "broke"}
    with pytest.raises(InputError, match="not a snapshot"):
        resumed.restore(b"x")


def test_a_strategy_cannot_sit_twice_in_one_place():
    with pytest.raises(InputError, match="stands twice"):
        Decisions([Seat("main", "s", Says(), ES), Seat("main", "s", Says(), ES)])


def test_an_interruption_from_outside_is_not_swallowed():
    with pytest.raises(KeyboardInterrupt):
        asked(stage(Says(lambda moment: (_ for _ in ()).throw(KeyboardInterrupt))), rows(3)[-1])


def test_positions_that_wait_are_not_flat():
    assert FLAT.is_flat
    assert not PositionView(is_pending=True).is_flat
    assert not PositionView(Side.BUY, Decimal(1)).is_flat
    assert OpeningDrive().needs.timeframe == MINUTE
