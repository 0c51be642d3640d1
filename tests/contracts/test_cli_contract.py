"""What scripts rely on: exact JSON on stdout and nothing else, exit statuses, and the two ways to name a state directory."""

import json
import os
import stat
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.process.desk import Desk, free_ports
from tests.scenarios.recording import write

ROOT = Path(__file__).parents[2]
FINE, FOUND, MISUSE, COULD_NOT = 0, 1, 2, 3

COMMANDS = ["init", "check", "run", "replay", "status", "accounts", "account disable", "account enable", "orders", "positions",
            "explain", "kill", "release", "journal verify", "journal tail", "journal repair", "pine", "codes", "export trades",
            "confirm", "flatten", "decisions", "decide", "reconcile", "reconnect", "enable", "drill", "watchdog", "simulate",
            "venue start", "venue status"]


def interlock(*arguments: Any, **environment: str) -> "subprocess.CompletedProcess[str]":
    known = {name: value for name, value in os.environ.items() if not name.startswith("INTERLOCK")}
    return subprocess.run([sys.executable, "-m", "interlock.cli.main", *map(str, arguments)], text=True, capture_output=True,
                          cwd="/", env=known | {"PYTHONPATH": str(ROOT / "src"), "COLUMNS": "120"} | environment, timeout=120)


def answered(*arguments: Any, status: int = FINE, **environment: str) -> Any:
    """The one JSON value on stdout."""
    done = interlock(*arguments, "--json", **environment)
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def is_decimal(text: Any) -> bool:
    return isinstance(text, str) and Decimal(text).is_finite() and "E" not in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    from typer.testing import CliRunner

    from interlock.cli.main import app

    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*command.split(), "--help"])

    assert shown.exit_code == FINE
    assert f"Example: interlock {command}" in " ".join(shown.output.split())


def test_there_is_no_command_without_a_line_above():
    import typer.main

    from interlock.cli.main import app

    names = []
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        names += [f"{name} {inner}" for inner in command.commands] if hasattr(command, "commands") else [name]
    assert sorted(names) == sorted(COMMANDS)


@pytest.mark.process
def test_init_makes_a_private_state_once_and_never_overwrites(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")

    made = answered("init", "--state", tmp_path / "mine")

    assert set(made["files"]) == {"interlock.toml", "secrets.toml"}
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"
    assert stat.S_IMODE((tmp_path / "mine" / "secrets.toml").stat().st_mode) == 0o600
    before = (tmp_path / "mine" / "secrets.toml").read_bytes()
    again = interlock("init", "--state", tmp_path / "mine", "--json")
    assert (again.returncode, again.stdout) == (MISUSE, "")
    assert (tmp_path / "mine" / "secrets.toml").read_bytes() == before


@pytest.mark.process
def test_a_directory_that_holds_nothing_or_has_not_run_yet_is_told_apart(tmp_path):
    nowhere = interlock("orders", "--state", tmp_path / "nowhere", "--json")
    assert (nowhere.returncode, nowhere.stdout) == (MISUSE, "")
    assert "interlock init --state" in nowhere.stderr

    interlock("init", "--state", tmp_path / "new")
    for command in ("orders", "positions", "status"):
        done = interlock(command, "--state", tmp_path / "new", "--json")
        assert (done.returncode, done.stdout) == (COULD_NOT, ""), command
        assert "interlock run --state" in done.stderr
    sample = interlock("pine", "demo", "--sample", "--json", "--state", tmp_path / "new")
    assert (sample.returncode, sample.stdout) == (COULD_NOT, "")


@pytest.mark.process
def test_a_template_needs_no_engine_and_names_what_tradingview_fills_in(tmp_path):
    interlock("init", "--state", tmp_path / "s")

    answer = answered("pine", "demo", INTERLOCK_STATE=str(tmp_path / "s"))

    assert set(answer) == {"url", "message"}
    assert answer["url"].startswith("/hook/")
    assert answer["message"]["sent_time"] == "{{timenow}}"
    assert answer["message"]["bar_time"] == "{{time}}"
    unknown = interlock("pine", "nobody", "--json", "--state", tmp_path / "s")
    assert (unknown.returncode, unknown.stdout) == (MISUSE, "")
    assert "demo" in unknown.stderr


@pytest.mark.process
def test_a_session_from_alert_to_a_stopped_directory(tmp_path):
    desk = Desk(tmp_path / "s", tuple(free_ports(2)))  # type: ignore[arg-type]
    interlock("init", "--state", tmp_path / "s")
    state = ("--state", tmp_path / "s")
    desk.start()
    try:
        first, second = (answered("pine", "demo", "--sample", *state) for _ in range(2))
        assert first != second, "new at each call"
        status, accepted = desk.post(first["url"], first["message"])  # type: ignore[misc]
        assert (status, accepted["status"]) == (200, "accepted")
        assert set(accepted) == {"status", "signal_id", "code", "reason"}
        time.sleep(3)
        running = {command: answered(command, *state) for command in ("orders", "positions", "status")}
        killed = answered("kill", "--why", "a test", *state)
        assert killed["killed"] is True
        assert answered("status", *state)["killed"] is True
        refused = interlock("release", "--phrase", "please", "--json", *state)
        assert (refused.returncode, refused.stdout) == (MISUSE, "")
        assert answered("release", "--phrase", "RELEASE THE KILL", *state)["killed"] is False
    finally:
        desk.end()
    stopped = {command: answered(command, *state) for command in ("orders", "positions", "status")}

    mine = [row for row in running["orders"] if row["signal_id"] == accepted["signal_id"]]
    assert {row["account"] for row in mine} == {"paper-a", "paper-b"}
    for row in running["orders"] + stopped["orders"]:
        assert {"client_order_id", "signal_id", "account", "instrument", "side", "quantity", "filled", "state", "outcome",
                "purpose"} <= set(row)
        assert row["signal_id"]
        assert row["state"] in ("intended", "in_flight", "working", "in_doubt", "closed")
        assert row["outcome"] in ("filled", "cancelled", "rejected", "expired", None)
        assert row["purpose"] in ("enter", "protect", "target", "reduce", "flatten")
        assert is_decimal(row["quantity"])
        assert is_decimal(row["filled"])
    held = [row for row in running["positions"] if row["instrument"] == "MES"]
    assert [(row["account"], row["quantity"], row["protected"]) for row in held] == [("paper-a", "1", "1"), ("paper-b", "1", "1")]
    assert [row for row in stopped["positions"] if row["instrument"] == "MES"] == held, "the stopped directory says the same"
    for answer in (running["status"], stopped["status"]):
        assert (answer["mode"], answer["killed"]) == ("paper", False)
        assert [lane["name"] for lane in answer["lanes"]] == ["main"]
        assert {strategy["name"]: strategy["kind"] for strategy in answer["lanes"][0]["strategies"]} == {
            "opening_drive": "opening_drive", "demo": "alerts"}
        assert [(row["name"], row["mode"], row["enabled"]) for row in answer["accounts"]] == [
            ("paper-a", "paper", True), ("paper-b", "paper", True)]
    assert {row["truth"] for row in running["status"]["accounts"]} == {"paper_sim"}
    assert {row["truth"] for row in stopped["status"]["accounts"]} == {"unknown"}

    found = answered("journal", "verify", *state)
    assert (found["ok"], found["damage"]) == (True, None)
    assert found["entries"] > 10
    story = answered("explain", accepted["signal_id"], *state)
    assert {verdict["account"] for verdict in story["verdicts"]} == {"paper-a", "paper-b"}
    assert all(verdict["differences"] == [] for verdict in story["verdicts"])
    tail = interlock("journal", "tail", "-n", "3", "--json", *state)
    assert [set(json.loads(line)) for line in tail.stdout.splitlines()] == [{"seq", "ts", "kind", "cause", "hash", "payload"}] * 3
    assert interlock("explain", "nobody-knows-this", *state).returncode == COULD_NOT

    path = tmp_path / "s" / "journal.db"
    body = bytearray(path.read_bytes())
    at = body.index(b"alert_accepted")
    body[at] ^= 1
    path.write_bytes(bytes(body))
    damaged = answered("journal", "verify", *state, status=FOUND)
    assert damaged["ok"] is False
    assert isinstance(damaged["damage"], str)


@pytest.mark.process
def test_replay_answers_its_contract_and_needs_no_state(tmp_path):
    data = write(tmp_path, 0.5)

    answer = answered("replay", "--data", data[0], "--data", data[1])

    assert {"bars", "signals", "orders", "fills", "refusals", "dropped", "digest", "seconds"} <= set(answer)
    assert answer["bars"] == 1440
    assert all(isinstance(count, int) for count in (*answer["refusals"].values(), *answer["dropped"].values()))
    assert len(bytes.fromhex(answer["digest"])) == 32
    nothing = interlock("replay", "--json")
    assert (nothing.returncode, nothing.stdout) == (MISUSE, "")
    unknown = interlock("replay", "--data", f"NOPE={tmp_path / 'mnq_1m.csv'}", "--json")
    assert (unknown.returncode, unknown.stdout) == (MISUSE, "")
    assert "NOPE" in unknown.stderr


@pytest.mark.process
def test_check_says_what_is_wrong_and_names_the_nearest_key(tmp_path):
    interlock("init", "--state", tmp_path / "s")
    path = tmp_path / "s" / "interlock.toml"
    text = path.read_text()
    port, hook = free_ports(2)
    path.write_text(text.replace("8700", str(port)).replace("8701", str(hook)))

    answer = answered("check", "--state", tmp_path / "s")
    assert answer["ok"] is True
    assert {"key": "gate.risk_per_trade", "value": "120", "origin": "file"} in answer["values"]
    assert {"key": "gate.positions_max", "value": "4", "origin": "default"} in answer["values"]

    path.write_text(text.replace("risk_per_trade", "risk_per_trad"))
    wrong = interlock("check", "--state", tmp_path / "s", "--json")
    assert (wrong.returncode, wrong.stdout) == (MISUSE, "")
    assert "gate.risk_per_trad" in wrong.stderr
    assert "gate.risk_per_trade'" in wrong.stderr
