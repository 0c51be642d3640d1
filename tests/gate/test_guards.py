"""Each guard asked by itself, at its limits and a step beside them, with sizes and numbers worked out by hand.

The quiet day: 5 MNQ bought at 18000.25, two dollars a point, are worth 180,002.50; equity 50,000 now and at the day's start.
"""

import dataclasses
from typing import Any

import msgspec
import pytest
from tests.gate.world import (
    NOW,
    D,
    a_held,
    a_mark,
    a_pending,
    a_record,
    a_session,
    a_view,
    code,
    numbers,
    refusals,
    the_features,
    told,
    verdict_of,
)

from interlock.gate.guards.concentration import DirectionalConcentration
from interlock.gate.guards.data_quality import DataQuality
from interlock.gate.guards.day_type import DayType
from interlock.gate.guards.degradation import Degradation
from interlock.gate.guards.liquidity import Liquidity
from interlock.gate.guards.position_count import PositionCount
from interlock.gate.guards.reentry import ReentryCooldown
from interlock.gate.guards.risk_limits import RiskLimits
from interlock.gate.guards.slippage import EntrySlippage
from interlock.gate.guards.time_window import TimeWindow
from interlock.gate.guards.trajectory import TrajectoryAlignment
from interlock.gate.record import RecordRules
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Provenance
from interlock.model.money import DAY, MINUTE, SECOND
from interlock.model.signal import Side, Source
from interlock.model.view import Memory

MILLISECOND = SECOND // 1000
SHORT: dict[str, Any] = {"side": Side.SELL, "stop": D("18010.25"), "target": None}


# -- guard 1

@pytest.mark.parametrize(("view", "refused"), [
    ({"session": a_session(ts_open=NOW)}, ""), ({"session": a_session(ts_open=NOW + 1)}, "session_closed"),
    ({"session": a_session(local_minute=0)}, ""), ({"session": a_session(local_minute=-1)}, "input_missing.local_minute"),
    ({"session": a_session(local_minute=1439)}, ""),
    ({"events": (("FOMC", NOW + 30 * MINUTE + 1),)}, ""), ({"events": (("FOMC", NOW + 30 * MINUTE),)}, "event_blackout"),
    ({"events": (("CPI", NOW - 5 * MINUTE - 1),)}, ""), ({"events": (("CPI", NOW - 5 * MINUTE),)}, "event_blackout"),
    ({"events": (("CPI", NOW + 5 * MINUTE + 1),)}, ""), ({"events": (), "mode": "live"}, ""),
])
def test_the_time_of_day_to_the_nanosecond(view, refused):
    assert code(told(TimeWindow(), a_view(**view))) == refused


@pytest.mark.parametrize(("window", "minute", "refused"), [
    ((1320, 120), 1320, ""), ((1320, 120), 1319, "outside_window"), ((1320, 120), 0, ""), ((570, 660), 569, "outside_window"),
    ((570, 570), 570, "outside_window"), ((570, 570), 600, "outside_window"),
])
def test_a_window_holds_its_first_minute_and_one_without_length_none(window, minute, refused):
    assert code(told(TimeWindow(windows=(window,)), a_view(session=a_session(local_minute=minute)))) == refused


# -- guard 2

@pytest.mark.parametrize(("view", "wish", "refused"), [
    ({"mark_ts_event": NOW + 250 * MILLISECOND}, {}, ""),
    ({"mark_ts_event": NOW - 3600 * SECOND, "mark_provenance": Provenance.PLAYBACK}, {}, ""),
    ({"mark_ts_event": NOW - 2 * SECOND, "mark_provenance": Provenance.LIVE}, {}, ""),
    ({"mark_ts_event": NOW - 2 * SECOND - 1, "mark_provenance": Provenance.LIVE}, {}, "feed_delayed"),
    ({"mark_bid": D(0)}, {}, "quote_crossed"), ({"mark_bid": D(-1)}, {}, "quote_crossed"),
    ({"mark_bid": D("0.50"), "mark_ask": D("0.75")}, {}, ""),
    ({"mark_bid": D("18000.25")}, {}, ""), ({"mark_ask": D("Infinity")}, {}, "quote_crossed"),
    ({"clock_offset": -250 * MILLISECOND}, {}, ""), ({"clock_offset": 251 * MILLISECOND}, {}, "clock_offset"),
    ({"source": Source.ALERTS}, {"ts_decided": NOW - 30 * SECOND}, ""),
    ({"source": Source.ALERTS}, {"ts_decided": NOW - 30 * SECOND - 1}, "decision_late"),
    ({}, {"ts_decided": NOW + 1}, "decision_late"),
])
def test_data_up_to_its_limits(view, wish, refused):
    assert code(told(DataQuality(), a_view(**view), **wish)) == refused


def test_the_record_shows_how_old_quote_and_decision_were():
    answer = told(DataQuality(), a_view(mark_ts_recv=NOW - SECOND // 2), ts_decided=NOW - SECOND)

    assert answer.numbers == {"age": "500000000", "waited": "1000000000"}


# -- guard 3

@pytest.mark.parametrize(("start", "day", "week", "refused"), [
    (40_000, "-799.99", "0", ""), (40_000, "-800", "0", "day_loss_limit"),             # 2 % of 40,000
    (60_000, "-999.99", "0", ""), (60_000, "-1000", "0", "day_loss_limit"),            # 2 % would be 1,200
    (40_000, "0", "-1999.99", ""), (40_000, "0", "-2000", "week_loss_limit"),          # 5 % of 40,000
    (60_000, "0", "-2499.99", ""), (60_000, "0", "-2500", "week_loss_limit"),          # 5 % would be 3,000
])
def test_of_amount_and_share_the_smaller_loss_binds(start, day, week, refused):
    view = a_view(account_day_start_equity=D(start), account_day_pnl=D(day), account_week_pnl=D(week))

    assert code(told(RiskLimits(), view)) == refused


@pytest.mark.parametrize(("view", "risk", "refused"), [
    ({"source": Source.OPTIONS}, "120", ""), ({"source": Source.OPTIONS}, "120.01", "trade_risk"),
    ({"source": Source.OPTIONS, "account_day_pnl": D("-359.99")}, "100", ""),
    ({"source": Source.OPTIONS, "account_day_pnl": D(-200), "account_day_start_equity": D(10_000)}, "100", "day_loss_limit"),
    ({"source": Source.OPTIONS, "account_consecutive_losses": 2}, "100", ""),
    ({"all_day_pnl": D("-9999.99")}, "100", ""), ({"all_orders_last_minute": 599}, "100", ""),
    ({"all_orders_last_minute": 0}, "100", ""), ({"all_orders_last_minute": -1}, "100", "all_order_rate"),
    ({"account_consecutive_losses": 0}, "100", ""), ({"account_consecutive_losses": -1}, "100", "losses_in_a_row"),
    ({"mark": None}, "100", "input_missing.mark"),
    # 20 times 50,000 is 1,000,000
    ({"held": (a_held(instrument="CL", notional=D("819997.50")),)}, "100", ""),
    ({"held": (a_held(instrument="CL", notional=D("819997.51")),)}, "100", "leverage"),
    ({"pending": (a_pending(instrument="CL", notional=D("819997.51")),)}, "100", "leverage"),
    ({"held": (a_held(account="paper-2", notional=D(900_000)),), "pending": (a_pending(account="paper-2", notional=D(900_000)),)},
     "100", ""),
])
def test_risk_limits_to_the_cent(view, risk, refused):
    assert code(told(RiskLimits(), a_view(**view), risk=risk)) == refused


def test_the_record_shows_the_notional_of_the_account_and_of_all():
    view = a_view(held=(a_held(notional=D(1_000)),), pending=(a_pending(notional=D(200)),), all_notional=D(5_000))

    assert numbers(told(RiskLimits(), view)) == {"day_pnl": 0, "notional": D("181202.50"), "all_notional": D("185002.50")}
    assert numbers(told(RiskLimits(), view, **SHORT))["notional"] == 181_200         # sold at 18000.00


# -- guard 4

@pytest.mark.parametrize(("view", "counts"), [
    ({"held": (a_held(instrument="ES", parent="ES", quantity=D(0)),)}, (0, 0, 0)),
    ({"held": (a_held(instrument="ES", parent="ES", quantity=D(1)),)}, (1, 1, 0)),
    ({"held": (a_held(instrument="ES", parent="ES", source=None),)}, (1, 1, 0)),
    ({"held": (a_held(instrument="ES", parent="ES", source=Source.ALERTS),)}, (1, 0, 0)),
    ({"held": (a_held(instrument="ES", parent="ES"),), "pending": (a_pending(instrument="ES", parent="ES"),)}, (1, 1, 0)),
    ({"pending": (a_pending(account="paper-2"),)}, (0, 0, 0)),
])
def test_positions_are_counted_in_all_by_source_and_by_underlying(view, counts):
    assert tuple(numbers(told(PositionCount(), a_view(**view))).values()) == counts


# -- guard 5: 2 % of 50,000 is the day's 1,000, of which 600 may lie in one direction; 20 times equity is 1,000,000

@pytest.mark.parametrize(("view", "wish", "risk", "net", "positions"), [
    ({}, {}, "108.70", "180002.50", 1),
    ({}, SHORT, "108.70", "-180000", 1),
    ({"held": (a_held(instrument="ES", quantity=D(1)),)}, {}, "148.70", "252002.50", 2),
    ({"held": (a_held(instrument="ES", quantity=D(-1)),)}, {}, "108.70", "108002.50", 2),
    ({"held": (a_held(instrument="ES", quantity=D(-1)),)}, SHORT, "148.70", "-252000", 2),
    ({"held": (a_held(instrument="ES", quantity=D(0)),)}, {}, "108.70", "180002.50", 1),
    ({"held": (a_held(instrument="ES", account="paper-2"),)}, {}, "108.70", "180002.50", 1),
    ({"held": (a_held(instrument="CL", group="CL"),)}, {}, "148.70", "180002.50", 1),
    ({"pending": (a_pending(instrument="ES"),)}, {}, "148.70", "252002.50", 2),
    ({"pending": (a_pending(instrument="ES", side=Side.SELL),)}, {}, "108.70", "180002.50", 2),
    ({"pending": (a_pending(instrument="ES", side=Side.SELL),)}, SHORT, "148.70", "-252000", 2),
    ({"pending": (a_pending(instrument="ES", account="paper-2"),)}, {}, "108.70", "180002.50", 1),
])
def test_direction_and_group_are_summed_at_their_worst(view, wish, risk, net, positions):
    found = numbers(told(DirectionalConcentration(), a_view(**view), **wish))

    assert found == {"risk": D(risk), "budget": 1_000, "net": D(net), "positions": positions}


@pytest.mark.parametrize("view", [{"held": (a_held(group=""),)}, {"pending": (a_pending(group=""),)}])
def test_an_instrument_without_a_group_is_a_group_of_its_own(view):
    alone = msgspec.structs.replace(INSTRUMENTS["MNQ"], group="")

    assert numbers(told(DirectionalConcentration(), a_view(instrument=alone, mark=a_mark(), **view)))["net"] == D("252002.50")


@pytest.mark.parametrize(("view", "refused"), [
    ({"account_day_start_equity": None}, "input_missing.day_start_equity"),
    ({"account_day_start_equity": D("NaN")}, "input_missing.day_start_equity"),
    ({"account_equity": None}, "input_missing.equity"), ({"mark": None}, "input_missing.mark"),
    ({"held": (a_held(instrument="ES", notional=D("819997.50")),)}, ""),
    ({"held": (a_held(instrument="ES", notional=D("819997.51")),)}, "group_value"),
    ({"held": (a_held(instrument="CL", group="CL", risk=D("491.30")),)}, ""),
    ({"held": (a_held(instrument="CL", group="CL", risk=D("491.31")),)}, "same_direction_risk"),
    ({"held": (a_held(instrument="ES"), a_held(instrument="YM"))}, "group_positions"),
])
def test_concentration_up_to_its_limits(view, refused):
    assert code(told(DirectionalConcentration(), a_view(**view))) == refused


@pytest.mark.parametrize(("wish", "direction"), [({}, "index long"), (SHORT, "index short")])
def test_a_refusal_names_the_direction(wish, direction):
    assert told(DirectionalConcentration(), risk="601", **wish).reason.startswith(direction)


# -- guard 6: the fill is expected a quarter of the spread beyond the opposite quote: 18000.3125 for a buy

@pytest.mark.parametrize(("view", "wish", "expected", "slippage", "limit"), [
    ({}, {}, "18000.3125", "0.1875", "0.9875"),                                         # a tenth of 9.875
    ({}, {"stop": D("17999.125")}, "18000.3125", "0.1875", "0.50"),                     # two ticks, more than a tenth of 1
    ({}, SHORT, "17999.9375", "0.1875", "1.0125"),
    ({"source": Source.ALERTS}, {}, "18000.3125", "0.1875", "18.000125"),               # ten basis points
    ({"mark_bid": D("17999.25")}, {"reference": D(18_000)}, "18000.5", "0.5", "0.975"),
])
def test_the_expected_fill_is_worked_out(view, wish, expected, slippage, limit):
    found = numbers(told(EntrySlippage(), a_view(**view), **wish))

    assert found == {"expected": D(expected), "slippage": D(slippage), "limit": D(limit)}


@pytest.mark.parametrize(("view", "wish", "refused"), [
    ({"mark": None}, {}, "input_missing.mark"),
    ({}, {"stop": D("NaN")}, "input_missing.stop"), ({}, {"reference": D(0)}, "input_missing.reference"),
    ({}, {"reference": D("NaN")}, "input_missing.reference"),
    ({"mark_bid": D("0.5"), "mark_ask": D("0.5")}, {"reference": D("0.5"), "stop": D("0.25")}, ""),
    ({}, {"reference": D("17999.8125"), "stop": D("17999")}, ""),                       # half a point, two ticks
    ({}, {"reference": D("17999.8124"), "stop": D("17999")}, "slippage"),
    ({"source": Source.ALERTS}, {"reference": D("18003.125")}, ""),                     # 3 away, a quarter of 12
    ({"source": Source.ALERTS}, {"reference": D("18003.126")}, "far_from_alert"),
    ({"source": Source.ALERTS, "features": (msgspec.structs.replace(the_features()[0], ts_known=NOW - 90 * SECOND),)}, {}, ""),
    ({"source": Source.ALERTS, "features": (msgspec.structs.replace(the_features()[0], ts_known=NOW - 90 * SECOND - 1),)}, {},
     "input_missing.atr"),
])
def test_slippage_up_to_its_limits(view, wish, refused):
    assert code(told(EntrySlippage(), a_view(**view), **wish)) == refused


CLOSE: dict[str, Any] = {"reference": D(18_000), "stop": D("17999.00")}
"""Two ticks are allowed to an entry like this, so that the median of what was paid may be three."""


@pytest.mark.parametrize(("low", "high", "median"), [("1", "3", None), ("3", "3", None), ("3", "3.02", "3.01")])
def test_the_median_of_ten_fills_is_the_mean_of_the_middle_two(low, high, median):
    record = a_record("1", slippage=("9", "0", "9", "0", high, "0", "9", low, "0", "9"))

    answer = told(EntrySlippage(), a_view(record=record), **CLOSE)

    assert code(answer) == ("" if median is None else "realised_slippage")
    if median is not None:
        assert {name: D(value) for name, value in answer.numbers.items()} == {"median": D(median), "limit": 3}


def test_the_median_of_nine_fills_is_the_one_in_the_middle():
    record = a_record("1", slippage=("0", "0", "0", "0", "7", "9", "9", "9", "9"))

    answer = told(EntrySlippage(median_fills=9), a_view(record=record), **CLOSE)

    assert D(answer.numbers["median"]) == 7


def test_only_the_last_ten_fills_count():
    assert code(told(EntrySlippage(), a_view(record=a_record("1", slippage=("99",) * 20 + ("0",) * 10)), **CLOSE)) == ""


@pytest.mark.parametrize(("median", "refused"), [("1.5", ""), ("1.51", "realised_slippage")])
def test_at_least_a_tick_is_expected_of_every_fill(median, refused):
    # ten basis points of 100 are 0.10, less than half a tick
    view = a_view(source=Source.ALERTS, mark_bid=D(100), mark_ask=D(100), record=a_record("1", slippage=(median,) * 10))

    assert code(told(EntrySlippage(), view, reference=D(100), stop=D(99))) == refused


# -- guard 8

@pytest.mark.parametrize(("view", "refused"), [
    ({"day_type": "half_day", "session": a_session(local_minute=0)}, ""),
    ({"day_type": "half_day", "session": a_session(local_minute=735)}, "day_type"),     # 12:15
    ({"day_type": "half_day", "session": a_session(local_minute=-1)}, "day_type"),
    # the day is the one that ends at this close: a release at the close before is not of it, nor one at the close itself
    ({"day_type": "event", "events": (("CPI", NOW + 600 * MINUTE - DAY),)}, "input_missing.events"),
    ({"day_type": "event", "events": (("CPI", NOW + 600 * MINUTE - DAY + 1),)}, ""),
    ({"day_type": "event", "events": (("CPI", NOW + 600 * MINUTE),)}, "input_missing.events"),
    ({"day_type": "event", "events": (("CPI", NOW + 600 * MINUTE - 1),)}, "day_type"),
    ({"day_type": None}, "input_missing.day_type"),
])
def test_the_type_of_the_day_to_the_minute(view, refused):
    assert code(told(DayType(), a_view(source=Source.OPTIONS, **view))) == refused


# -- guard 9

def test_a_record_that_is_too_short_says_so():
    assert told(Degradation(), a_view(record=a_record(*("-1",) * 9))).numbers == {"trades": "9", "half_size": "too few trades"}


def test_a_degraded_source_is_on_trial_after_its_rest_in_paper_alone():
    rested = {"record": a_record(*("-1",) * 10, ts_last=NOW - 240 * MINUTE)}

    assert told(Degradation(), a_view(**rested)).numbers == {"trades": "10", "half_size": "on trial"}
    assert code(told(Degradation(), a_view(mode="live", **rested))) == "degraded"
    assert code(told(Degradation(), a_view(record=a_record(*("-1",) * 10)))) == "degraded"


# -- guard 10

def share(bid: str, ask: str) -> Any:
    return a_view(symbol="SPY", mark_bid=D(bid), mark_ask=D(ask))


def coin(bid: str, ask: str, **changes: Any) -> Any:
    return a_view(symbol="BTCUSD", mark_bid=D(bid), mark_ask=D(ask), **{"mark_ask_size": 10**9, **changes})


@pytest.mark.parametrize(("view", "wish", "quantity", "refused"), [
    (a_view(mark=None), {}, "5", "input_missing.mark"), (a_view(), {"stop": D("NaN")}, "5", "input_missing.stop"),
    (a_view(), {"stop": D("Infinity")}, "5", "input_missing.stop"),
    (a_view(mark_bid_size=4), SHORT, "5", "thin"), (a_view(mark_bid_size=5, mark_ask_size=4), SHORT, "5", ""),
    (a_view(mark_bid_size=4), {}, "5", ""),
    # a spread of 0.50: the stop is 1.50 away or more, from the bid for a sale
    (a_view(mark_bid="17999.75"), {**SHORT, "stop": D("18001.25")}, "5", ""),
    (a_view(mark_bid="17999.75"), {**SHORT, "stop": D("18001.00")}, "5", "stop_in_spread"),
    (a_view(mark_bid="18000.25"), {}, "5", ""), (a_view(mark_bid="18000.50"), {}, "5", "wide_spread"),
    (a_view(mark_bid="17999.75"), {}, "5", ""), (a_view(mark_bid="17999.74"), {}, "5", "wide_spread"),
    # a share: two cents, or five basis points where that is more: 0.25 of 500
    (share("499.875", "500.125"), {"stop": D(490)}, "5", ""), (share("499.87", "500.13"), {"stop": D(490)}, "5", "wide_spread"),
    (share("9.99", "10.01"), {"stop": D(9)}, "5", ""), (share("9.985", "10.015"), {"stop": D(9)}, "5", "wide_spread"),
    # a coin: five basis points, whatever its tick: 32 of 64,000, and half a cent of 10
    (coin("63984", "64016"), {"stop": D(60_000)}, "0.5", ""),
    (coin("63984", "64016.02"), {"stop": D(60_000)}, "0.5", "wide_spread"),
    (coin("10.00", "10.01"), {"stop": D(9)}, "0.5", "wide_spread"),
    # half a coin is 5,000 lots of 0.0001
    (coin("63999", "64000", mark_ask_size=5_000), {"stop": D(60_000)}, "0.5", ""),
    (coin("63999", "64000", mark_ask_size=4_999), {"stop": D(60_000)}, "0.5", "thin"),
])
def test_liquidity_up_to_its_limits(view, wish, quantity, refused):
    assert code(told(Liquidity(), view, quantity=quantity, **wish)) == refused


# -- the numbers that are shipped, as the configuration page publishes them

SHIPPED: list[tuple[Any, dict[str, Any]]] = [
    (TimeWindow(), {"windows": (), "before_flat_min": 600 * SECOND, "blackout": 300 * SECOND, "fomc_before": 1_800 * SECOND,
                    "fomc_after": 900 * SECOND}),
    (DataQuality(), {"quote_age_max": 2 * SECOND, "clock_offset_max": 250_000_000, "feed_delay_max": 2 * SECOND,
                     "decision_age_max": 3 * SECOND, "alert_age_max": 30 * SECOND}),
    (RiskLimits(), {"daily_loss": 1_000, "daily_loss_share": D("0.02"), "weekly_loss": 2_500, "weekly_loss_share": D("0.05"),
                    "losses_in_a_row_max": 6, "leverage_max": 20, "options_risk_max": 120, "options_daily_loss": 360,
                    "options_losses_in_a_row_max": 3, "all_daily_loss": 10_000, "all_orders_per_minute": 600,
                    "all_notional": 25_000_000}),
    (PositionCount(), {"total_max": 4, "source_max": 2, "underlying_max": 1}),
    (DirectionalConcentration(), {"same_direction_share": D("0.60"), "daily_loss_share": D("0.02"), "group_positions_max": 2,
                                  "net_value_max": 20}),
    (EntrySlippage(), {"spread_share": D("0.25"), "ticks_max": 2, "stop_share_max": D("0.1"), "basis_points_max": 10,
                       "atr_share_max": D("0.25"), "atr_age_max": 90 * SECOND, "median_factor": D("1.5"), "median_fills": 10,
                       "model_ticks_min": 1}),
    (TrajectoryAlignment(), {"continuation_min": 0.15, "reversal_min": -0.60, "age_max": 90 * SECOND}),
    (DayType(), {"after_event": 900 * SECOND, "half_day_minute": 735, "confidence_min": 0.70}),
    (Degradation(), {"record": RecordRules(trades_min=10, mean_r_min=D("-0.25"), profit_factor_min=D("0.70"),
                                           hit_rate_expected=D("0.40"), deviations=2), "rest": 14_400 * SECOND}),
    (Liquidity(), {"spread_ticks_max": 2, "spread_basis_points_max": 5, "stop_spreads_min": 3}),
    (ReentryCooldown(), {"cooldown": 900 * SECOND, "opposite_wait": 60 * SECOND, "entries_per_day_max": 20}),
]


@pytest.mark.parametrize(("guard", "shipped"), SHIPPED, ids=lambda value: getattr(value, "name", ""))
def test_the_shipped_numbers(guard, shipped):
    assert {each.name: getattr(guard, each.name) for each in dataclasses.fields(guard)} == shipped


@pytest.mark.parametrize(("entries", "refused"), [((("buy", 19),), ""), ((("buy", 20),), "entries_per_day"),
                                                  ((("buy", -1),), "entries_per_day"), ((("sell", 99), ("buy", 0)), "")])
def test_entries_are_counted_by_direction(entries, refused):
    memory = Memory(ts_stop_outs=(), ts_entries=(), entries_today=entries, signal_keys=())

    assert code(told(ReentryCooldown(), a_view(memory=memory))) == refused


def test_with_a_size_of_zero_the_type_of_the_day_is_still_asked():
    view = a_view(source=Source.OPTIONS, day_type=None, tier=4)

    assert refusals(verdict_of(view))["guard.8_day_type"] == "input_missing.day_type"
