"""`interlock confirm` asks a person, and nobody else."""

import json

import pytest
from typer.testing import CliRunner

from interlock.cli import confirm
from interlock.cli.main import app
from interlock.config.write import make_state


def test_without_a_terminal_it_asks_nobody_and_says_so(tmp_path):
    make_state(tmp_path)

    shown = CliRunner().invoke(app, ["confirm", "--state", str(tmp_path)], input="PAPER-0001-live-a\n")

    assert shown.exit_code == 2
    assert "needs a person at a terminal" in shown.output


@pytest.fixture
def at_a_terminal(monkeypatch, tmp_path):
    make_state(tmp_path)
    monkeypatch.setattr(confirm, "is_terminal", lambda: True)
    return tmp_path


def test_without_a_desk_there_is_nobody_to_confirm_to(at_a_terminal):
    shown = CliRunner().invoke(app, ["confirm", "--state", str(at_a_terminal)])

    assert shown.exit_code == 3
    assert "no desk runs" in shown.output


def test_where_each_account_stands_is_one_json_value(at_a_terminal, monkeypatch):
    row = {"account": "a", "confirmed": True, "number": "U1", "digest": "d"}
    monkeypatch.setattr(confirm, "_asker", lambda _: lambda name, **fields: {"mode": "live", "watch": False, "accounts": [row]})

    shown = CliRunner().invoke(app, ["confirm", "--state", str(at_a_terminal), "--json"])

    assert shown.exit_code == 0
    assert json.loads(shown.stdout) == {"accounts": [row]}
