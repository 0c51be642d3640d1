"""A record of closed trades judged by hand-made sums, and features and instruments as checks read them."""

import pytest
from tests.gate.world import NOW, D, a_feature, a_mark, a_record, a_view, code, told

from interlock.errors import InvariantBroken
from interlock.gate.check import traded, underlying
from interlock.gate.orders.grid import TickAndLot
from interlock.gate.quality import usable
from interlock.gate.record import RecordRules, stand
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Provenance, Quality
from interlock.model.money import SECOND

RULES = RecordRules()


def results(*groups: tuple[str, int]) -> tuple[str, ...]:
    return tuple(value for value, times in groups for _ in range(times))


@pytest.mark.parametrize(("found", "metric", "value"), [
    # 5 x 1.1 - 5 x 1.6 = -2.5 over ten: -0.25, and 5.5 of 8 is 0.69: below 0.70
    (results(("1.1", 5), ("-1.6", 5)), "profit_factor", "0.6875"),
    # 6 x 1.2 - 4 x 2.425 = 7.2 - 9.7 = -2.5: -0.25, and 7.2 of 9.7 is 0.74
    (results(("1.2", 6), ("-2.425", 4)), "", ""), (results(("1.2", 6), ("-2.426", 4)), "mean_r", "-0.2504"),
    # 5 x 0.7 of 5 x 1 is 0.70
    (results(("0.7", 5), ("-1", 5)), "", ""), (results(("0.69", 5), ("-1", 5)), "profit_factor", "0.69"),
    # of twenty, eight hits are expected; two deviations are the root of 4 x 20 x 0.4 x 0.6 = 19.2: four fewer pass, five do not
    (results(("9", 4), ("-0.1", 16)), "", ""), (results(("9", 3), ("-0.1", 17)), "hits", "3"),
    (results(("1", 20)), "", ""), (results(("0", 10)), "hits", "0"), (results(("9", 8), ("-0.1", 12)), "", ""),
    (results(("9", 7), ("-0.1", 13)), "", ""),
])
def test_a_record_is_judged_by_mean_factor_and_hits(found, metric, value):
    standing = stand(a_record(*found), RULES)

    assert (standing.metric, standing.value if metric == "" else D(standing.value)) == (metric, value and D(value))
    assert standing.trades == len(found)
    assert standing.is_half_size is bool(metric)


def test_the_edge_of_the_deviations_is_within_them():
    # of six 2.4 are expected; the square of 2.4 is 5.76, and so is 4 x 2.4 x 0.6
    assert stand(a_record(*("0",) * 6), RecordRules(trades_min=6)).metric == ""
    assert stand(a_record(*results(("9", 7), ("-0.1", 13))), RecordRules(deviations=0)).metric == "hits"


@pytest.mark.parametrize(("trades", "is_short"), [(9, True), (10, False)])
def test_ten_trades_are_a_record(trades, is_short):
    standing = stand(a_record(*("1",) * trades), RULES)

    assert (standing.is_short, standing.is_half_size) == (is_short, is_short)


def test_the_same_record_is_judged_anew_by_other_rules():
    record, other = a_record(*results(("1.2", 6), ("-2.425", 4))), RecordRules(mean_r_min=D("-0.24"))

    assert stand(record, RULES).metric == ""
    assert stand(record, other).metric == "mean_r"
    assert stand(record, RULES).metric == ""


def test_another_record_is_judged_for_itself():
    good, bad = a_record(*("1",) * 10), a_record(*("-1",) * 10)

    assert [stand(record, RULES).metric for record in (good, bad, good, bad)] == ["", "mean_r", "", "mean_r"]


def test_the_shipped_rules():
    assert RecordRules(trades_min=10, mean_r_min=D("-0.25"), profit_factor_min=D("0.70"), hit_rate_expected=D("0.40"),
                       deviations=2) == RULES


# -- features

@pytest.mark.parametrize(("changes", "mark", "is_usable"), [
    ({}, a_mark(), True), ({"quality": Quality.SYNTH}, a_mark(), True),
    ({"quality": Quality.SYNTH}, a_mark(provenance=Provenance.LIVE), False), ({"quality": Quality.SYNTH}, None, False),
    ({}, None, True), ({}, a_mark(provenance=Provenance.LIVE), True), ({"quality": Quality.STALE}, a_mark(), False),
    ({"ts_known": NOW - 90 * SECOND}, a_mark(), True), ({"ts_known": NOW - 90 * SECOND - 1}, a_mark(), False),
    ({"ts_known": NOW + 1}, a_mark(), False), ({"value": float("inf")}, a_mark(), False), ({"value": None}, a_mark(), False),
])
def test_a_feature_is_decided_upon_only_where_it_can_be_trusted(changes, mark, is_usable):
    view = a_view(mark=mark, features=(a_feature("atr", **{"value": 12.0, **changes}),))

    assert (usable(view, "atr", 90 * SECOND) == 12.0) is is_usable
    assert code(usable(view, "other", 90 * SECOND)) == "input_missing.other"


# -- what is traded

@pytest.mark.parametrize(("view", "symbol"), [
    ({}, "ES"), ({"micro": INSTRUMENTS["MES"], "micro_mark": a_mark("MES")}, "ES"), ({"mark": a_mark("ES")}, "MNQ"),
    ({"micro": INSTRUMENTS["MES"]}, "ES"),
    ({"micro": INSTRUMENTS["MES"], "micro_mark": a_mark("MNQ")}, "MES"),
])
def test_a_size_in_something_that_the_view_does_not_show_is_a_fault_of_ours(view, symbol):
    with pytest.raises(InvariantBroken):
        told(TickAndLot(), a_view(**view), symbol=symbol)


def test_the_micro_is_traded_at_its_own_quote():
    class Look:
        def check(self, intent, view):
            return traded(intent, view)

    view = a_view(micro=INSTRUMENTS["MES"], micro_mark=a_mark("MES", "1", "2"))

    assert told(Look(), view, symbol="MES") == (INSTRUMENTS["MES"], view.micro_mark)
    assert told(Look(), view) == (INSTRUMENTS["MNQ"], view.mark)
    assert told(Look(), a_view(mark=None)) == (INSTRUMENTS["MNQ"], None)


@pytest.mark.parametrize(("instrument", "parent", "of"), [
    ("MES", "ES", "ES"), ("MES", "", "ES"), ("MES", "NQ", "NQ"), ("XYZ", "", "XYZ"), ("XYZ", "ES", "ES"),
])
def test_an_underlying_is_as_the_view_says_else_as_the_table_does(instrument, parent, of):
    assert underlying(instrument, parent) == of
