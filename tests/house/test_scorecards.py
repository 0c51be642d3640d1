"""Every broker answers every question about itself."""

import tomllib

import pytest
from tests.house.repository import SOURCE

QUESTIONS = {
    "place", "modify", "cancel", "client_order_id", "lookup_by_client_order_id", "snapshot", "fills_replayed_after_reconnect",
    "execution_ids", "report_order", "partial_fills", "native_brackets", "reduce_only", "time_in_force", "market_closed",
    "risk_checks", "margin", "rate_limits", "heartbeat", "reconnect", "session_token", "survives_restart", "environment_label",
}
BROKERS = sorted(path for path in (SOURCE / "brokers").iterdir() if (path / "__init__.py").exists())


def test_there_is_a_broker():
    assert [path.name for path in BROKERS] == ["paper"]


@pytest.mark.parametrize("broker", BROKERS, ids=lambda path: path.name)
def test_a_scorecard_answers_every_question_with_a_reason(broker):
    card = tomllib.loads((broker / "scorecard.toml").read_text())

    assert set(card) == QUESTIONS
    for question, answer in card.items():
        assert set(answer) == {"status", "reason"}, question
        assert answer["status"] in ("done", "exempt"), f"{question}: a shipped broker leaves nothing open"
        assert len(answer["reason"].split()) >= 3, question
