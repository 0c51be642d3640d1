"""What a user pastes at TradingView, and the filled-in alert that tries the path."""

import json
import re
from decimal import Decimal

import pytest
from tests.intake.given import COMPUTED, NOW, SECRET, a_row, an_intake, code_of, rules, turn

from interlock.intake.pine import FROM_SCRIPT, alert_message, as_text, sample, set_up_steps
from interlock.intake.rules import ExitProfile
from interlock.model.money import SECOND
from interlock.model.signal import AlertAction

FILL = {"{{close}}": "5300.25", "{{plot_0}}": "5290.25", "{{plot_1}}": "5320.25", "{{time}}": "2024-06-03T14:29:00Z",
        "{{timenow}}": "2024-06-03T14:30:00Z", FROM_SCRIPT: "buy"}


def as_tradingview_sends(text):
    for placeholder, value in FILL.items():
        text = text.replace(placeholder, value)
    return text.encode()


@pytest.mark.parametrize("profile", [
    ExitProfile(name="bracket"), COMPUTED, ExitProfile(name="alert", is_target_owned=True)])
@pytest.mark.parametrize("action", ["buy", "close", "target", FROM_SCRIPT])
def test_the_printed_message_is_accepted_once_tradingview_has_filled_it_in(profile, action):
    row = a_row(exit_profile=profile)
    text = as_text(alert_message(row, SECRET, action))

    if "stop" not in json.loads(text):
        text = text.replace("plot_0", "plot_1")
    assert code_of(turn(an_intake(rules(row)), as_tradingview_sends(text))) == "accepted"


def test_the_placeholders_are_those_that_tradingview_knows():
    text = as_text(alert_message(a_row(), SECRET))

    found = set(re.findall(r"\{\{[^}]*\}\}", text))
    assert found == {"{{close}}", "{{plot_0}}", "{{plot_1}}", "{{time}}", "{{timenow}}"}
    assert "\\" not in text, "a quotation mark inside a placeholder would not be resolved"
    assert json.loads(text)["secret"] == SECRET


def test_the_steps_name_the_chart_and_the_address():
    steps = set_up_steps(a_row(), "https://x.example.com/hook/tok")

    assert "CME_MINI:MES1!" in steps
    assert "https://x.example.com/hook/tok" in steps
    assert "{{plot_0}}" in steps
    assert "The stop" not in set_up_steps(a_row(exit_profile=COMPUTED), "/hook/tok")


@pytest.mark.parametrize("late", [0, 1, SECOND - 1])
def test_a_sample_is_accepted_now_and_each_is_new(late):
    intake, now = an_intake(), NOW + late
    for nonce in range(20):
        message = sample(a_row(), Decimal("5300.25"), Decimal("5290.25"), Decimal("5310.25"), now, nonce, secret=SECRET)
        assert code_of(turn(intake, message, now)) == "accepted"


@pytest.mark.parametrize(("action", "stop", "target"), [
    (AlertAction.SELL, Decimal("5310"), None), (AlertAction.CLOSE, Decimal(1), None), (AlertAction.TARGET, None, None)])
def test_a_sample_of_each_action_is_accepted(action, stop, target):
    message = sample(a_row(), Decimal("5300.25"), stop, target, NOW, 1, secret=SECRET, action=action)

    assert code_of(turn(an_intake(), message)) == "accepted"


def test_a_sample_says_its_times_at_tradingviews_grain():
    message = sample(a_row(), Decimal("5300.250"), None, None, NOW + 999_999_999, 7, secret=SECRET)

    assert message["sent_time"] == "2024-06-03T14:30:00Z"
    assert message["bar_time"] == "2024-06-03T14:30:00.000007Z"
    assert message["price"] == "5300.25"
    assert "stop" not in message
