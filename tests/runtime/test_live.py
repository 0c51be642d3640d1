"""The two keys, the files that may not hold one of them, and what a changed live configuration takes."""

import os
import pty

import pytest

from interlock.cli.confirm import converse
from interlock.config.load import default_text, load_text
from interlock.errors import ConfigError
from interlock.model.record import ConfigRead, LiveStarted
from interlock.records import build_digest
from interlock.runtime import live
from interlock.runtime.live import PHRASE, Start, check_approval, differences, opened, persisted, problems, start_of, unit_places

TTY = "/dev/pts/3"


def config(text: str):
    return load_text(text, "a test", {}).config


# -- who starts it


def test_a_terminal_and_the_phrase_make_a_live_start():
    start = start_of({"INTERLOCK_LIVE": PHRASE}, terminal=TTY, parent=4711)

    began = opened("live", start, was_clean=True)

    assert isinstance(began, LiveStarted)
    assert (began.is_watch, began.where) == (False, TTY)


@pytest.mark.parametrize(("environ", "terminal", "parent"), [
    ({"INTERLOCK_LIVE": PHRASE}, "", 4711),                                            # cron, nohup, a pipe
    ({"INTERLOCK_LIVE": PHRASE, "INVOCATION_ID": "5f"}, "", 1),                        # a systemd unit
    ({"INTERLOCK_LIVE": PHRASE, "INVOCATION_ID": "5f"}, "/dev/tty1", 1),               # a unit that was given a terminal
    ({"INTERLOCK_LIVE": PHRASE, "XPC_SERVICE_NAME": "x"}, "/dev/tty1", 1),             # launchd
    ({"INTERLOCK_LIVE": PHRASE, "KUBERNETES_SERVICE_HOST": "10.0.0.1"}, TTY, 0),       # a pod with a terminal
    ({}, "", 4711),
])
def test_where_no_person_sits_a_live_desk_only_watches(environ, terminal, parent):
    began = opened("live", start_of(environ, terminal=terminal, parent=parent), was_clean=True)

    assert began is not None
    assert began.is_watch


def test_a_shell_inside_a_desktop_session_is_a_person():
    start = start_of({"INVOCATION_ID": "5f", "INTERLOCK_LIVE": PHRASE}, terminal=TTY, parent=4711)

    assert start.is_interactive, "terminal programs pass on the id of the service that they are"


def test_a_person_may_ask_to_look_on_without_the_phrase():
    began = opened("live", Start("alice", TTY, wants_watch=True), was_clean=True)

    assert began is not None
    assert began.is_watch


def test_a_start_after_a_crash_says_what_it_waits_for():
    began = opened("live", Start("alice", TTY, PHRASE), was_clean=False)

    assert began is not None
    assert not began.is_watch
    assert "did not stop in order" in began.why


@pytest.mark.parametrize("phrase", ["", "1", "true", "I MEAN IT", "i_mean_it", f"{PHRASE} ", f"{PHRASE}!"])
def test_any_other_phrase_is_no_phrase(phrase):
    with pytest.raises(ConfigError, match=f"exactly INTERLOCK_LIVE={PHRASE}"):
        opened("live", Start("alice", TTY, phrase), was_clean=True)


def test_paper_needs_neither_key():
    assert opened("paper", Start("alice", ""), was_clean=False) is None
    assert live.notes("paper", Start("alice", TTY), "") == []


def test_the_phrase_is_taken_out_of_the_environment(monkeypatch):
    monkeypatch.setenv("INTERLOCK_LIVE", PHRASE)

    start = live.this_start()

    assert start.phrase == PHRASE
    assert "INTERLOCK_LIVE" not in os.environ, "no child process inherits it"


def test_a_changed_build_is_noted():
    assert live.notes("paper", Start("alice", TTY), build_digest()) == []
    (note,) = live.notes("paper", Start("alice", TTY), "0" * 64)
    assert "the source has changed" in note


# -- what may not stand in a file

UNITS = {
    "interlock.service": "[Service]\nEnvironment=INTERLOCK_LIVE=I_MEAN_IT\n",
    "com.interlock.plist": "<dict>\n<key>INTERLOCK_LIVE</key><string>I_MEAN_IT</string></dict>\n",
    "compose.yaml": "services:\n  desk:\n    environment:\n      INTERLOCK_LIVE: I_MEAN_IT\n",
    "deployment.yml": "env:\n- name: INTERLOCK_LIVE\n  value: I_MEAN_IT\n",
    "interlock.env": "\nINTERLOCK_LIVE=I_MEAN_IT\n",
    ".env": "INTERLOCK_LIVE=I_MEAN_IT\n",
    "Dockerfile": "FROM scratch\nENV INTERLOCK_LIVE=I_MEAN_IT\n",
    "start.sh": "#!/bin/sh\nexport INTERLOCK_LIVE=I_MEAN_IT\n",
    "interlock.service.d/live.conf": "[Service]\nPassEnvironment=INTERLOCK_LIVE\n",
}


@pytest.mark.parametrize("name", UNITS)
def test_a_file_that_holds_the_key_is_named_with_its_line(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(UNITS[name])
    line = next(number for number, text in enumerate(UNITS[name].splitlines(), 1) if "INTERLOCK_LIVE" in text)

    (found,) = persisted([tmp_path])

    assert found.startswith(f"{path.resolve()}:{line} holds INTERLOCK_LIVE")


def test_a_guide_may_speak_of_it_and_binaries_are_not_read(tmp_path):
    (tmp_path / "README.md").write_text("start it with INTERLOCK_LIVE=I_MEAN_IT\n")
    (tmp_path / "journal.db").write_bytes(b"SQLite\0INTERLOCK_LIVE")
    (tmp_path / "interlock.service").write_text("[Service]\nExecStart=interlock run\n")

    assert persisted([tmp_path]) == []


def test_a_linked_unit_is_read_and_one_that_cannot_be_read_is_a_problem(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.service").write_text("Environment=INTERLOCK_LIVE=I_MEAN_IT\n")
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / "x.service").symlink_to(tmp_path / "elsewhere" / "x.service")

    assert len(persisted([tmp_path / "units"])) == 1

    def closed(_):
        raise PermissionError(13, "closed")

    monkeypatch.setattr("pathlib.Path.read_bytes", closed)
    (problem,) = persisted([tmp_path / "units"])
    assert "cannot be read" in problem


def test_the_state_directory_deploy_and_the_given_folder_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("state", "deploy", "units"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "x.service").write_text("INTERLOCK_LIVE=I_MEAN_IT")

    assert len(persisted(unit_places(tmp_path / "state", tmp_path / "units"))) == 3


def test_nothing_but_the_environment_gives_the_key(tmp_path):
    with pytest.raises(ConfigError, match="unknown key"):
        load_text(default_text() + '\n[live]\nINTERLOCK_LIVE = "I_MEAN_IT"\n', "a test", {})
    assert start_of({"INTERLOCK__DESK__MODE": "live"}, terminal=TTY, parent=2).phrase is None


# -- the configuration

LIVE = """
[desk]
mode = "live"
[brokers.b]
kind = "loopback"
environment = "live"
port = 9
token = "t"
[accounts.a]
broker = "b"
number = "U1"
safe.symbols = ["MES"]
"""


def test_a_live_account_has_the_narrow_limits():
    safe = config(LIVE).accounts["a"].safe

    assert (safe.notional_per_order, safe.shares_per_symbol, safe.contracts_per_symbol) == (5000, 200, 2)
    assert (safe.orders_per_minute, safe.daily_loss) == (10, 500)


def test_a_limit_that_is_given_stays_as_it_is_given():
    safe = config(LIVE + "safe.contracts_per_symbol = 3\n").accounts["a"].safe

    assert (safe.contracts_per_symbol, safe.daily_loss) == (3, 500)


@pytest.mark.parametrize("text", ["safe.daily_loss = 0", 'safe.daily_loss = "Infinity"', 'safe.notional_per_order = "-1"',
                                  "safe.orders_per_minute = 0"])
def test_there_is_no_unlimited(text):
    with pytest.raises(ConfigError, match=r"safe\."):
        config(f"{LIVE}{text}\n")


@pytest.mark.parametrize(("old", "new", "said"), [
    ('number = "U1"\n', "", r"accounts\.a\.number is missing"),
    ('safe.symbols = ["MES"]\n', "", r"accounts\.a\.safe\.symbols is missing"),
    ('environment = "live"\n', "", r"desk\.mode is live, and brokers\.b points at a paper endpoint"),
    ('mode = "live"', 'mode = "paper"', r"desk\.mode is paper, and brokers\.b points at a live endpoint"),
    ('kind = "loopback"', 'kind = "paper"', r"a venue of kind 'paper' is paper alone"),
])
def test_a_configuration_that_mixes_paper_and_live_is_refused(old, new, said):
    with pytest.raises(ConfigError, match=said):
        config(LIVE.replace(old, new, 1))


def test_a_recording_moves_no_live_account():
    (problem,) = problems(config(LIVE), plays_recording=True)

    assert "live prices alone" in problem
    assert problems(config(LIVE)) == [], "a simulator may rehearse on the simulated market"
    assert problems(config(default_text()), plays_recording=True) == []


def test_a_real_broker_is_not_fed_by_the_simulated_market(monkeypatch):
    monkeypatch.setattr(live, "SIMULATORS", ("paper",))

    (problem,) = problems(config(LIVE))

    assert "brokers.b reaches real accounts" in problem


# -- approval


def test_differences_name_each_key_with_both_values():
    before = load_text(LIVE, "x", {})
    after = load_text(LIVE.replace('"MES"', '"MES", "MNQ"') + "safe.daily_loss = 400\n", "x", {})

    assert differences(before.canonical, after.canonical) == [
        'accounts.a.safe.daily_loss: was "500", is "400"', 'accounts.a.safe.symbols[1]: was nothing, is "MNQ"']


def test_the_same_configuration_and_a_first_one_need_no_approval():
    loaded = load_text(LIVE, "x", {})

    assert check_approval(None, loaded, "") == ""
    assert check_approval(ConfigRead(loaded.digest, loaded.canonical, 1), loaded, "") == ""


@pytest.mark.parametrize("given", ["", "yes", "0" * 64])
def test_a_change_is_approved_by_its_own_digest_alone(given):
    before, after = load_text(LIVE, "x", {}), load_text(LIVE + "safe.daily_loss = 400\n", "x", {})
    recorded = ConfigRead(before.digest, before.canonical, 1)

    with pytest.raises(ConfigError, match=f"--approve {after.digest}"):
        check_approval(recorded, after, given or after.digest[:8])
    assert check_approval(recorded, after, after.digest) == after.digest


# -- the terminal


class Engine:
    """Answers as the control socket does."""

    def __init__(self, **row: object) -> None:
        self.row = {"account": "a", "confirmed": False, "number": "U1", "net_liquidation": "1000", "cash": "900",
                    "currency": "USD", "positions": [], "age_s": 0.5, "digest": "d1", "endpoint": "live"} | row
        self.given: list[tuple[str, dict[str, object]]] = []
        self.mode, self.watch = "live", False

    def __call__(self, name: str, **fields: object) -> object:
        if name == "live":
            return {"mode": self.mode, "watch": self.watch, "accounts": [dict(self.row)]}
        self.given.append((name, fields))
        if name == "confirm" and fields["typed"] == self.row["number"] and fields["seen"] == self.row["digest"]:
            self.row["confirmed"] = True
            return {"ok": True}
        return {"ok": False, "code": "confirm.number", "reason": "no"}


def typed(*lines: str):
    waiting = list(lines)
    return lambda _: waiting.pop(0) if waiting else None


def test_the_terminal_shows_the_brokers_figures_and_takes_the_full_number():
    engine, said = Engine(), list[str]()

    status, rows = converse(engine, typed("U1"), said.append)

    assert status == 0
    assert rows[0]["confirmed"]
    assert "number U1, net liquidation 1000 USD" in said[0]


def test_a_person_who_leaves_or_declines_confirms_nothing():
    for lines, given in (((), []), (("",), []), (("decline",), ["decline"])):
        engine = Engine()
        status, _ = converse(engine, typed(*lines), lambda _: None)
        assert status == 1
        assert [name for name, _ in engine.given] == given


def test_what_changed_while_the_number_was_typed_is_shown_again():
    engine, said = Engine(), list[str]()

    def read(_: str) -> str:
        engine.row["digest"] = "d2"
        return "U1"

    status, _ = converse(engine, read, said.append)

    assert status == 0
    assert any("has changed meanwhile" in line for line in said)
    assert [fields["seen"] for _, fields in engine.given] == ["d2"]


def test_three_wrong_numbers_are_enough():
    engine = Engine()

    status, _ = converse(engine, typed("1", "2", "3", "U1"), lambda _: None)

    assert status == 1
    assert len(engine.given) == 3


@pytest.mark.parametrize(("mode", "watch", "text"), [("paper", False, "on paper"), ("live", True, "only watches")])
def test_there_is_nothing_to_confirm_on_paper_or_in_watch(mode, watch, text):
    engine, said = Engine(), list[str]()
    engine.mode, engine.watch = mode, watch

    status, _ = converse(engine, typed("U1"), said.append)

    assert status == 1
    assert text in said[0]
    assert engine.given == []


def test_no_desk_and_no_answer_of_the_broker_are_said():
    said = list[str]()

    assert converse(lambda *_, **__: None, typed(), said.append)[0] == 3
    assert converse(Engine(digest=None, age_s=None), typed("U1"), said.append)[0] == 1
    assert any("has not answered" in line for line in said)


def test_a_terminal_is_recognised(monkeypatch):
    ours, theirs = pty.openpty()
    try:
        assert os.isatty(theirs)
        assert start_of({}, terminal=os.ttyname(theirs), parent=2).is_interactive
    finally:
        os.close(ours)
        os.close(theirs)
