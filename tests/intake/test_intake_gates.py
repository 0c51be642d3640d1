"""Each gate refuses its own bad input with its own code; the good alert passes them all, in order."""

from decimal import Decimal

import pytest
from tests.intake.given import (
    COMPUTED,
    NOW,
    SECRET,
    a_message,
    a_row,
    an_intake,
    bytes_of,
    code_of,
    received,
    rules,
    turn,
)

from interlock.intake.gates import (
    check_lane,
    check_profile,
    check_schema,
    check_script,
    check_secret,
    check_strategy,
    check_symbol,
    find_row,
)
from interlock.intake.rules import AlertRow
from interlock.model.account import Mode
from interlock.model.ids import StrategyName
from interlock.model.instrument import Kind
from interlock.model.money import SECOND
from interlock.model.signal import Alert, AlertAccepted, AlertAction, AlertRefused


def answered(lane=None, **changes):
    return code_of(turn(an_intake(lane or rules()), a_message(**changes)))


def test_the_good_alert_passes_every_gate():
    alert = received(a_message())
    read = check_schema(alert, NOW)

    assert isinstance(read, Alert)
    row = find_row(read, rules())
    assert isinstance(row, AlertRow)
    assert [check_secret(alert), check_strategy(read, rules()), check_script(read, rules()),
            check_symbol(read, row, rules()), check_lane(read, row, rules()), check_profile(read, row)] == [None] * 6


def test_an_accepted_alert_holds_what_the_message_said():
    answer = turn(an_intake(), a_message(id="a-7"))

    assert isinstance(answer, AlertAccepted)
    assert answer.instrument == "MES"
    assert answer.alert == Alert(
        strategy=StrategyName("demo"), action=AlertAction.BUY, symbol="MES", source_symbol="CME_MINI:MES1!",
        script_id="demo-1", sent_time=1_717_425_000 * SECOND, bar_time=1_717_424_940 * SECOND,
        price=Decimal("5300.25"), stop=Decimal("5290.25"), target=Decimal("5320.25"), alert_id="a-7")


@pytest.mark.parametrize("body", [b"", b"buy", b"[1]", b'"x"', b"null", b"{", b'{"a":NaN}', b'{"a":-Infinity}',
                                  b'{"a":1e999}', b"\xff\xfe", b'{"a":"\\ud800"}', b'{"a":"\\udc00"}', b"[" * 9000,
                                  b"{}", b'{"a":' * 20 + b"1" + b"}" * 20, b'{"secret":"","a":1}',
                                  b'{"secret":null}',
                                  b'{"secret":"hunter2-hunter2-hunter2","secret":"hunter2-hunter2-hunter2"}'])
def test_gate_1_a_body_without_a_readable_secret_is_secret_absent(body):
    answer = turn(an_intake(), body)

    assert isinstance(answer, AlertRefused)
    assert (answer.code, answer.http_status) == ("secret.absent", 401)


@pytest.mark.parametrize("secret", ["hunter2", SECRET.upper(), SECRET + " ", 7, True, [SECRET], {"a": SECRET}])
def test_gate_1_another_secret_is_wrong(secret):
    answer = turn(an_intake(), a_message(secret=secret))

    assert isinstance(answer, AlertRefused)
    assert (answer.code, answer.http_status) == ("secret.wrong", 401)


@pytest.mark.parametrize("name", ["strategy", "action", "symbol", "source_symbol", "script_id", "price", "bar_time",
                                  "sent_time"])
def test_gate_2_a_missing_field_is_named(name):
    answer = turn(an_intake(), a_message(**{name: None}))

    assert isinstance(answer, AlertRefused)
    assert (answer.code, answer.http_status) == ("schema.missing", 422)
    assert name in answer.reason


@pytest.mark.parametrize(("changes", "code"), [
    ({"strategy": 5}, "schema.type"), ({"symbol": ["MES"]}, "schema.type"), ({"stop": True}, "schema.type"),
    ({"price": {}}, "schema.type"), ({"sent_time": 1.5}, "schema.type"), ({"bar_time": True}, "schema.type"),
    ({"id": True}, "schema.type"),
    ({"strategy": ""}, "schema.text"), ({"symbol": "M" * 129}, "schema.text"), ({"script_id": "a\nb"}, "schema.text"),
    ({"action": "hold"}, "schema.action"), ({"action": "BUY"}, "schema.action"),
    ({"stop": "{{plot_0}}"}, "schema.placeholder"), ({"sent_time": "{{timenow}}"}, "schema.placeholder"),
    ({"comment": "by {{strategy.order.id}}"}, "schema.placeholder"),
    ({"stop": "NaN"}, "schema.number"), ({"stop": "Infinity"}, "schema.number"), ({"price": "na"}, "schema.number"),
    ({"price": ""}, "schema.number"), ({"price": "1_000"}, "schema.number"), ({"price": "５３００"}, "schema.number"),
    ({"price": "1e99"}, "schema.number"), ({"price": "1e-20"}, "schema.number"), ({"price": 10**30}, "schema.number"),
    ({"price": 1e300}, "schema.number"), ({"price": "9" * 400}, "schema.number"),
    ({"sent_time": "2024-06-03 14:30:00"}, "schema.time"), ({"sent_time": "2024-06-03T14:30:00"}, "schema.time"),
    ({"bar_time": "2024-02-30T14:30:00Z"}, "schema.time"), ({"bar_time": 2**63}, "schema.time"),
    ({"bar_time": 2**70}, "schema.time"), ({"bar_time": -5}, "schema.time"),
    ({"bar_time": "9999-12-31T23:59:59Z"}, "schema.time"), ({"bar_time": "0001-01-01T00:00:00+14:00"}, "schema.time"),
    ({"sl": "5280.25"}, "schema.conflict"), ({"tp": "1"}, "schema.conflict"),
    ({"sent_time": "2024-06-03T14:29:29Z"}, "age.late"), ({"sent_time": "2024-06-03T14:30:03Z"}, "age.future"),
])
def test_gate_2_what_is_not_of_the_right_form_is_refused_by_name(changes, code):
    assert answered(**changes) == code


def test_gate_2_a_key_that_stands_twice_is_refused():
    body = b'{"price": "1", ' + bytes_of(a_message())[1:]

    assert code_of(turn(an_intake(), body)) == "schema.duplicate_key"


@pytest.mark.parametrize("changes", [
    {"sent_time": "2024-06-03T14:29:30Z"}, {"sent_time": "2024-06-03T14:30:02Z"},      # the edges of its age
    {"sent_time": 1_717_425_000_000}, {"sent_time": "1717425000000"}, {"sent_time": "2024-06-03T16:30:00.250+02:00"},
    {"price": 5300.25, "stop": 5290.25, "target": 5320}, {"stop": None, "sl": "5290.25"}, {"sl": "5290.250"},
    {"target": None}, {"target": None, "tp": 5320}, {"note": "anything", "depth": {"a": [1, None]}}, {"id": 12},
])
def test_gate_2_what_tradingview_may_send_passes(changes):
    assert answered(**changes) == "accepted"


def test_gate_3_a_strategy_of_another_lane_is_unknown():
    assert answered(strategy="other") == "strategy.unknown"


def test_gate_4_a_script_of_another_strategy_is_unknown():
    lane = rules(a_row(), a_row(strategy="other", script_id="other-1"))

    assert answered(lane, script_id="other-1") == "script.unknown"


@pytest.mark.parametrize("source", ["CME_MINI:MNQ1!", "MES1!", "CBOT:MES1!", "CME_MINI:MES1!x"])
def test_gate_5_a_chart_of_no_row_is_unknown(source):
    assert answered(source_symbol=source) == "source.unknown"


def test_gate_5_for_futures_the_three_must_stand_in_one_row():
    lane = rules(a_row(), a_row(script_id="demo-2", source_symbol="CME_MINI:MNQ1!", symbol="MNQ", instrument="MNQ"))

    assert answered(lane, script_id="demo-2") == "source.triple"
    assert answered(lane, script_id="demo-2", source_symbol="CME_MINI:MNQ1!", symbol="MNQ") == "accepted"


def test_gate_5_crypto_needs_script_and_chart_but_not_in_one_row():
    lane = rules(
        a_row(script_id="c-1", source_symbol="KRAKEN:BTCUSD", symbol="BTC", instrument="BTCUSD", kind=Kind.CRYPTO),
        a_row(script_id="c-2", source_symbol="KRAKEN:ETHUSD", symbol="ETH", instrument="ETHUSD", kind=Kind.CRYPTO),
        kinds=(Kind.CRYPTO,), symbols=("BTCUSD", "ETHUSD"))

    assert answered(lane, script_id="c-2", source_symbol="KRAKEN:BTCUSD", symbol="BTC") == "accepted"


def test_gate_5_a_row_without_an_exchange_takes_the_chart_of_any():
    lane = rules(a_row(source_symbol="MES1!"))

    assert answered(lane, source_symbol="MES1!") == answered(lane, source_symbol="CME_MINI:MES1!") == "accepted"
    assert answered(lane, source_symbol="CME_MINI:MNQ1!") == "source.unknown"


def test_gate_6_a_symbol_that_the_lane_does_not_allow_is_refused():
    assert answered(symbol="ZZZ") == "symbol.not_allowed"
    assert answered(rules(symbols=("MNQ",))) == "symbol.not_allowed"
    assert answered(rules(symbols=())) == "symbol.not_allowed"


def test_gate_6_the_symbol_must_be_that_of_its_row():
    lane = rules(a_row(), a_row(source_symbol="CME_MINI:MNQ1!", symbol="MNQ", instrument="MNQ"))

    assert answered(lane, symbol="MNQ") == "symbol.mismatch"


@pytest.mark.parametrize(("kind", "kinds"), [
    (Kind.CRYPTO, (Kind.FUTURE,)), (Kind.FUTURE, (Kind.CRYPTO,)), (Kind.SHARE, ())])
def test_gate_7_a_lane_refuses_kinds_that_are_not_its_own(kind, kinds):
    assert answered(rules(a_row(kind=kind), kinds=kinds)) == "lane.kind"


@pytest.mark.parametrize("source", ["CME_MINI_DL:MES1!", "CME_MINI_DLY:MES1!"])
def test_gate_7_delayed_data_is_refused_on_a_live_lane_only(source):
    assert answered(rules(mode=Mode.LIVE), source_symbol=source) == "lane.delayed"
    assert answered(rules(mode=Mode.PAPER), source_symbol=source) == "accepted"
    assert answered(rules(mode=Mode.LIVE)) == "accepted"


def test_gate_7_a_lane_without_accounts_refuses():
    assert answered(rules(accounts=())) == "lane.no_accounts"


@pytest.mark.parametrize(("changes", "code"), [
    ({"stop": None}, "profile.stop_missing"),
    ({"stop": "5300.25"}, "profile.stop_side"), ({"stop": "5310.25"}, "profile.stop_side"),
    ({"action": "sell", "target": "5280.25"}, "profile.stop_side"),
    ({"target": "5300.25"}, "profile.target_side"), ({"target": "5299"}, "profile.target_side"),
    ({"action": "sell", "stop": "5310.25"}, "profile.target_side"),
    ({"action": "target"}, "profile.position_missing"),
])
def test_gate_8_an_alert_must_say_how_its_position_ends(changes, code):
    assert answered(**changes) == code


@pytest.mark.parametrize("changes", [
    {"action": "sell", "stop": "5310.25", "target": "5280.25"}, {"action": "sell", "stop": "5310.25", "target": None},
    {"action": "close", "stop": None, "target": None, "price": None}, {"action": "target", "position": 0},
    {"action": "target", "position": "1", "price": None}, {"action": "close", "stop": "NaN", "target": "NaN"},
])
def test_gate_8_lets_a_sound_alert_of_each_action_pass(changes):
    assert answered(**changes) == "accepted"


def test_gate_8_a_profile_that_computes_the_stop_needs_none_but_refuses_a_wrong_one():
    lane = rules(a_row(exit_profile=COMPUTED))

    assert answered(lane, stop=None) == "accepted"
    assert answered(lane, stop="5400") == "profile.stop_side"


def test_the_gates_are_passed_in_order():
    """An alert that is wrong in everything is refused by gate after gate as its faults are mended one by one."""
    lane = rules(a_row(), a_row(script_id="demo-2", source_symbol="CME_MINI:MNQ1!", symbol="MNQ", instrument="MNQ",
                                kind=Kind.SHARE), symbols=("MES",))
    faults = {"secret": "x", "sent_time": "2024-06-03T14:00:00Z", "strategy": "zzz", "script_id": "zzz",
              "source_symbol": "zzz", "symbol": "zzz", "stop": None}
    prefixes = ["secret.", "age.", "strategy.", "script.", "source.", "symbol.", "profile."]

    for name, prefix in zip(list(faults), prefixes, strict=True):
        assert answered(lane, **faults).startswith(prefix)
        del faults[name]
    assert answered(lane, **faults) == "accepted"


def test_the_lane_gate_stands_between_allow_list_and_exit_profile():
    live = rules(mode=Mode.LIVE, symbols=("MNQ",))

    assert answered(live, source_symbol="CME_MINI_DL:MES1!", stop=None) == "symbol.not_allowed"
    assert answered(rules(mode=Mode.LIVE), source_symbol="CME_MINI_DL:MES1!", stop=None) == "lane.delayed"


def test_a_lane_that_is_not_configured_refuses():
    assert code_of(turn(an_intake(), a_message(), lane="gone")) == "lane.unknown"


def test_a_reason_shows_at_most_a_little_of_what_came():
    answer = turn(an_intake(), a_message(strategy="\N{SNOWMAN}" * 100))

    assert isinstance(answer, AlertRefused)
    assert answer.reason.isascii()
    assert len(answer.reason) < 120
