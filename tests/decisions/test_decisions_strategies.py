"""The shipped strategies, and how they are found."""

# mypy: disable-error-code="arg-type,union-attr,func-returns-value,has-type"

from decimal import Decimal

import numpy as np
import pytest
from tests.features.walks import MINUTE, bar_at, walk

from interlock.decisions import registry
from interlock.decisions.ema_cross import EmaCross
from interlock.decisions.opening_drive import OpeningDrive
from interlock.decisions.stage import Decisions, Seat
from interlock.decisions.strategy import FLAT, Moment, PositionView
from interlock.errors import ConfigError
from interlock.features.table import FeatureTable
from interlock.model.features import Columns, FeatureRow
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Quality
from interlock.model.signal import Enter, Exit, Hold, Intent, Purpose, Side
from interlock.regimes.structure import StructureRegime

MNQ = INSTRUMENTS["MNQ"]


def moment(regime="none", position=FLAT, close=80_000, **features):
    bar = bar_at(0, close, close, close, close, symbol="MNQ")
    columns = Columns(tuple(features))
    row = FeatureRow(
        columns, "MNQ", MINUTE, bar.ts_event, bar.ts_known, columns.mask(features), Quality.OK, [*features.values()]
    )
    return Moment(bar, row, regime, position, MNQ, bar.ts_known)


LONG, SHORT = PositionView(Side.BUY, Decimal(1)), PositionView(Side.SELL, Decimal(1))


@pytest.mark.parametrize(
    ("regime", "fast", "position", "expected"),
    [
        ("trend_up", 11.0, FLAT, Enter(Side.BUY, stop=Decimal("19979.75"), target=Decimal("20030.25"), why="")),
        ("trend_dn", 9.0, FLAT, Enter(Side.SELL, stop=Decimal("20020.25"), target=Decimal("19969.75"), why="")),
        ("trend_up", 9.0, FLAT, Hold("means against the trend")),
        ("trend_up", 10.0, FLAT, Hold("means against the trend")),
        ("range", 11.0, FLAT, Hold("no trend")),
        ("trend_up", 11.0, PositionView(is_pending=True), Hold("entry under way")),
        ("range", 11.0, LONG, Hold("already in")),
        ("range", 10.0, LONG, Hold("already in")),
        ("trend_up", 9.0, LONG, Exit("fast mean crossed back")),
        ("trend_up", 11.0, SHORT, Exit("fast mean crossed back")),
        ("unknown", 9.0, SHORT, Hold("already in")),
    ],
)
def test_the_opening_drive_joins_a_trend_and_leaves_when_the_means_cross_back(regime, fast, position, expected):
    answer = OpeningDrive().decide(moment(regime, position, ema_fast=fast, ema_slow=10.0, atr=10.1))

    assert type(answer) is type(expected)
    if isinstance(answer, Enter):
        assert (answer.side, answer.stop, answer.target) == (expected.side, expected.stop, expected.target)
        assert (Decimal(20_000) - answer.stop) * answer.side.sign >= Decimal("20.2"), "rounded away from the close"
    else:
        assert answer.why == expected.why


def test_without_a_target_only_stop_and_means_end_it():
    assert OpeningDrive(target_atrs=0.0).decide(moment("trend_up", ema_fast=2.0, ema_slow=1.0, atr=10.0)).target is None


def test_nothing_is_risked_in_a_market_that_does_not_move():
    assert isinstance(OpeningDrive().decide(moment("trend_up", ema_fast=2.0, ema_slow=1.0, atr=0.0)), Hold)


@pytest.mark.parametrize(
    ("crossed", "position", "expected"),
    [
        (1.0, FLAT, (Side.BUY, Decimal("19980"), Decimal("20030"))),
        (-1.0, FLAT, (Side.SELL, Decimal("20020"), Decimal("19970"))),
        (0.0, FLAT, "no cross"),
        (1.0, SHORT, "already in"),
        (1.0, PositionView(is_pending=True), "already in"),
    ],
)
def test_the_mean_cross_enters_with_a_bracket_when_flat(crossed, position, expected):
    strategy = EmaCross(fast=5, slow=12)

    answer = strategy.decide(moment(position=position, ema_5=1.0, ema_12=1.0, cross_5_12=crossed, atr=10.0))

    assert strategy.needs.features == ("ema_5", "ema_12", "cross_5_12", "atr")
    if isinstance(answer, Enter):
        assert (answer.side, answer.stop, answer.target) == expected
    else:
        assert answer.why == expected


class Desk:
    """One account that fills at the close, with stop and target checked against each later bar, stop first."""

    def __init__(self, decisions, strategy):
        self.decisions, self.strategy = decisions, strategy
        self.intent, self.results = None, []

    def position(self, *_):
        return FLAT if self.intent is None else PositionView(self.intent.side, Decimal(1))

    def bar(self, bar, row, regimes):
        if self.intent is not None:
            sign, worst, best = self.intent.side.sign, MNQ.price(bar.low), MNQ.price(bar.high)
            worst, best = (worst, best) if sign > 0 else (best, worst)
            if (worst - self.intent.stop) * sign <= 0:
                self.close(self.intent.stop)
            elif self.intent.target is not None and (best - self.intent.target) * sign > 0:
                self.close(self.intent.target)
        for answer in self.decisions.decide(bar, row, regimes, self.position, bar.ts_known):
            if isinstance(answer, Intent):
                if answer.purpose is Purpose.ENTER:
                    self.intent = answer
                else:
                    self.close(MNQ.price(bar.close))

    def close(self, price):
        self.results.append((price - self.intent.reference) * self.intent.side.sign)
        self.intent = None


@pytest.mark.parametrize("seed", range(4))
def test_in_a_week_of_chance_the_opening_drive_makes_twenty_trades_of_both_signs(seed):
    strategy = OpeningDrive()
    table, detector = FeatureTable(MNQ, MINUTE, strategy.needs.features), StructureRegime(MNQ)
    desk = Desk(Decisions([Seat("main", "opening_drive", strategy, MNQ)]), strategy)

    for bar in walk(7 * 1440, seed=seed, symbol="MNQ", scale=8.0, base=80_000):
        detector.step(bar)
        desk.bar(bar, table.step(bar), {"structure": detector.current})

    signs = np.sign([float(result) for result in desk.results])
    assert len(signs) >= 20
    assert (signs > 0).sum() >= 3
    assert (signs < 0).sum() >= 3


def test_shipped_strategies_are_found_and_built_with_their_numbers():
    assert registry.build("opening_drive", {"stop_atrs": 3}) == OpeningDrive(stop_atrs=3)
    assert registry.build("ema_cross", {"fast": 3, "slow": 7}) == EmaCross(fast=3, slow=7)


@pytest.mark.parametrize(
    ("name", "params", "named"),
    [
        ("opening_driv", {}, "did you mean 'opening_drive'"),
        ("ema_cross", {"fats": 3}, "did you mean 'fast'"),
        ("ema_cross", {"fast": "3"}, "fast must be int"),
        ("ema_cross", {"fast": True}, "fast must be int"),
        ("ema_cross", {"fast": 30}, "fast must be below slow"),
        ("ema_cross", {"bars": "2m"}, "no bars are named '2m'"),
        ("opening_drive", {"stop_atrs": 0}, "stop_atrs must be above 0"),
        ("opening_drive", {"stop_atrs": float("nan")}, "stop_atrs"),
        ("opening_drive", {"needs": 1}, "no parameter 'needs'"),
        ("ema_cross", {"_needs": 1}, "no parameter '_needs'"),
    ],
)
def test_a_strategy_that_cannot_be_built_says_why(name, params, named):
    with pytest.raises(ConfigError, match=named):
        registry.build(name, params)


class _Point:
    def __init__(self, name, value, loaded):
        self.name, self.value, self._loaded = name, value, loaded

    def load(self):
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


def test_strategies_of_other_packages_are_found_and_cannot_take_a_shipped_name(monkeypatch):
    class Mine(OpeningDrive):
        pass

    points = [
        _Point("mine", "a:Mine", Mine),
        _Point("ema_cross", "a:Fake", Mine),
        _Point("junk", "a:x", 3),
        _Point("gone", "a:y", ImportError("no a")),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "interlock.strategies" else [])

    assert registry.find("mine") is Mine
    assert registry.find("ema_cross") is EmaCross
    with pytest.raises(ConfigError, match="is no Strategy"):
        registry.find("junk")
    with pytest.raises(ConfigError, match="cannot be loaded: no a"):
        registry.find("gone")
