"""Every check provoked from outside, through the whole list that an entry or an exit is asked."""

from typing import Any

import msgspec
import pytest
from tests.gate.world import (
    NOW,
    D,
    a_decision,
    a_definition,
    a_feature,
    a_held,
    a_mark,
    a_pending,
    a_record,
    a_resting,
    a_session,
    a_view,
    allows,
    an_exit,
    asked,
    holding,
    refusals,
    some_limits,
    the_features,
    verdict_of,
)

from interlock.gate.codes import CODES
from interlock.gate.guards.time_window import TimeWindow
from interlock.gate.phases.regime import RegimeConditions
from interlock.gate.registry import GateRules
from interlock.gate.sizing import SizingRules, size
from interlock.model.account import Truth
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Provenance, Quality
from interlock.model.money import MINUTE, SECOND
from interlock.model.signal import Purpose, Side, Source
from interlock.model.verdict import NotApplicable, NotEvaluated, NotRequired
from interlock.model.view import ExitView, Memory, Regime

MILLISECOND = SECOND // 1000


def memory(**changes):
    return Memory(**{"ts_stop_outs": (), "ts_entries": (), "entries_today": (), "signal_keys": (), **changes})


def answer(verdict, check):
    return next(answer.verdict for answer in verdict.answers if answer.check == check)


def test_a_quiet_day_clears_an_entry():
    verdict = verdict_of(a_view())

    assert refusals(verdict) == {}
    assert verdict.is_cleared


# check, code, the view that provokes it, the intent that provokes it
REFUSED: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("kill", "killed", {"killed_by": "all: drill"}, {}),
    ("truth", "truth_unknown", {"account_truth": Truth.UNKNOWN}, {}),
    ("truth", "truth_mismatch", {"account_truth": Truth.BROKER_VERIFIED}, {}),
    ("truth", "truth_mismatch", {"mode": "live"}, {}),
    ("account", "account_disabled", {"account_is_enabled": False}, {}),
    ("account", "account_frozen", {"account_frozen_by": "drift"}, {}),
    ("order.strategy", "order.strategy_off", {"disabled_by": "three rejects of one order"}, {}),
    ("order.tier", "order.tier", {"tier": 3, "tier_reasons": ("acks late",)}, {}),
    ("order.tier", "order.tier", {"tier": 4}, {}),
    ("order.tier", "order.tier", {"tier": -1}, {}),
    ("phase.1_connection", "line_down", {"account_is_line_up": False}, {}),
    ("phase.1_connection", "input_missing.account_id", {"account_account_id": None}, {}),
    ("phase.1_connection", "input_missing.proof", {"account_ts_proof": None}, {}),
    ("phase.1_connection", "proof_old", {"account_ts_proof": NOW - 5 * SECOND - 1}, {}),
    ("phase.1_connection", "proof_old", {"account_ts_proof": NOW + 1}, {}),
    ("phase.2_balance", "input_missing.equity", {"account_equity": None}, {}),
    ("phase.2_balance", "input_missing.equity", {"account_equity": D("NaN")}, {}),
    ("phase.2_balance", "input_missing.balance", {"account_balance": D("Infinity")}, {}),
    ("phase.2_balance", "balance_low", {"account_balance": D("999.99")}, {}),
    ("phase.2_balance", "risk_over_balance", {"account_equity": D(5_000), "account_balance": D(5_000)}, {}),
    ("phase.2_balance", "open_risk_over_balance", {"held": (a_held(instrument="CL", risk=D(2_892)),)}, {}),
    ("phase.2_balance", "open_risk_over_balance", {"pending": (a_pending(instrument="CL", risk=D(2_892)),)}, {}),
    ("phase.3_daily_loss", "input_missing.day_pnl", {"account_day_pnl": None}, {}),
    ("phase.3_daily_loss", "input_missing.day_start_equity", {"account_day_start_equity": None}, {}),
    ("phase.3_daily_loss", "daily_loss", {"account_day_pnl": D(-1000)}, {}),
    ("phase.3_daily_loss", "daily_loss", {"account_day_pnl": D(-900)}, {}),                 # ahead: 900 + 108.70
    ("phase.3_daily_loss", "daily_loss", {"limits": some_limits(daily_loss=D(100))}, {}),
    ("phase.3_daily_loss", "daily_loss", {"pending": (a_pending(instrument="CL", risk=D(900)),)}, {}),
    ("phase.4_regime", "input_missing.regime", {"regime": None}, {}),
    ("phase.4_regime", "input_missing.regime", {"regime": Regime("hmm", "calm", NOW)}, {}),
    ("phase.4_regime", "input_missing.regime", {"regime": Regime("structure", "unknown", NOW)}, {}),
    ("phase.4_regime", "regime_old", {"regime": Regime("structure", "range", NOW - 31 * MINUTE)}, {}),
    ("phase.4_regime", "regime_required", {"regime_detector": "none", "mode": "live"}, {}),
    ("phase.5_size", "tier", {"tier": 3, "tier_reasons": ("acks late",)}, {}),
    ("phase.5_size", "risk_budget", {}, {"stop": D("17900.25")}),
    ("phase.5_size", "input_missing.stop", {}, {"stop": D("NaN")}),
    ("phase.5_size", "stop_side", {}, {"stop": D("18005.00")}),
    ("phase.5_size", "no_rate", {"account_currency": "EUR"}, {}),
    ("phase.5_size", "view_mismatch", {}, {"lane": "other"}),
    ("phase.5_size", "position_limit", {"limits": some_limits(position_per_symbol=D(0))}, {}),
    ("phase.5_size", "notional_limit", {"limits": some_limits(notional_per_order=D(1))}, {}),
    ("phase.5_size", "input_missing.broker_position", {"account_broker_position": None}, {}),
    ("guard.1_time_window", "input_missing.session", {"session": a_session(is_known=False)}, {}),
    ("guard.1_time_window", "session_closed", {"session": a_session(is_open=False)}, {}),
    ("guard.1_time_window", "session_closed", {"session": a_session(ts_close=NOW)}, {}),
    ("guard.1_time_window", "near_flat", {"session": a_session(ts_flat=NOW + 10 * MINUTE - 1)}, {}),
    ("guard.1_time_window", "input_missing.local_minute", {"session": a_session(local_minute=1440)}, {}),
    ("guard.1_time_window", "event_blackout", {"events": (("CPI", NOW + 5 * MINUTE),)}, {}),
    ("guard.1_time_window", "event_blackout", {"events": (("FOMC", NOW + 30 * MINUTE),)}, {}),
    ("guard.1_time_window", "event_blackout", {"events": (("FOMC", NOW - 15 * MINUTE),)}, {}),
    ("guard.1_time_window", "input_missing.events", {"mode": "live"}, {}),
    ("guard.2_data_quality", "input_missing.mark", {"mark": None}, {}),
    ("guard.2_data_quality", "quote_old", {"mark_ts_recv": NOW - 2 * SECOND - 1}, {}),
    ("guard.2_data_quality", "quote_old", {"mark_ts_recv": NOW + 1}, {}),
    ("guard.2_data_quality", "quote_old", {"mark_ts_recv": NOW - 65 * SECOND, "mark_fresh_until": NOW - 1}, {}),
    ("guard.2_data_quality", "quote_quality", {"mark_quality": Quality.STALE}, {}),
    ("guard.2_data_quality", "quote_quality", {"mark_quality": Quality.SYNTH, "mark_provenance": Provenance.LIVE}, {}),
    ("guard.2_data_quality", "quote_from_future", {"mark_ts_event": NOW + 251 * MILLISECOND}, {}),
    ("guard.2_data_quality", "feed_delayed",
     {"mark_ts_event": NOW - 900 * SECOND, "mark_provenance": Provenance.LIVE}, {}),
    ("guard.2_data_quality", "quote_crossed", {"mark_bid": "18000.50"}, {}),
    ("guard.2_data_quality", "market_halted", {"mark_is_halted": True}, {}),
    ("guard.2_data_quality", "market_halted", {"mark_is_open": False}, {}),
    ("guard.2_data_quality", "input_missing.clock_offset", {"clock_offset": None}, {}),
    ("guard.2_data_quality", "clock_offset", {"clock_offset": -251 * MILLISECOND}, {}),
    ("guard.2_data_quality", "decision_late", {}, {"ts_decided": NOW - 3 * SECOND - 1}),
    ("guard.2_data_quality", "decision_late", {"source": Source.ALERTS}, {"ts_decided": NOW - 30 * SECOND - 1}),
    ("guard.3_risk_limits", "input_missing.day_pnl", {"account_day_pnl": None}, {}),
    ("guard.3_risk_limits", "input_missing.week_pnl", {"account_week_pnl": None}, {}),
    ("guard.3_risk_limits", "input_missing.equity", {"account_equity": None}, {}),
    ("guard.3_risk_limits", "input_missing.day_start_equity", {"account_day_start_equity": D("NaN")}, {}),
    ("guard.3_risk_limits", "input_missing.all_day_pnl", {"all_day_pnl": None}, {}),
    ("guard.3_risk_limits", "day_loss_limit", {"account_day_pnl": D(-1000)}, {}),
    ("guard.3_risk_limits", "day_loss_limit", {"account_day_pnl": D(-360), "source": Source.OPTIONS}, {}),
    ("guard.3_risk_limits", "week_loss_limit", {"account_week_pnl": D(-2500)}, {}),
    ("guard.3_risk_limits", "losses_in_a_row", {"account_consecutive_losses": 6}, {}),
    ("guard.3_risk_limits", "losses_in_a_row", {"account_consecutive_losses": 3, "source": Source.OPTIONS}, {}),
    ("guard.3_risk_limits", "all_daily_loss", {"all_day_pnl": D(-10_000)}, {}),
    ("guard.3_risk_limits", "all_order_rate", {"all_orders_last_minute": 600}, {}),
    ("guard.3_risk_limits", "all_notional", {"all_notional": D("24819997.51")}, {}),       # 5 x 18000.25 x 2 more
    ("guard.3_risk_limits", "input_missing.all_notional", {"all_notional": None}, {}),
    ("guard.3_risk_limits", "leverage", {"pending": (a_pending(instrument="CL", notional=D(900_000)),)}, {}),
    ("guard.3_risk_limits", "leverage", {"held": (a_held(instrument="CL", notional=D(900_000)),)}, {}),
    ("guard.4_position_count", "position_count", {"held": (a_held(),)}, {}),
    ("guard.4_position_count", "position_count", {"pending": (a_pending(instrument="NQ"),)}, {}),
    ("guard.4_position_count", "position_count", {"held": (a_held(instrument="NQ", parent=""),)}, {}),
    ("guard.4_position_count", "position_count",
     {"held": (a_held(instrument="CL", parent="CL"), a_held(instrument="GC", parent="GC"))}, {}),
    ("guard.4_position_count", "position_count",
     {"held": tuple(a_held(instrument=name, parent=name, source=Source.ALERTS)
                   for name in ("CL", "GC", "6E", "ES"))}, {}),
    ("guard.5_directional_concentration", "group_positions",
     {"held": (a_held(instrument="ES", parent="ES"), a_held(instrument="YM", parent="YM"))}, {}),
    ("guard.5_directional_concentration", "same_direction_risk",
     {"held": (a_held(instrument="CL", group="CL", risk=D(495)),)}, {}),                    # 495 + 108.70 > 600
    ("guard.5_directional_concentration", "same_direction_risk",
     {"pending": (a_pending(instrument="CL", group="CL", risk=D(495)),)}, {}),
    ("guard.5_directional_concentration", "group_value",
     {"pending": (a_pending(instrument="ES", notional=D(900_000)),)}, {}),
    ("guard.5_directional_concentration", "group_positions",
     {"pending": (a_pending(instrument="ES", parent="ES"), a_pending(instrument="YM", parent="YM"))}, {}),
    ("guard.5_directional_concentration", "group_value", {"held": (a_held(instrument="ES", notional=D(900_000)),)}, {}),
    ("guard.6_entry_slippage", "input_missing.reference", {}, {"reference": None}),
    ("guard.6_entry_slippage", "slippage", {}, {"reference": D("17998.75")}),               # 1.56 over 0.85
    ("guard.6_entry_slippage", "slippage",
     {"source": Source.ALERTS, "features": the_features(atr=100.0)}, {"reference": D("17980.00")}),
    ("guard.6_entry_slippage", "far_from_alert", {"source": Source.ALERTS}, {"reference": D("17997.00")}),
    ("guard.6_entry_slippage", "far_from_alert", {"source": Source.ALERTS}, {"reference": D("18003.25")}),
    ("guard.6_entry_slippage", "input_missing.atr", {"source": Source.ALERTS, "features": ()}, {}),
    ("guard.6_entry_slippage", "input_missing.atr",
     {"source": Source.ALERTS, "features": (a_feature("atr", None),)}, {}),
    ("guard.6_entry_slippage", "realised_slippage", {"record": a_record("1", "1", slippage=("99",) * 10)}, {}),
    ("guard.7_trajectory_alignment", "trajectory", {"features": the_features(trajectory=0.14)}, {}),
    ("guard.7_trajectory_alignment", "trajectory", {"features": the_features(trajectory=-0.61)}, {"setup": "bounce"}),
    ("guard.7_trajectory_alignment", "trajectory",
     {"features": the_features(trajectory=0.5, first=0.2, second=0.1)}, {"setup": "m1"}),
    ("guard.7_trajectory_alignment", "setup_unknown", {}, {"setup": "hunch"}),
    ("guard.7_trajectory_alignment", "input_missing.trajectory", {"features": ()}, {}),
    ("guard.7_trajectory_alignment", "input_missing.trajectory",
     {"features": (a_feature("trajectory", float("nan")), *the_features()[2:])}, {}),
    ("guard.7_trajectory_alignment", "input_missing.trajectory_first", {"features": the_features()[:2]}, {}),
    ("guard.7_trajectory_alignment", "input_missing.trajectory_second",
     {"features": (*the_features()[:3], a_feature("trajectory_second", 1.0, quality=Quality.WARMUP))}, {}),
    ("guard.7_trajectory_alignment", "input_missing.trajectory_second",
     {"features": (*the_features()[:3], a_feature("trajectory_second", 1.0, ts_known=NOW - 91 * SECOND))}, {}),
    ("guard.8_day_type", "input_missing.day_type", {"source": Source.OPTIONS}, {}),
    ("guard.8_day_type", "input_missing.day_type", {"source": Source.OPTIONS, "day_type": "sunny"}, {}),
    ("guard.8_day_type", "day_type", {"source": Source.OPTIONS, "day_type": "trend_down"}, {"setup": "bounce"}),
    ("guard.8_day_type", "day_type", {"source": Source.OPTIONS, "day_type": "range"}, {"setup": "break"}),
    ("guard.8_day_type", "day_type", {"source": Source.OPTIONS, "day_type": "half_day"}, {}),       # 16:13, the limit is 12:15
    ("guard.8_day_type", "day_type",
     {"source": Source.OPTIONS, "day_type": "event", "events": (("CPI", NOW - 15 * MINUTE + 1),)}, {}),
    ("guard.8_day_type", "day_type",
     {"source": Source.OPTIONS, "day_type": "event", "events": (("CPI", NOW - 300 * MINUTE), ("FOMC", NOW + 60 * MINUTE))}, {}),
    ("guard.8_day_type", "input_missing.events", {"source": Source.OPTIONS, "day_type": "event"}, {}),
    ("guard.8_day_type", "input_missing.events",
     {"source": Source.OPTIONS, "day_type": "event", "events": (("CPI", NOW + 3_000 * MINUTE),)}, {}),
    ("guard.8_day_type", "day_type", {"source": Source.OPTIONS, "day_type": "unknown"}, {}),
    ("guard.8_day_type", "day_type", {"source": Source.OPTIONS, "day_type": "unknown"}, {"setup": "reclaim", "confidence": 0.69}),
    ("guard.8_day_type", "input_missing.confidence", {"source": Source.OPTIONS, "day_type": "unknown"}, {"setup": "retest"}),
    ("guard.8_day_type", "input_missing.confidence", {"source": Source.OPTIONS, "day_type": "unknown"},
     {"setup": "retest", "confidence": float("nan")}),
    ("guard.9_degradation", "degraded", {"record": a_record(*("-1", "0.4") * 10)}, {}),     # mean -0.3
    ("guard.9_degradation", "degraded", {"record": a_record(*("-0.1",) * 6, *("0.1",) * 4)}, {}),   # factor 0.67
    ("guard.9_degradation", "degraded", {"record": a_record("9", *("-0.1",) * 19)}, {}),    # 1 hit, 8 - 2 * 2.19 needed
    ("guard.9_degradation", "degraded",
     {"record": a_record(*("-1",) * 10, ts_last=NOW - 239 * MINUTE)}, {}),
    ("guard.10_liquidity", "thin", {"mark_ask_size": 4}, {}),                               # 5 lots
    ("guard.10_liquidity", "wide_spread", {"mark_bid": "17999.50"}, {}),
    ("guard.10_liquidity", "stop_in_spread", {"mark_bid": "17999.75"}, {"stop": D("17999.00")}),
    ("guard.11_reentry_cooldown", "cooldown", {"memory": memory(ts_stop_outs=(("buy", NOW - 15 * MINUTE + 1),))}, {}),
    ("guard.11_reentry_cooldown", "opposite_wait",
     {"memory": memory(ts_entries=(("sell", NOW - 60 * SECOND + 1),))}, {}),
    ("guard.11_reentry_cooldown", "entries_per_day", {"memory": memory(entries_today=(("buy", 20),))}, {}),
    ("order.instrument", "instrument_not_allowed", {"limits": some_limits(symbols=("MES",))}, {}),
    ("order.instrument", "instrument_not_allowed", {"mode": "live"}, {}),
    ("order.definition", "input_missing.definition", {"definition": None}, {}),
    ("order.definition", "input_missing.definition", {"definition": a_definition("MES")}, {}),
    ("order.definition", "definition_differs", {"definition": a_definition(tick=D("0.5"))}, {}),
    ("order.definition", "definition_differs", {"definition": a_definition(lot=D(2))}, {}),
    ("order.definition", "definition_differs", {"definition": a_definition(multiplier=D(20))}, {}),
    ("order.definition", "definition_differs", {"definition": a_definition(multiplier=D("NaN"))}, {}),
    ("order.definition", "definition_differs", {"definition": a_definition(currency="EUR")}, {}),
    ("order.definition", "expired", {"definition": a_definition(ts_expiry=NOW)}, {}),
    ("order.definition", "roll_block", {"definition": a_definition(ts_expiry=NOW + 1440 * MINUTE)}, {}),
    ("order.definition", "roll_block", {"definition": a_definition(ts_roll=NOW)}, {}),
    ("order.self_trade", "input_missing.resting", {"resting": None}, {}),
    ("order.self_trade", "self_trade", {"resting": (a_resting("18000.25"),)}, {}),
    ("order.self_trade", "self_trade", {"resting": (a_resting("18001.00", account="paper-2"),)}, {"limit": D("18001.00")}),
    ("order.reversal", "position_opposite", {"held": (a_held(quantity=D(-2)),)}, {}),
    ("order.reversal", "position_opposite", {"held": (a_held(quantity=D(-1), instrument="NQ"),)}, {}),
    ("order.reversal", "position_opposite", {"account_broker_position": D(-1)}, {}),
    ("order.reversal", "input_missing.broker_position", {"account_broker_position": None}, {}),
    ("order.tick_and_lot", "off_tick", {}, {"stop": D("17990.30")}),
    ("order.tick_and_lot", "off_tick", {}, {"target": D("18020.30")}),
    ("order.bracket", "bracket_stop_side", {}, {"stop": D("18001.00")}),
    ("order.bracket", "bracket_target_side", {}, {"target": D("18000.25")}),
    ("order.collar", "outside_collar", {}, {"limit": D("18200.00")}),
    ("order.collar", "outside_collar", {}, {"target": D("21700.00")}),
    ("order.price_window", "input_missing.price_window", {"window": None}, {}),
    ("order.price_window", "input_missing.price_window", {"window": (D(0), D(18_000))}, {}),
    ("order.price_window", "input_missing.price_window", {"window": (D("NaN"), D(18_000))}, {}),
    ("order.price_window", "outside_price_window", {"window": (D("17475.90"), D(18_000))}, {}),     # 3 % more is 18000.177
    ("order.price_window", "outside_price_window", {"window": (D(18_000), D("18557.00"))}, {}),     # 3 % less is 18000.29
    ("order.price_window", "outside_price_window", {}, {"stop": D("14407.75")}),                    # 80 % of 18010 is 14408
    ("order.price_window", "outside_price_window", {}, {"target": D("21588.25")}),                  # 120 % of 17990 is 21588
    ("order.duplicate", "duplicate_signal", {"memory": memory(signal_keys=("bars:NQ:buy:1",))}, {}),
    ("order.duplicate", "input_missing.signal_key", {"signal_key": ""}, {}),
    ("order.rate", "order_rate", {"account_orders_last_minute": 59}, {}),
    ("order.value_rate", "value_rate", {"account_value_last_minute": D("819997.51")}, {}),          # 5 x 18000.25 x 2 = 180002.50
    ("order.value_rate", "all_value_rate", {"all_value_last_minute": D("24819997.51")}, {}),
    ("order.value_rate", "input_missing.value_last_minute", {"account_value_last_minute": None}, {}),
    ("order.value_rate", "input_missing.all_value_last_minute", {"all_value_last_minute": D("NaN")}, {}),
    ("order.margin", "margin", {"account_margin_used": D("20000.01"), "definition": a_definition(margin=D(1000))}, {}),
    ("order.margin", "input_missing.margin", {"account_margin_used": D(0)}, {}),
    ("order.margin", "input_missing.margin", {"definition": a_definition(margin=D(1000))}, {}),
    ("order.margin", "input_missing.margin", {"account_margin_used": D("NaN"), "definition": a_definition(margin=D(1000))}, {}),
    ("order.margin", "input_missing.equity",
     {"account_margin_used": D(0), "definition": a_definition(margin=D(1000)), "account_equity": None}, {}),
    ("order.provenance", "price_not_live", {"mode": "live", "account_truth": Truth.BROKER_VERIFIED}, {}),
]


@pytest.mark.parametrize(("check", "code", "view", "wish"), REFUSED, ids=[f"{row[0]}-{row[1]}-{n}"
                                                                         for n, row in enumerate(REFUSED)])
def test_a_check_refuses_what_it_is_there_for(check, code, view, wish):
    seen = a_view(**view)

    verdict = verdict_of(seen, asked(seen, **wish))

    assert refusals(verdict).get(check) == code
    assert not verdict.is_cleared
    assert verdict.result.code == next(iter(refusals(verdict).values())), "the first refusal is final"


ALLOWED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("phase.1_connection", {"account_ts_proof": NOW - 5 * SECOND}, {}),
    ("phase.2_balance", {"account_balance": D(6_000), "account_equity": D(6_000)}, {}),
    ("phase.3_daily_loss", {"account_day_pnl": D(-888)}, {}),                               # 888 + 108.70 < 1000
    ("phase.4_regime", {"regime": Regime("structure", "range", NOW - 30 * MINUTE)}, {}),
    ("guard.1_time_window", {"session": a_session(ts_flat=NOW + 10 * MINUTE)}, {}),
    ("guard.1_time_window", {"events": (("CPI", NOW + 5 * MINUTE + 1), ("FOMC", NOW - 15 * MINUTE - 1))}, {}),
    ("guard.2_data_quality", {"mark_ts_recv": NOW - 2 * SECOND}, {}),
    ("guard.2_data_quality", {"mark_quality": Quality.SYNTH, "mark_provenance": Provenance.PLAYBACK,
                              "mark_ts_recv": NOW - 60 * SECOND, "mark_fresh_until": NOW + 3 * SECOND}, {}),
    ("guard.2_data_quality", {"clock_offset": 250 * MILLISECOND}, {"ts_decided": NOW - 3 * SECOND}),
    ("guard.3_risk_limits", {"account_consecutive_losses": 5, "account_week_pnl": D(-2499)}, {}),
    ("guard.4_position_count", {"held": (a_held(account="other"),)}, {}),
    ("guard.4_position_count", {"held": (a_held(instrument="ES", parent="ES"),)}, {}),
    ("guard.5_directional_concentration", {"held": (a_held(instrument="ES", quantity=D(-1), risk=D(590)),)}, {}),
    ("guard.6_entry_slippage", {"source": Source.ALERTS}, {"reference": D("18003.00")}),
    ("guard.6_entry_slippage", {"record": a_record("1", slippage=("9",) * 9)}, {}),
    ("guard.7_trajectory_alignment", {"features": the_features(trajectory=0.15)}, {"setup": ""}),
    ("guard.7_trajectory_alignment", {"features": the_features(trajectory=-0.6, first=-0.5, second=-0.5)},
     {"setup": "reclaim"}),
    ("guard.8_day_type", {"source": Source.OPTIONS, "day_type": "normal"}, {}),
    ("guard.8_day_type", {"source": Source.OPTIONS, "day_type": "opex"}, {"setup": "break"}),
    ("guard.8_day_type", {"source": Source.OPTIONS, "day_type": "trend_up"}, {"setup": "bounce"}),
    ("guard.8_day_type", {"source": Source.OPTIONS, "day_type": "trend_down"}, {"setup": "break"}),
    ("guard.8_day_type", {"source": Source.OPTIONS, "day_type": "range"}, {"setup": "bounce"}),
    ("guard.8_day_type", {"source": Source.OPTIONS, "day_type": "half_day", "session": a_session(local_minute=734)}, {}),
    ("guard.8_day_type", {"source": Source.OPTIONS, "day_type": "event", "events": (("CPI", NOW - 15 * MINUTE),)}, {}),
    ("guard.8_day_type", {"source": Source.OPTIONS, "day_type": "unknown"}, {"setup": "retest", "confidence": 0.7}),
    ("guard.9_degradation", {"record": a_record(*("-1",) * 9)}, {}),
    ("guard.9_degradation", {"record": a_record(*("-1",) * 10, ts_last=NOW - 240 * MINUTE)}, {}),
    ("guard.10_liquidity", {"mark_ask_size": 5}, {}),
    ("guard.10_liquidity", {"mark_bid": "17999.75"}, {"stop": D("17998.75")}),
    ("guard.11_reentry_cooldown", {"memory": memory(ts_stop_outs=(("buy", NOW - 15 * MINUTE), ("sell", NOW)),
                                                    ts_entries=(("buy", NOW), ("sell", NOW - 60 * SECOND)),
                                                    entries_today=(("buy", 19), ("sell", 90)))}, {}),
    ("order.instrument", {"limits": some_limits(symbols=("MES", "MNQ"))}, {}),
    ("order.collar", {}, {"limit": D("18100.00")}),
    ("order.rate", {"account_orders_last_minute": 58}, {}),
    ("order.tier", {"tier": 2}, {}),
    ("order.definition", {"definition": a_definition(tick=D("0.250"), lot=D("1.0"))}, {}),
    ("order.definition", {"definition": a_definition(ts_expiry=NOW + 1440 * MINUTE + 1, ts_roll=NOW + 1)}, {}),
    ("order.self_trade", {"resting": (a_resting("18000.50"), a_resting("17999.00", side=Side.BUY))}, {}),
    ("order.self_trade", {"resting": (a_resting("18000.25", instrument="NQ"),)}, {}),
    ("order.price_window", {"window": (D(17_476), D(18_000))}, {}),                                 # 3 % more is 18000.28
    ("order.price_window", {"window": (D(18_000), D("18556.75"))}, {}),                             # 3 % less is 18000.0475
    ("order.value_rate", {"account_value_last_minute": D("819997.50"), "all_value_last_minute": D("24819997.50")}, {}),
    ("order.margin", {"account_margin_used": D(20_000), "definition": a_definition(margin=D(1000))}, {}),   # 5 x 1000 more
    ("order.margin", {}, {}),
    ("guard.3_risk_limits", {"all_notional": D("24819997.50")}, {}),
]


@pytest.mark.parametrize(("check", "view", "wish"), ALLOWED, ids=[f"{row[0]}-{n}" for n, row in enumerate(ALLOWED)])
def test_a_check_allows_up_to_its_limit(check, view, wish):
    seen = a_view(**view)

    assert allows(verdict_of(seen, asked(seen, **wish)), check)


def test_a_short_entry_is_cleared_like_a_long_one():
    view = a_view(features=the_features(trajectory=-0.8))

    verdict = verdict_of(view, asked(view, side=Side.SELL, stop=D("18010.00"), target=D("17980.00")))

    assert refusals(verdict) == {}
    assert verdict.result.order.parent.side is Side.SELL


@pytest.mark.parametrize(("source", "left_out"), [
    (Source.OPTIONS, ()), (Source.BARS, ("guard.8_day_type",)),
    (Source.ALERTS, ("guard.7_trajectory_alignment", "guard.8_day_type")),
])
def test_guards_that_do_not_apply_are_recorded_as_such(source, left_out):
    verdict = verdict_of(a_view(source=source))

    found = tuple(answer.check for answer in verdict.answers if isinstance(answer.verdict, NotApplicable))
    assert found == left_out


@pytest.mark.parametrize(("mode", "source"), [("paper", Source.BARS), ("paper", Source.ALERTS),
                                              ("live", Source.ALERTS)])
def test_a_lane_without_detector_is_recorded_as_not_required(mode, source):
    verdict = verdict_of(a_view(regime_detector="none", regime=None, mode=mode, source=source))

    assert isinstance(answer(verdict, "phase.4_regime"), NotRequired)


def test_a_regime_outside_the_list_of_the_strategy_is_refused():
    rules = GateRules(regime=RegimeConditions(allowed={"drive": ("trend_up",)}))

    assert verdict_of(a_view(), rules=rules).is_cleared
    assert refusals(verdict_of(a_view(regime=Regime("structure", "range", NOW)), rules=rules)) == {
        "phase.4_regime": "regime_not_allowed"}


@pytest.mark.parametrize(("windows", "minute", "is_in"), [
    (((570, 660),), 570, True), (((570, 660),), 660, False), (((1320, 120),), 1380, True), (((1320, 120),), 119, True),
    (((1320, 120),), 120, False), (((0, 10), (970, 980)), 973, True),
])
def test_entry_windows_are_half_open_and_may_run_over_midnight(windows, minute, is_in):
    rules = GateRules(time_window=TimeWindow(windows=windows))

    verdict = verdict_of(a_view(session=a_session(local_minute=minute)), rules=rules)

    assert (refusals(verdict) == {}) is is_in
    assert verdict.is_cleared is is_in


def test_with_size_zero_what_needs_a_quantity_is_not_evaluated_and_the_rest_is():
    verdict = verdict_of(a_view(tier=4))

    silent = {answer.check for answer in verdict.answers if isinstance(answer.verdict, NotEvaluated)}
    assert silent == {"guard.3_risk_limits", "guard.5_directional_concentration", "guard.10_liquidity",
                      "order.tick_and_lot", "order.value_rate", "order.margin"}
    assert (verdict.result.code, refusals(verdict)) == ("order.tier", {"order.tier": "order.tier", "phase.5_size": "tier"})


@pytest.mark.parametrize(("tier", "budget", "quantity"), [
    (0, "120", 5), (1, "120", 4), (2, "120", 2),       # 21.74 each: 120, 90 and 60 for it
    (0, "22", 1), (1, "22", 0), (2, "43.48", 1),
])
def test_a_tier_shrinks_the_size_and_may_take_the_last_contract(tier, budget, quantity):
    rules = GateRules(sizing=SizingRules(risk_per_trade=D(budget)))

    verdict = verdict_of(a_view(tier=tier), rules=rules)

    assert verdict.result.sized.quantity == quantity
    assert verdict.is_cleared is (quantity > 0)


def test_when_the_micro_is_chosen_every_check_sees_the_micro():
    view = a_view(instrument=INSTRUMENTS["NQ"], mark=a_mark("NQ"), micro=INSTRUMENTS["MNQ"],
                  micro_mark=a_mark("MNQ", ts_recv=NOW - 3 * SECOND), definition=a_definition("NQ"),
                  micro_definition=a_definition("MNQ", ts_expiry=NOW), micro_window=(D(19_000), D(19_001)),
                  resting=(a_resting("18000.25"), a_resting("18000.25", instrument="NQ")))

    verdict = verdict_of(view)

    assert verdict.result.sized.instrument == "MNQ"
    assert refusals(verdict) == {"guard.2_data_quality": "quote_old", "order.definition": "expired",
                                 "order.self_trade": "self_trade", "order.price_window": "outside_price_window"}


# -- exits

@pytest.mark.parametrize("purpose", [Purpose.PROTECT, Purpose.TARGET, Purpose.REDUCE, Purpose.FLATTEN])
@pytest.mark.parametrize("trouble", [
    {"killed_by": "all: drill"}, {"tier": 4}, {"account_is_enabled": False}, {"account_frozen_by": "drift"},
    {"session": a_session(is_open=False, is_known=False)}, {"account_day_pnl": D(-9_999)}, {"account_equity": None},
    {"account_orders_last_minute": 999}, {"regime": None}, {"mark_ts_recv": NOW - 3600 * SECOND}, {"signal_key": ""},
    {"account_truth": Truth.UNKNOWN}, {"limits": some_limits(symbols=("ES",))}, {"clock_offset": None},
    {"mark_is_halted": True}, {"disabled_by": "broke"}, {"definition": None}, {"window": None}, {"resting": None},
    {"all_notional": None}, {"all_value_last_minute": None}, {"account_value_last_minute": D(9_999_999)},
    {"account_margin_used": D(10**9)}, {"definition": a_definition(ts_expiry=NOW - 1)},
])
def test_what_stops_us_getting_in_does_not_stop_us_getting_out(purpose, trouble):
    view = holding(**trouble)

    verdict = verdict_of(view, an_exit(view, purpose, person="owner"))

    assert refusals(verdict) == {}
    assert verdict.is_cleared


def live(**changes):
    return ExitView(**{"client_order_id": "x" * 18, "side": Side.SELL, "remaining": D(2), **changes})


@pytest.mark.parametrize(("check", "code", "view", "wish"), [
    ("exit.account", "input_missing.account_id", {"account_account_id": None}, {}),
    ("exit.position", "input_missing.broker_position", {"account_broker_position": None}, {}),
    ("exit.position", "input_missing.proof", {"account_ts_proof": None}, {}),
    ("exit.position", "broker_position_old", {"account_ts_proof": NOW - 30 * SECOND - 1}, {}),
    ("exit.position", "broker_position_old", {"account_ts_read": NOW - 15 * SECOND - 1},
     {"purpose": Purpose.FLATTEN, "person": "owner", "stop": None}),
    ("exit.position", "input_missing.read", {"account_ts_read": None},
     {"purpose": Purpose.FLATTEN, "person": "owner", "stop": None}),
    ("exit.position", "nothing_to_exit", {"account_broker_position": D(0)},
     {"purpose": Purpose.FLATTEN, "person": "owner", "stop": None}),
    ("exit.position", "nothing_to_exit", {"account_position": D(0)}, {}),
    ("exit.position", "nothing_to_exit", {"account_broker_position": D(-2)}, {}),
    ("exit.position", "nothing_to_exit", {}, {"side": Side.BUY}),
    ("exit.never_crosses_zero", "input_missing.exits", {"exits": None}, {}),
    ("exit.never_crosses_zero", "may_cross_zero", {"exits": (live(remaining=D(1)),)}, {}),
    ("exit.never_crosses_zero", "may_cross_zero", {"exits": (live(group="a"), live(group="a"))}, {}),
    ("exit.never_crosses_zero", "may_cross_zero", {"exits": (live(remaining=D(3)),)}, {"replaces": "x" * 18}),
    ("order.tick_and_lot", "off_tick", {}, {"stop": D("17990.30")}),
    ("order.wide_collar", "outside_collar", {}, {"stop": D("14000.00")}),
    ("order.wide_collar", "input_missing.reference", {"mark": None, "held": ()}, {}),
])
def test_an_exit_is_refused_where_it_might_not_reduce(check, code, view, wish):
    seen = holding(**view)

    verdict = verdict_of(seen, an_exit(seen, **wish))

    assert refusals(verdict).get(check) == code
    assert not verdict.is_cleared


@pytest.mark.parametrize(("view", "wish"), [
    ({"exits": (live(),)}, {"replaces": "x" * 18}),
    ({"exits": (live(is_reduce_only=True),)}, {}),
    ({"exits": (live(side=Side.BUY),)}, {}),
    ({"exits": (live(purpose=Purpose.TARGET),), "account_pair_may_rest": True}, {}),
    ({"exits": (live(remaining=D(1)),)}, {"quantity": D(1)}),
    ({"exits": (live(group="a", remaining=D(1)), live(group="a", remaining=D(1)))}, {"quantity": D(1)}),
    ({"mark": None}, {}),
])
def test_an_exit_that_can_only_reduce_is_cleared(view, wish):
    seen = holding(**view)

    assert refusals(verdict_of(seen, an_exit(seen, **wish))) == {}


def test_two_stops_may_not_rest_even_where_a_pair_may():
    view = holding(exits=(live(),), account_pair_may_rest=True)

    assert refusals(verdict_of(view, an_exit(view))) == {"exit.never_crosses_zero": "may_cross_zero"}


def test_flatten_needs_a_person():
    view = holding()

    assert refusals(verdict_of(view, an_exit(view, Purpose.FLATTEN))) == {"exit.person": "input_missing.person"}


@pytest.mark.parametrize(("decision", "code"), [
    (None, "input_missing.person"), (a_decision(command="another"), "person_decided_other"),
    (a_decision(instrument="ES"), "person_decided_other"), (a_decision(ts=NOW - 300 * SECOND - 1), "person_decided_before"),
    (a_decision(ts=NOW + 1), "person_decided_before"),
])
def test_the_flatten_that_an_order_names_must_be_the_one_in_force(decision, code):
    view = holding(decision=decision)

    assert refusals(verdict_of(view, an_exit(view, Purpose.FLATTEN, person="owner"))) == {"exit.person": code}


def test_during_drift_an_exit_takes_the_smaller_position():
    view = holding("3", "1")

    assert verdict_of(view, an_exit(view)).result.order.parent.quantity == 1


@pytest.mark.parametrize(("ours", "theirs"), [("3", "1"), ("1", "3"), ("0", "3"), ("-3", "3")])
def test_a_flatten_closes_what_the_broker_holds_whatever_our_book_says(ours, theirs):
    view = holding(ours, theirs)

    verdict = verdict_of(view, an_exit(view, Purpose.FLATTEN, person="owner"))

    assert refusals(verdict) == {}
    assert verdict.result.order.parent.quantity == D(theirs)


def test_a_flatten_too_never_crosses_zero():
    view = holding("3", "3", exits=(live(remaining=D(1)),))

    assert refusals(verdict_of(view, an_exit(view, Purpose.FLATTEN, person="owner"))) == {
        "exit.never_crosses_zero": "may_cross_zero"}


# -- monotony

NOT_INPUTS = {"killed_by", "frozen_by", "disabled_by", "events", "micro", "micro_mark", "margin_used"}
"""None says something here: not killed, frozen or disabled, no calendar, no micro, a broker that tells no margin."""

BAD_WORLDS = [row for row in REFUSED if row[0] not in ("kill",)]


@pytest.mark.parametrize(("check", "code", "view", "wish"), BAD_WORLDS[::7])
def test_taking_an_input_away_never_turns_a_refusal_into_a_clearance(check, code, view, wish):
    seen = a_view(**view)
    intent = asked(seen, **wish)
    assert not verdict_of(seen, intent).is_cleared

    for path, thinner in without_each_input(seen):
        assert not verdict_of(thinner, intent).is_cleared, path


def test_an_entry_is_cleared_only_with_every_input_that_some_check_reads():
    seen = a_view()
    needed = {path for path, thinner in without_each_input(seen) if not verdict_of(thinner, asked(seen)).is_cleared}

    assert needed >= {
        "mark", "session", "regime", "clock_offset", "all_day_pnl", "account.equity", "account.balance",
        "account.day_pnl", "account.week_pnl", "account.day_start_equity", "account.ts_proof", "account.account_id",
        "account.broker_position", "account.position", "mark.bid", "mark.ask", "mark.ask_size", "mark.ts_recv",
        "session.ts_flat", "limits.daily_loss", "limits.position_per_symbol", "record.r_multiples", "held", "pending",
        "memory", "tier", "now", "features", "limits.orders_per_minute", "definition", "window", "resting", "all_notional",
        "all_value_last_minute", "account.value_last_minute"}


def without_each_input(view):
    """The view with one field (or field of a field) set to None, for each of them."""
    for name in view.__struct_fields__:
        value = getattr(view, name)
        if name in NOT_INPUTS:
            continue
        yield name, msgspec.structs.replace(view, **{name: None})
        if name in ("account", "mark", "session", "limits", "record", "memory", "regime") and value is not None:
            for inner in value.__struct_fields__:
                if inner not in NOT_INPUTS:
                    smaller = msgspec.structs.replace(value, **{inner: None})
                    yield f"{name}.{inner}", msgspec.structs.replace(view, **{name: smaller})


def test_every_code_that_a_check_gave_stands_in_the_catalogue():
    known = {code.code for code in CODES}
    given = set()
    for _, _, view, wish in REFUSED:
        seen = a_view(**view)
        given |= set(refusals(verdict_of(seen, asked(seen, **wish))).values())

    assert given <= known


# -- coins

def coin(**changes):
    """BTCUSD at 64000, one tick wide."""
    return a_view(**{"symbol": "BTCUSD", "mark_bid": D("63999.99"), "mark_ask": D("64000.00"), "mark_bid_size": 10**9,
                     "mark_ask_size": 10**9, "window": (D(63_900), D(64_100)), **changes})


@pytest.mark.parametrize(("view", "wish", "code"), [
    ({}, {"side": Side.SELL, "stop": D(64_640)}, "spot_short"),
    ({"account_balance": D("9.99"), "account_equity": D(50_000)}, {}, "notional_min"),
    ({"account_balance": None}, {}, "input_missing.funds"),
])
def test_a_coin_is_bought_from_what_is_there(view, wish, code):
    seen = coin(**view)

    verdict = verdict_of(seen, asked(seen, **{"stop": D(63_360), "target": None, "reference": D(64_000), **wish}))

    assert refusals(verdict)["phase.5_size"] == code


def test_an_options_strategy_has_a_limit_of_its_own_per_trade():
    rules = GateRules(sizing=SizingRules(risk_per_trade=D(500)))
    view = a_view(source=Source.OPTIONS, day_type="normal")

    assert refusals(verdict_of(view, rules=rules))["guard.3_risk_limits"] == "trade_risk"


# -- a size that is wrong: no market brings it about, only a fault of our own

@pytest.mark.parametrize(("changes", "check", "code"), [
    ({"quantity": D("1.5"), "risk": D("32.61")}, "order.tick_and_lot", "off_lot"),
    ({"quantity": D(9), "risk": D("195.66")}, "phase.5_size", "risk_over_cap"),
])
def test_a_wrong_size_is_refused_even_where_it_is_computed_twice(monkeypatch, changes, check, code):
    def wrong(asked, view, rules):
        return msgspec.structs.replace(size(asked, view, rules), **changes)

    monkeypatch.setattr("interlock.gate.judge.size", wrong)
    monkeypatch.setattr("interlock.gate.phases.size_confirmed.size", wrong)

    assert refusals(verdict_of(a_view()))[check] == code


def test_an_exit_that_is_sized_too_large_is_refused(monkeypatch):
    view = holding("2")

    def wrong(asked, view, rules):
        return msgspec.structs.replace(size(asked, view, rules), quantity=D(3))

    monkeypatch.setattr("interlock.gate.judge.size", wrong)

    assert refusals(verdict_of(view, an_exit(view)))["exit.position"] == "exit_over_position"


# -- what is not known to be open is closed

@pytest.mark.parametrize("unknown", [
    {"mark": None}, {"session": a_session(is_known=False)}, {"session": a_session(is_open=False)},
    {"session": a_session(is_known=None)}, {"session": a_session(is_open=None)}, {"mark_is_open": None},
    {"mark_is_halted": None}, {"mark_is_open": False}, {"mark_is_halted": True}, {"mark_ts_recv": NOW - 2 * SECOND - 1},
    {"session": a_session(ts_open=NOW + 1)}, {"session": a_session(ts_close=NOW)}, {"session": a_session(ts_flat=None)},
])
def test_a_market_that_is_not_known_to_be_open_is_closed(unknown):
    assert not verdict_of(a_view(**unknown)).is_cleared
