"""Every question has an answer, and every answer a reason."""

import tomllib
from importlib import resources

QUESTIONS = {
    "place", "modify", "cancel", "client_order_id", "lookup_by_client_order_id", "snapshot",
    "fills_replayed_after_reconnect", "execution_ids", "report_order", "partial_fills", "native_brackets",
    "reduce_only", "time_in_force", "market_closed", "risk_checks", "margin", "rate_limits", "heartbeat", "reconnect",
    "session_token", "survives_restart", "environment_label",
}


def test_the_scorecard_answers_every_question_with_a_reason():
    card = tomllib.loads((resources.files("interlock.brokers.paper") / "scorecard.toml").read_text())

    assert set(card) == QUESTIONS
    for question, answer in card.items():
        assert answer.keys() == {"status", "reason"}, question
        assert answer["status"] in ("done", "todo", "exempt"), question
        assert len(answer["reason"]) > 10, question
