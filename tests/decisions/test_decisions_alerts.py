"""Accepted alerts as intents: each action, each exit profile, each reason to end here."""

# mypy: disable-error-code="arg-type,union-attr,func-returns-value,has-type"

from decimal import Decimal

import pytest

from interlock.decisions.alerts import ExitProfile, convert
from interlock.errors import InputError
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Quality
from interlock.model.record import IntentAbandoned
from interlock.model.signal import AccountIntent, Alert, AlertAccepted, AlertAction, Intent, Purpose, Side, Source
from interlock.model.view import Feature

MES = INSTRUMENTS["MES"]
ATR = Feature("atr", 4.1, Quality.OK, 1)
COMPUTES = ExitProfile(stop_atrs=Decimal("1.5"))


def converted(action, held=None, profile=COMPUTES, mid="5000", atr=ATR, **fields):
    decimals = {name: Decimal(value) for name, value in fields.items()}
    alert = Alert("demo", AlertAction(action), "MES1!", "CME_MINI:MES1!", "abc", 1, 1, **decimals)
    accepted = AlertAccepted("sig", "lane", alert, "MES", None)
    quantities = {name: Decimal(quantity) for name, quantity in (held or {}).items()}
    return convert(accepted, 77, profile, MES, quantities, mid and Decimal(mid), atr)


def the(result):
    assert isinstance(result, tuple), result
    assert len(result) == 1
    return result[0]


def refused(result):
    assert isinstance(result, IntentAbandoned), result
    assert result.signal_id == "sig"
    return result.code


@pytest.mark.parametrize(
    ("action", "stop", "target", "side"), [("buy", "4990", "5020", Side.BUY), ("sell", "5010", "4980", Side.SELL)]
)
def test_an_entry_with_its_own_exits_keeps_them(action, stop, target, side):
    intent = the(converted(action, stop=stop, target=target, price="5001"))

    assert intent == Intent(
        signal_id="sig",
        lane="lane",
        strategy="demo",
        source=Source.ALERTS,
        instrument="MES",
        side=side,
        purpose=Purpose.ENTER,
        why=f"alert {action}",
        ts_decided=77,
        stop=Decimal(stop),
        target=Decimal(target),
        reference=Decimal("5001"),
    )


def test_exits_off_the_tick_are_rounded_the_stop_away_and_the_target_nearer():
    buy, sell = (
        the(converted("buy", stop="4990.1", target="5020.1")),
        the(converted("sell", stop="5010.1", target="4980.1")),
    )

    assert (buy.stop, buy.target) == (Decimal("4990.00"), Decimal("5020.00"))
    assert (sell.stop, sell.target) == (Decimal("5010.25"), Decimal("4980.25"))


@pytest.mark.parametrize(("action", "stop"), [("buy", "4993.75"), ("sell", "5006.25")])
def test_a_profile_computes_the_stop_that_an_alert_lacks_from_the_market_not_from_its_price(action, stop):
    intent = the(converted(action, price="5000.25"))

    assert intent.stop == Decimal(stop), "1.5 x 4.1 = 6.15 from 5000, rounded away"
    assert intent.reference == Decimal("5000.25")


def test_with_alert_owned_exits_only_the_stop_rests():
    intent = the(converted("buy", stop="4990", target="5020", profile=ExitProfile(name="alert")))

    assert (intent.stop, intent.target, intent.is_target_owned) == (Decimal(4990), None, True)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"profile": ExitProfile()}, "stop_missing"),
        ({"atr": None}, "input_missing.atr"),
        ({"atr": Feature("atr", None, Quality.WARMUP, 1)}, "input_missing.atr"),
        ({"atr": Feature("atr", 4.0, Quality.STALE, 1)}, "input_missing.atr"),
        ({"mid": None}, "input_missing.mark"),
    ],
)
def test_what_is_needed_and_not_there_ends_it(changes, code):
    assert refused(converted("buy", **changes)) == code


def test_an_entry_is_for_every_account_whatever_each_holds_on_that_side():
    assert isinstance(the(converted("buy", held={"a": "2", "b": "0"}, stop="4990")), Intent)


@pytest.mark.parametrize(("action", "held"), [("buy", "-1"), ("sell", "1")])
def test_an_entry_against_an_open_position_is_the_gates_to_refuse_account_by_account(action, held):
    assert isinstance(the(converted(action, held={"a": held, "b": "0"}, stop="4990")), Intent)


@pytest.mark.parametrize(("held", "side"), [({"a": "2", "b": "3"}, Side.SELL), ({"a": "-2", "b": "0"}, Side.BUY)])
def test_close_leaves_all_of_it(held, side):
    intent = the(converted("close", held=held))

    assert (intent.purpose, intent.side, intent.quantity, intent.stop) == (Purpose.REDUCE, side, None, None)


def test_close_of_nothing_says_so():
    assert refused(converted("close", held={"a": "0"})) == "nothing_to_close"
    assert refused(converted("target", position="0")) == "nothing_to_close"


def test_close_where_accounts_stand_on_different_sides_is_told_to_each():
    result = converted("close", held={"a": "2", "b": "-1"})

    assert [(each.account, each.intent.side) for each in result] == [("a", Side.SELL), ("b", Side.BUY)]


@pytest.mark.parametrize(("position", "side"), [("3", Side.BUY), ("-3", Side.SELL)])
def test_a_target_from_flat_enters_on_its_side_and_sizes_nothing(position, side):
    intent = the(converted("target", position=position))

    assert (intent.purpose, intent.side, intent.quantity) == (Purpose.ENTER, side, None)


def test_a_smaller_target_reduces_each_account_to_it():
    result = converted("target", held={"a": "7", "b": "2", "c": "3"}, position="2")

    assert all(isinstance(each, AccountIntent) for each in result)
    assert [(each.account, each.intent.side, each.intent.quantity) for each in result] == [
        ("a", Side.SELL, Decimal(5)),
        ("c", Side.SELL, Decimal(1)),
    ]


@pytest.mark.parametrize("position", ["2", "5"])
def test_a_target_that_is_no_smaller_holds_with_its_reason(position):
    result = converted("target", held={"a": "2"}, position=position)

    assert refused(result) == "target_not_smaller"
    assert "not added to" in result.why


def test_a_target_on_the_other_side_closes_only_and_says_that_a_reversal_needs_a_second_alert():
    intent = the(converted("target", held={"a": "2"}, position="-2"))

    assert (intent.purpose, intent.side, intent.quantity) == (Purpose.REDUCE, Side.SELL, None)
    assert "second alert once flat" in intent.why


def test_a_target_without_a_position_is_no_target():
    assert refused(converted("target", held={"a": "2"})) == "alert_position_missing"


@pytest.mark.parametrize("fields", [{"name": "other"}, {"stop_atrs": Decimal(0)}])
def test_a_profile_that_makes_no_sense_is_refused(fields):
    with pytest.raises(InputError, match="exit profile"):
        ExitProfile(**fields)
