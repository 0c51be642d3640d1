"""The phases, the checks on an order and those on an exit, each asked by itself at its limits.

The quiet day: MNQ at 18000.00 to 18000.25, mid 18000.125; five contracts are bought, with 108.70 at stake.
"""

from typing import Any

import pytest
from tests.gate.world import (
    NOW,
    D,
    a_decision,
    a_definition,
    a_held,
    a_mark,
    a_pending,
    a_resting,
    a_view,
    an_exit,
    code,
    holding,
    numbers,
    some_limits,
    told,
    verdict_of,
)

from interlock.gate.exits.person import PersonDecided
from interlock.gate.exits.position import ReducesPosition
from interlock.gate.exits.zero import NeverCrossesZero
from interlock.gate.orders.bracket import BracketSides
from interlock.gate.orders.collar import Collar, WideCollar
from interlock.gate.orders.definition import DefinitionFits
from interlock.gate.orders.grid import TickAndLot
from interlock.gate.orders.instrument import InstrumentAllowed
from interlock.gate.orders.margin import MarginCap
from interlock.gate.orders.opposite import NoReversal
from interlock.gate.orders.provenance import PriceProvenance
from interlock.gate.orders.rate import OrderRate
from interlock.gate.orders.self_trade import NoSelfTrade
from interlock.gate.orders.value import ValueRate
from interlock.gate.orders.window import PriceWindow
from interlock.gate.phases.balance import Balance
from interlock.gate.phases.connection import Connection
from interlock.gate.phases.daily_loss import DailyLoss
from interlock.gate.phases.regime import RegimeConditions
from interlock.gate.phases.size_confirmed import SizeConfirmed
from interlock.gate.sizing import SizingRules
from interlock.model.account import Truth
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Provenance
from interlock.model.money import DAY, MINUTE, SECOND
from interlock.model.signal import Purpose, Side, Source
from interlock.model.verdict import NotEvaluated, NotRequired, Sized, SizedIntent
from interlock.model.view import ExitView, Regime

SHORT: dict[str, Any] = {"side": Side.SELL, "stop": D("18010.25"), "target": D("17980.25")}


def a_live(**changes: Any) -> ExitView:
    return ExitView(**{"client_order_id": "x" * 18, "side": Side.SELL, "remaining": D(1), **changes})


# -- the phases

@pytest.mark.parametrize(("age", "refused"), [(0, ""), (5 * SECOND, ""), (5 * SECOND + 1, "proof_old"), (-1, "proof_old")])
def test_the_proof_of_a_line_may_be_five_seconds_old(age, refused):
    assert code(told(Connection(), a_view(account_ts_proof=NOW - age))) == refused


@pytest.mark.parametrize(("view", "risk", "refused"), [
    ({"account_equity": D(1_000), "account_balance": D(1_000)}, "20", ""),                     # 2 % of 1,000
    ({"account_equity": D(1_000), "account_balance": D(1_000)}, "20.01", "risk_over_balance"),
    ({"account_equity": D("999.99")}, "1", "balance_low"), ({"account_balance": D("999.99")}, "1", "balance_low"),
    ({"held": (a_held(risk=D("2891.30")),)}, "108.70", ""),                                    # 6 % of 50,000
    ({"held": (a_held(risk=D("2891.31")),)}, "108.70", "open_risk_over_balance"),
    ({"held": (a_held(risk=D(9_999), account="paper-2"),), "pending": (a_pending(risk=D(9_999), account="paper-2"),)}, "1", ""),
    ({"account_equity": None}, "1", "input_missing.equity"), ({"account_balance": None}, "1", "input_missing.balance"),
])
def test_the_balance_carries_the_risk(view, risk, refused):
    assert code(told(Balance(), a_view(**view), risk=risk)) == refused


@pytest.mark.parametrize(("equity", "refused"), [("0", "balance_low"), ("-1", "balance_low"), ("0.5", "")])
def test_without_equity_nothing_is_entered_whatever_the_minimum(equity, refused):
    rules = Balance(balance_min=D(-10))

    assert code(told(rules, a_view(account_equity=D(equity), account_balance=D(equity)), risk="0")) == refused


def test_the_record_shows_the_open_risk():
    view = a_view(held=(a_held(risk=D(100)),), pending=(a_pending(risk=D(20)),))

    assert numbers(told(Balance(), view)) == {"open_risk": D("228.70"), "equity": 50_000}


@pytest.mark.parametrize(("view", "refused"), [
    ({"account_day_pnl": D("-691.29"), "account_day_start_equity": D(40_000)}, ""),            # 2 % of 40,000 is 800
    ({"account_day_pnl": D("-691.30"), "account_day_start_equity": D(40_000)}, "daily_loss"),
    ({"account_day_pnl": D("-891.29"), "account_day_start_equity": D(60_000)}, ""),
    ({"account_day_pnl": D("-891.30"), "account_day_start_equity": D(60_000)}, "daily_loss"),  # 2 % would be 1,200
    ({"account_day_pnl": D("-391.30"), "limits": some_limits(daily_loss=D(500))}, "daily_loss"),
    ({"account_day_pnl": D("-391.29"), "limits": some_limits(daily_loss=D(500))}, ""),
    ({"pending": (a_pending(risk=D(9_999), account="paper-2"),)}, ""),
])
def test_the_smallest_of_the_days_limits_binds_with_every_stop_hit(view, refused):
    assert code(told(DailyLoss(), a_view(**view))) == refused


@pytest.mark.parametrize(("day", "refused"), [("-999.99", ""), ("-1000", "daily_loss")])
def test_a_day_that_is_lost_is_not_bought_back_by_a_planned_gain(day, refused):
    assert code(told(DailyLoss(), a_view(account_day_pnl=D(day)), risk="-200")) == refused


def test_the_record_shows_the_day_ahead():
    view = a_view(account_day_pnl=D(-50), pending=(a_pending(risk=D(20)),))

    assert numbers(told(DailyLoss(), view)) == {"day_pnl": -50, "ahead": D("-178.70"), "limit": 1_000}


@pytest.mark.parametrize(("view", "refused"), [
    ({"regime": Regime("structure", "", NOW)}, "input_missing.regime"),
    ({"regime": Regime("structure", "unknown", NOW)}, "input_missing.regime"),
    ({"regime": Regime("other", "trend_up", NOW)}, "input_missing.regime"),
    ({"regime": Regime("structure", "trend_up", NOW + 1)}, "regime_old"),
    ({"regime": Regime("structure", "trend_up", NOW)}, ""),
    ({"regime": Regime("structure", "trend_up", NOW - 30 * MINUTE)}, ""),
    ({"regime": Regime("structure", "trend_up", NOW - 30 * MINUTE - 1)}, "regime_old"),
    ({"regime_detector": "none", "mode": "live", "source": Source.BARS}, "regime_required"),
    ({"regime_detector": "none", "mode": "other", "source": Source.ALERTS}, "regime_required"),
])
def test_a_regime_is_named_ours_and_young(view, refused):
    assert code(told(RegimeConditions(), a_view(**view))) == refused


@pytest.mark.parametrize("view", [{"mode": "paper"}, {"mode": "live", "source": Source.ALERTS}])
def test_a_lane_may_do_without_a_detector(view):
    assert isinstance(told(RegimeConditions(), a_view(regime_detector="none", **view)), NotRequired)


@pytest.mark.parametrize(("risk", "refused"), [("0", "risk_over_cap"), ("0.01", ""), ("120", ""), ("120.01", "risk_over_cap")])
def test_the_confirmed_loss_is_positive_and_within_the_cap(monkeypatch, risk, refused):
    sized = Sized(instrument="MNQ", quantity=D(5), risk=D(risk), risk_per_unit=D("21.74"), why="by hand")
    monkeypatch.setattr("interlock.gate.phases.size_confirmed.size", lambda *_: sized)

    assert code(told(SizeConfirmed(), risk=risk)) == refused


@pytest.mark.parametrize(("quantity", "refused"), [("0", "risk_budget"), ("-1", "risk_budget"), ("0.5", "")])
def test_a_size_that_is_not_positive_is_none(monkeypatch, quantity, refused):
    sized = Sized(instrument="MNQ", quantity=D(quantity), risk=D(1), risk_per_unit=D("21.74"), why="by hand")
    monkeypatch.setattr("interlock.gate.phases.size_confirmed.size", lambda *_: sized)

    assert code(told(SizeConfirmed(), quantity=quantity, risk="1")) == refused


# -- orders

@pytest.mark.parametrize(("view", "wish", "refused"), [
    ({"mark": None}, {}, "input_missing.mark"),
    ({}, {"stop": D("18000.00")}, ""), ({}, {"stop": D("18000.25")}, "bracket_stop_side"),
    ({}, {"target": D("18000.50")}, ""), ({}, {"target": D("18000.25")}, "bracket_target_side"), ({}, {"target": None}, ""),
    ({}, {**SHORT, "stop": D("18000.25")}, ""), ({}, {**SHORT, "stop": D("18000.00")}, "bracket_stop_side"),
    ({}, {**SHORT, "target": D("17999.75")}, ""), ({}, {**SHORT, "target": D("18000.00")}, "bracket_target_side"),
])
def test_stop_and_target_stand_on_their_sides_of_the_fill(view, wish, refused):
    assert code(told(BracketSides(), a_view(**view), **wish)) == refused


def test_without_a_stop_there_is_no_bracket():
    view = holding()

    assert code(told(BracketSides(), view, an_exit(view, Purpose.REDUCE))) == "input_missing.stop"


@pytest.mark.parametrize(("view", "wish", "refused"), [
    ({"mark": None}, {}, "input_missing.mark"), ({"mark_ask": D("Infinity")}, {}, "input_missing.mark"),
    ({"mark_bid": D(0), "mark_ask": D(0)}, {}, "input_missing.mark"),
    ({"mark_bid": D("0.5"), "mark_ask": D("0.5")}, {"stop": D("0.45"), "target": D("0.55")}, ""),
    ({}, {"limit": D("18180.12625")}, ""), ({}, {"limit": D("18180.12626")}, "outside_collar"),            # a hundredth away
    ({}, {"limit": D("17820.12375")}, ""), ({}, {"limit": D("17820.12374")}, "outside_collar"),
    ({}, {"stop": D("14400.100")}, ""), ({}, {"stop": D("14400.099")}, "outside_collar"),                  # a fifth away
    ({}, {"target": D("21600.150")}, ""), ({}, {"target": D("21600.151")}, "outside_collar"),
])
def test_an_entry_keeps_near_the_market(view, wish, refused):
    assert code(told(Collar(), a_view(**view), **wish)) == refused


def test_a_stop_nobody_could_mean_is_outside_the_collar_of_an_exit():
    near, far = holding(), holding()

    assert code(told(WideCollar(), near, an_exit(near, stop=D("14400.100")))) == ""
    assert code(told(WideCollar(), far, an_exit(far, stop=D("14400.099")))) == "outside_collar"
    assert code(told(WideCollar(), far, an_exit(far, Purpose.TARGET, limit=D("21600.151")))) == "outside_collar"


@pytest.mark.parametrize(("held", "stop", "refused"), [
    ((a_held(),), "14400", ""), ((a_held(),), "14399.99", "outside_collar"),                  # 72,000 for 2 x 2 is 18,000
    ((a_held(quantity=D(-2)),), "14400", ""), ((a_held(quantity=D(3), notional=D(108_000)),), "14399.99", "outside_collar"),
    ((a_held(quantity=D(3), notional=D(108_000)),), "14400", ""),
    ((a_held(account="paper-2"),), "14400", "input_missing.reference"),
    ((a_held(instrument="ES"),), "14400", "input_missing.reference"),
    ((a_held(quantity=D(0)),), "14400", "input_missing.reference"),
    ((a_held(notional=D(0)),), "14400", "input_missing.reference"),
    ((a_held(notional=D(2)),), "0.5", ""), ((), "14400", "input_missing.reference"),
])
@pytest.mark.parametrize("mark", [None, a_mark(bid="0", ask="0")])
def test_without_a_quote_an_exit_is_held_against_the_price_it_is_held_at(mark, held, stop, refused):
    view = holding(mark=mark, held=held)

    assert code(told(WideCollar(), view, an_exit(view, stop=D(stop)))) == refused


def test_a_quote_below_one_is_a_reference_too():
    view = holding(mark_bid=D("0.5"), mark_ask=D("0.5"))

    assert numbers(told(WideCollar(), view, an_exit(view, stop=D("0.45"))))["reference"] == D("0.5")


def test_an_exit_at_market_has_no_price_to_compare():
    view = holding(mark=None, held=())

    assert numbers(told(WideCollar(), view, an_exit(view, Purpose.REDUCE))) == {}


@pytest.mark.parametrize(("view", "symbol", "refused"), [
    ({}, "ES", "input_missing.definition"), ({"micro": INSTRUMENTS["MES"]}, "ES", "input_missing.definition"),
    ({"micro": INSTRUMENTS["MES"]}, "MES", "input_missing.definition"),
    ({"micro": INSTRUMENTS["MES"], "micro_definition": a_definition("MES")}, "MES", ""),
    ({"micro": INSTRUMENTS["MES"], "micro_definition": a_definition("ES")}, "ES", "input_missing.definition"),
    ({"micro_definition": a_definition("ES")}, "ES", "input_missing.definition"),
    ({"micro": INSTRUMENTS["MES"], "micro_definition": a_definition("MNQ")}, "MES", "input_missing.definition"),
    ({"definition": a_definition(ts_expiry=NOW + DAY + 1)}, "MNQ", ""),
    ({"definition": a_definition(ts_expiry=NOW + DAY)}, "MNQ", "roll_block"),
    ({"definition": a_definition(ts_expiry=NOW + 1)}, "MNQ", "roll_block"),
    ({"definition": a_definition(ts_expiry=NOW)}, "MNQ", "expired"),
    ({"definition": a_definition(ts_roll=NOW + 1)}, "MNQ", ""), ({"definition": a_definition(ts_roll=NOW)}, "MNQ", "roll_block"),
])
def test_what_is_traded_is_what_the_broker_says_it_is(view, symbol, refused):
    assert code(told(DefinitionFits(), a_view(**view), symbol=symbol)) == refused


@pytest.mark.parametrize(("quantity", "wish", "refused"), [
    ("5", {}, ""), ("0", {}, "off_lot"), ("1.5", {}, "off_lot"), ("5", {"limit": D("18000.30")}, "off_tick"),
    ("5", {"stop": D("17990.30")}, "off_tick"), ("5", {"target": D("18020.30")}, "off_tick"), ("5", {"target": None}, ""),
])
def test_prices_stand_on_the_tick_and_quantities_in_lots(quantity, wish, refused):
    assert code(told(TickAndLot(), quantity=quantity, **wish)) == refused


@pytest.mark.parametrize(("mode", "symbols", "refused"), [
    ("paper", (), ""), ("live", (), "instrument_not_allowed"), ("live", ("MNQ",), ""),
    ("paper", ("ES",), "instrument_not_allowed"),
])
def test_a_live_account_trades_what_is_listed(mode, symbols, refused):
    assert code(told(InstrumentAllowed(), a_view(mode=mode, limits=some_limits(symbols=symbols)))) == refused


@pytest.mark.parametrize(("used", "margin", "refused"), [
    ("20000", "1000", ""), ("20000.01", "1000", "margin"),                                     # half of 50,000
    ("0", "0", ""), ("0", "0.5", ""), ("0", "-1", "input_missing.margin"), ("NaN", "1", "input_missing.margin"),
    (None, "1", "input_missing.margin"), ("0", None, "input_missing.margin"),
])
def test_margin_is_at_most_half_of_the_equity(used, margin, refused):
    view = a_view(account_margin_used=None if used is None else D(used),
                  definition=a_definition(margin=None if margin is None else D(margin)))

    assert code(told(MarginCap(), view)) == refused


def test_the_margin_of_the_micro_is_the_micros():
    view = a_view(account_margin_used=D(100), definition=a_definition(margin=D(9_000)), micro=INSTRUMENTS["MES"],
                  micro_definition=a_definition("MES", margin=D(10)))

    assert numbers(told(MarginCap(), view, symbol="MES")) == {"after": 150, "equity": 50_000}
    assert numbers(told(MarginCap(), view, quantity="1")) == {"after": 9_100, "equity": 50_000}
    assert told(MarginCap(), a_view()).numbers == told(MarginCap(), a_view(definition=None)).numbers == {"margin": "not told"}


@pytest.mark.parametrize(("view", "wish", "refused"), [
    ({"held": (a_held(quantity=D(0)),)}, {}, ""), ({"held": (a_held(quantity=D("0.5")),)}, {}, ""),
    ({"held": (a_held(quantity=D("-0.5")),)}, {}, "position_opposite"),
    ({"held": (a_held(quantity=D(-2), account="paper-2"),)}, {}, ""),
    ({"held": (a_held(quantity=D(-2), instrument="ES", parent="ES"),)}, {}, ""),
    ({"account_broker_position": D("0.5")}, {}, ""), ({"account_broker_position": D("-0.5")}, {}, "position_opposite"),
    ({"account_broker_position": D("0.5")}, SHORT, "position_opposite"), ({"held": (a_held(),)}, SHORT, "position_opposite"),
])
def test_no_entry_against_what_is_held(view, wish, refused):
    assert code(told(NoReversal(), a_view(**view), **wish)) == refused


@pytest.mark.parametrize(("view", "held"), [
    ({"held": (a_held(quantity=D(-2)), a_held(quantity=D(-1), instrument="NQ"))}, "-2 MNQ, -1 NQ"),
    ({"account_broker_position": D(-3)}, "-3"),
])
def test_the_refusal_says_what_is_held_the_other_way(view, held):
    assert told(NoReversal(), a_view(**view)).numbers == {"held": held}


@pytest.mark.parametrize(("provenance", "truth", "mode", "refused"), [
    (Provenance.LIVE, Truth.BROKER_VERIFIED, "live", ""), (Provenance.LIVE, Truth.PAPER_SIM, "live", ""),
    (Provenance.SIMULATED, Truth.RUNTIME_SIM, "live", ""), (Provenance.SIMULATED, Truth.PAPER_SIM, "paper", ""),
    (Provenance.SIMULATED, Truth.PAPER_SIM, "live", "price_not_live"),
    (Provenance.PLAYBACK, Truth.BROKER_VERIFIED, "paper", "price_not_live"),
])
def test_only_a_live_price_moves_a_real_account(provenance, truth, mode, refused):
    assert code(told(PriceProvenance(), a_view(mark_provenance=provenance, account_truth=truth, mode=mode))) == refused


def test_without_a_quote_there_is_no_provenance():
    assert code(told(PriceProvenance(), a_view(mark=None))) == "input_missing.mark"


@pytest.mark.parametrize(("sent", "refused"), [(0, ""), (-1, "order_rate"), (58, ""), (59, "order_rate")])
def test_one_order_a_minute_is_kept_in_reserve(sent, refused):
    assert code(told(OrderRate(), a_view(account_orders_last_minute=sent))) == refused


def test_the_value_of_a_minute_is_summed_for_the_account_and_for_all():
    view = a_view(account_value_last_minute=D(10), all_value_last_minute=D(20))

    assert numbers(told(ValueRate(), view)) == {"value": D("180002.50"), "minute": D("180012.50"), "all_minute": D("180022.50")}
    assert numbers(told(ValueRate(), view, limit=D(18_010)))["value"] == 180_100
    assert code(told(ValueRate(), a_view(mark=None))) == "input_missing.mark"


@pytest.mark.parametrize(("resting", "wish", "refused"), [
    (a_resting("18000.26"), {}, ""), (a_resting("18000.25"), {}, "self_trade"), (a_resting("18000.25", side=Side.BUY), {}, ""),
    (a_resting("17999.99", side=Side.BUY), SHORT, ""), (a_resting("18000.00", side=Side.BUY), SHORT, "self_trade"),
    (a_resting("18001.00"), {}, ""), (a_resting("18001.25"), {"limit": D(18_001)}, ""),     # less than a point beyond
    (a_resting("18000.25", instrument="ES"), {}, ""),
])
def test_we_do_not_trade_with_ourselves(resting, wish, refused):
    assert code(told(NoSelfTrade(), a_view(resting=(resting,)), **wish)) == refused


def test_with_nothing_resting_no_quote_is_needed():
    assert numbers(told(NoSelfTrade(), a_view(mark=None))) == {}
    assert code(told(NoSelfTrade(), a_view(mark=None, resting=(a_resting("19000"),)))) == "input_missing.mark"


FLAT = (D(18_000), D(18_000))


@pytest.mark.parametrize(("view", "wish", "refused"), [
    ({"mark": None}, {}, "input_missing.mark"), ({"window": (D(18_001), D(18_000))}, {}, "input_missing.price_window"),
    ({"window": (D(0), D(0))}, {}, "input_missing.price_window"),
    ({"window": (D(18_000), D("NaN"))}, {}, "input_missing.price_window"),
    ({"window": (D("0.5"), D("0.5")), "mark_bid": D("0.5"), "mark_ask": D("0.5")}, {"stop": D("0.45"), "target": None}, ""),
    ({"window": FLAT}, {"limit": D(18_540)}, ""), ({"window": FLAT}, {"limit": D("18540.01")}, "outside_price_window"),
    ({"window": FLAT}, {**SHORT, "limit": D(17_460)}, ""),
    ({"window": FLAT}, {**SHORT, "limit": D("17459.99")}, "outside_price_window"),
    ({"window": FLAT}, {"stop": D(14_400)}, ""), ({"window": FLAT}, {"stop": D("14399.99")}, "outside_price_window"),
    ({"window": FLAT}, {"target": D(21_600)}, ""), ({"window": FLAT}, {"target": D("21600.01")}, "outside_price_window"),
    # of a market that has moved, the low bounds from above and the high from below
    ({"window": (D(17_500), D(18_500))}, {"limit": D(18_025)}, ""), ({"window": (D(17_500), D(18_500))}, {"limit": D("18025.01")},
                                                                     "outside_price_window"),
    ({"window": (D(17_500), D(18_500))}, {"stop": D(14_800)}, ""), ({"window": (D(17_500), D(18_500))}, {"stop": D("14799.99")},
                                                                    "outside_price_window"),
    ({"window": (D(17_500), D(18_500))}, {"target": D(21_000)}, ""),
    ({"window": (D(17_500), D(18_500))}, {"target": D("21000.01")}, "outside_price_window"),
])
def test_prices_keep_to_where_the_market_has_been(view, wish, refused):
    assert code(told(PriceWindow(), a_view(**view), **wish)) == refused


# -- exits

@pytest.mark.parametrize(("decision", "refused"), [
    (a_decision(ts=NOW - 300 * SECOND), ""), (a_decision(ts=NOW - 300 * SECOND - 1), "person_decided_before"),
    (a_decision(instrument="MNQ"), ""), (a_decision(instrument="NQ"), "person_decided_other"),
    (a_decision(ts=NOW + 1), "person_decided_before"),
])
def test_a_flatten_lives_five_minutes(decision, refused):
    view = holding(decision=decision)

    assert code(told(PersonDecided(), view, an_exit(view, Purpose.FLATTEN, person="owner"), quantity="2")) == refused


def test_a_flatten_that_names_nobody_is_nobodys():
    view = holding()

    assert code(told(PersonDecided(), view, an_exit(view, Purpose.FLATTEN, person=""), quantity="2")) == "input_missing.person"


@pytest.mark.parametrize(("view", "purpose", "quantity", "refused"), [
    ({"account_ts_proof": NOW - 30 * SECOND}, Purpose.REDUCE, "2", ""),
    ({"account_ts_proof": NOW - 30 * SECOND - 1}, Purpose.REDUCE, "2", "broker_position_old"),
    ({"account_ts_proof": NOW + 1}, Purpose.REDUCE, "2", "broker_position_old"),
    ({"account_ts_read": NOW - 15 * SECOND}, Purpose.FLATTEN, "2", ""),
    ({"account_ts_read": NOW - 15 * SECOND - 1}, Purpose.FLATTEN, "2", "broker_position_old"),
    ({"account_ts_read": NOW + 1}, Purpose.FLATTEN, "2", "broker_position_old"),
    ({"account_ts_read": NOW - 3600 * SECOND}, Purpose.REDUCE, "2", ""), ({"account_ts_read": None}, Purpose.REDUCE, "2", ""),
    ({}, Purpose.REDUCE, "0.5", ""), ({}, Purpose.REDUCE, "2.01", "exit_over_position"),
    ({}, Purpose.REDUCE, "0", "nothing_to_exit"),
])
def test_an_exit_reduces_a_position_that_is_known(view, purpose, quantity, refused):
    seen = holding(**view)

    assert code(told(ReducesPosition(), seen, an_exit(seen, purpose, person="owner"), quantity=quantity)) == refused


@pytest.mark.parametrize(("exits", "purpose", "changes", "total"), [
    ((), Purpose.PROTECT, {}, 2), ((a_live(),), Purpose.PROTECT, {}, 3), ((a_live(), a_live()), Purpose.PROTECT, {}, 4),
    ((a_live(group="a"), a_live(group="a", remaining=D(2))), Purpose.PROTECT, {}, 4),
    ((a_live(group="a"), a_live(group="b")), Purpose.PROTECT, {}, 4),
    ((a_live(group="a", remaining=D(2)), a_live(group="a")), Purpose.PROTECT, {}, 4),
    ((a_live(side=Side.BUY),), Purpose.PROTECT, {}, 2),
    ((a_live(is_reduce_only=True),), Purpose.PROTECT, {}, 2),
    ((a_live(remaining=D(5)),), Purpose.PROTECT, {"replaces": "x" * 18}, 5),
    ((a_live(),), Purpose.PROTECT, {"replaces": "x" * 18}, 2),
    ((a_live(purpose=Purpose.TARGET),), Purpose.PROTECT, {"pair": True}, 2),
    ((a_live(purpose=Purpose.TARGET),), Purpose.PROTECT, {}, 3),
    ((a_live(purpose=Purpose.PROTECT),), Purpose.TARGET, {"pair": True}, 2),
    ((a_live(purpose=Purpose.TARGET),), Purpose.TARGET, {"pair": True}, 3),
    ((a_live(purpose=Purpose.TARGET),), Purpose.REDUCE, {"pair": True}, 3),
])
def test_all_exits_that_may_fill_together_are_summed(exits, purpose, changes, total):
    view = holding("9", exits=exits, account_pair_may_rest="pair" in changes)
    wish = {name: value for name, value in changes.items() if name != "pair"}

    found = numbers(told(NeverCrossesZero(), view, an_exit(view, purpose, **wish), quantity="2"))

    assert found == {"total": total, "room": 9}


def test_half_a_lot_that_is_linked_counts_as_half():
    view = holding("9", exits=(a_live(group="a", remaining=D("0.5")),))

    assert numbers(told(NeverCrossesZero(), view, an_exit(view), quantity="2"))["total"] == D("2.5")


def test_an_exit_of_one_is_more_than_a_half():
    view = holding("0.5")

    assert code(told(ReducesPosition(), view, an_exit(view), quantity="1")) == "exit_over_position"


def test_a_size_that_says_why_it_is_none_is_believed():
    view = holding()
    sized = Sized(instrument="MNQ", quantity=D(0), risk=D(0), risk_per_unit=D(0), why="broke", code="size_failed")

    assert code(ReducesPosition().check(SizedIntent(an_exit(view), sized), view)) == "size_failed"


def test_what_the_broker_has_not_told_is_no_room():
    view = holding(account_broker_position=None)

    assert code(told(NeverCrossesZero(), view, an_exit(view), quantity="2")) == "input_missing.broker_position"


# -- the numbers that are shipped, as the configuration page publishes them

@pytest.mark.parametrize(("check", "shipped"), [
    (Connection(), {"proof_age_max": 5 * SECOND}),
    (Balance(), {"balance_min": 1_000, "risk_share_max": D("0.02"), "open_risk_share_max": D("0.06")}),
    (DailyLoss(), {"amount": 1_000, "share": D("0.02")}), (RegimeConditions(), {"age_max": 1_800 * SECOND, "allowed": {}}),
    (Collar(), {"share_max": D("0.01"), "exit_share_max": D("0.20")}), (WideCollar(), {"share_max": D("0.20")}),
    (PriceWindow(), {"share_max": D("0.03"), "exit_share_max": D("0.20"), "span": 60 * SECOND}),
    (ValueRate(), {"value_max": 1_000_000, "all_value_max": 25_000_000}), (MarginCap(), {"share_max": D("0.50")}),
    (OrderRate(), {"reserve": 1}), (DefinitionFits(), {"expiry_block": 86_400 * SECOND}),
    (ReducesPosition(), {"proof_age_max": 30 * SECOND, "read_age_max": 15 * SECOND}), (PersonDecided(), {"life": 300 * SECOND}),
])
def test_the_shipped_numbers(check, shipped):
    assert {name: getattr(check, name) for name in shipped} == shipped


def test_the_shipped_numbers_of_sizing():
    rules = SizingRules()

    assert (rules.risk_per_trade, rules.slippage_ticks_future, rules.slippage_ticks_share, rules.slippage_ticks_crypto) == (
        D(120), 1, 1, 100)
    assert (rules.crypto_leverage_max, rules.crypto_notional_min, rules.notional_reserve) == (D(2), D(10), D("0.01"))


def test_of_an_exit_without_a_size_only_what_needs_none_is_asked():
    view = holding("0")

    verdict = verdict_of(view, an_exit(view, Purpose.FLATTEN, person="owner"))

    assert [answer.check for answer in verdict.answers if isinstance(answer.verdict, NotEvaluated)] == [
        "exit.never_crosses_zero", "order.tick_and_lot"]
    assert not verdict.is_cleared
