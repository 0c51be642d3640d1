"""The commands by which a person decides: with a desk that runs and without, at a terminal and away from one."""

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from interlock.cli.main import app
from interlock.config.write import make_state
from interlock.engine.questions import Question, digest_of
from interlock.model.command import RELEASE_PHRASE, Command, Decide, Enable, Flatten, Reconcile, Reconnect, Release
from interlock.model.ids import AccountName
from interlock.runtime.control import ControlServer

A = AccountName("paper-a")
STATE = (("account", "paper-a", "PAPER-0001"), ("position.MNQ", "2", "3"))
SEEN = digest_of(STATE)


def asked(name: str, kind: str, *answers: str, state: Any = STATE) -> Question:
    return Question(id=name, kind=kind, scope="account paper-a", account=A, text=f"{name} waits for you.", state=state,
                    digest=digest_of(state), answers=answers)


class RunningDesk:
    """The control socket of a desk, with answers of a test's own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.questions = [
            asked("drift.paper-a", "drift", "adopt-broker", "adopt-local", "abort"), asked("line.paper-a", "line", "reconnect"),
            asked("offline.paper-a", "offline", "enable"), asked("kill.all", "kill", "release"), asked("loss.paper-a", "loss")]
        self.positions: list[tuple[str, str, str]] = [("position.paper-a.MNQ", "2", "3")]
        self.given: list[Command] = []
        self.moves: Callable[[], None] | None = None   # between a person's look and their word
        self._loop = asyncio.new_event_loop()
        self._server = ControlServer(directory, {"questions": self._questions, "positions_state": self._positions,
                                                 "command": self._command})
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _questions(self, _: Any) -> Any:
        return msgspec.to_builtins(self.questions)

    async def _positions(self, _: Any) -> dict[str, Any]:
        return {"state": [list(row) for row in self.positions], "digest": digest_of(self.positions)}

    async def _command(self, request: Any) -> dict[str, Any]:
        command = msgspec.convert(request["command"], Command)
        self.given.append(command)
        if self.moves is not None:
            moves, self.moves = self.moves, None
            moves()
        now = {each.digest for each in self.questions} | {digest_of(self.positions)}
        if getattr(command, "seen", "") not in now and not isinstance(command, Reconcile):
            return {"refused": "command.state_moved", "reason": "the state has moved since it was shown"}
        match command:
            case Flatten():
                return {"ok": True, "flattening": True, "accounts": ["paper-a"],
                        "positions": [{"account": "paper-a", "instrument": "MNQ", "quantity": "2"}]}
            case Reconcile():
                return {"ok": True, "reading": ["paper-a", "paper-b"]}
            case Release():
                return {"ok": True, "killed": False, "reach": "everything", "epoch": 2}
            case _:
                return {"ok": True}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[RunningDesk]:
    make_state(tmp_path)
    running = RunningDesk(tmp_path)
    running.start()
    yield running
    running.stop()


def typed(desk_or_path: Any, *words: str, says: str | None = None) -> Result:
    """The command, at a terminal where somebody `says` something, else in a pipe."""
    directory = getattr(desk_or_path, "directory", desk_or_path)
    runner = CliRunner()
    if says is None:
        return runner.invoke(app, [*words, "--state", str(directory)])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("interlock.cli.shown.sys", AtTerminal(says))
        return runner.invoke(app, [*words, "--state", str(directory)])


class AtTerminal:
    """`sys`, with a person in front of it."""

    def __init__(self, says: str) -> None:
        self.stdin = self
        self._lines = iter(says.splitlines())

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return next(self._lines, "")

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)


ACTS: list[tuple[tuple[str, ...], str, Command]] = [
    (("decide", "drift.paper-a", "adopt-broker"), "adopt-broker", Decide("drift.paper-a", "adopt-broker", SEEN)),
    (("reconnect", "paper-a"), "reconnect", Reconnect(A, SEEN)),
    (("enable", "offline.paper-a"), "enable", Enable("offline.paper-a", SEEN)),
    (("flatten", "--account", "paper-a", "--why", "done"), "FLATTEN",
     Flatten("done", A, None, digest_of([("position.paper-a.MNQ", "2", "3")]))),
    (("release",), RELEASE_PHRASE, Release(RELEASE_PHRASE, seen=SEEN)),
]
IDS = [words[0] for words, _, _ in ACTS]


@pytest.mark.parametrize(("words", "word", "command"), ACTS, ids=IDS)
def test_at_a_terminal_the_state_is_shown_and_the_word_is_typed(desk: RunningDesk, words, word, command):
    shown = typed(desk, *words, says=f"{word}\n")

    assert shown.exit_code == 0, shown.output
    assert "2; the broker says 3" in shown.stderr
    assert desk.given == [command]


@pytest.mark.parametrize(("words", "word", "command"), ACTS, ids=IDS)
@pytest.mark.parametrize("says", ["", "\n", "y\n", "yes\n", "flatten\n", "release the kill\n"])
def test_at_a_terminal_nothing_but_the_word_will_do(desk: RunningDesk, words, word, command, says):
    shown = typed(desk, *words, says=says)

    assert shown.exit_code == 2
    assert "left as it is" in shown.stderr
    assert desk.given == []


@pytest.mark.parametrize(("words", "word", "command"), ACTS, ids=IDS)
def test_in_a_pipe_it_shows_the_state_and_asks_for_its_digest(desk: RunningDesk, words, word, command):
    shown = typed(desk, *words)

    assert shown.exit_code == 2
    assert f"--seen {command.seen}" in shown.stderr
    assert shown.stdout == ""
    assert desk.given == []


@pytest.mark.parametrize(("words", "word", "command"), ACTS, ids=IDS)
def test_with_the_digest_of_what_was_shown_it_acts_at_once(desk: RunningDesk, words, word, command):
    phrase = ("--phrase", RELEASE_PHRASE) if words[0] == "release" else ()

    shown = typed(desk, *words, *phrase, "--seen", command.seen, "--json")

    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["running"] is True
    assert desk.given == [command]


@pytest.mark.parametrize(("words", "word", "command"), ACTS, ids=IDS)
def test_a_digest_of_another_state_is_refused(desk: RunningDesk, words, word, command):
    phrase = ("--phrase", RELEASE_PHRASE) if words[0] == "release" else ()

    shown = typed(desk, *words, *phrase, "--seen", "f" * 16)

    assert shown.exit_code == 2
    assert "command.state_moved" in shown.stderr
    assert len(desk.given) == 1, "it is not given again by itself"


@pytest.mark.parametrize(("words", "word", "command"), ACTS, ids=IDS)
def test_where_it_moves_between_look_and_word_a_person_looks_again(desk: RunningDesk, words, word, command):
    moved = (("account", "paper-a", "PAPER-0001"), ("position.MNQ", "2", "4"))

    def move() -> None:
        desk.questions = [msgspec.structs.replace(each, state=moved, digest=digest_of(moved)) for each in desk.questions]
        desk.positions = [("position.paper-a.MNQ", "2", "4")]

    desk.moves = move
    shown = typed(desk, *words, says=f"{word}\n{word}\n")

    assert shown.exit_code == 0, shown.output
    assert "the state has moved meanwhile" in shown.stderr
    assert "2; the broker says 4" in shown.stderr
    assert [getattr(each, "seen", None) for each in desk.given] == [
        command.seen, digest_of(desk.positions) if words[0] == "flatten" else desk.questions[0].digest]


@pytest.mark.parametrize(("words", "says"), [
    (("decide", "drift.paper-b", "abort"), "nothing called 'drift.paper-b' waits"),
    (("decide", "drift.paper-a", "adopt"), "takes adopt-broker, adopt-local, abort"),
    (("decide", "loss.paper-a", "enable"), "takes no answer yet"),
    (("reconnect", "paper-b"), "nothing called 'line.paper-b' waits"),
    (("enable", "strategy.main.demo"), "waiting: drift.paper-a, line.paper-a"),
    (("release", "--seen", SEEN), "type the phrase with it"),
])
def test_what_nobody_asked_is_refused_with_what_there_is(desk: RunningDesk, words, says):
    shown = typed(desk, *words)

    assert shown.exit_code == 2
    assert says in shown.stderr
    assert desk.given == []


def test_a_release_with_its_phrase_shows_what_it_releases(desk: RunningDesk):
    shown = typed(desk, "release", "--phrase", RELEASE_PHRASE)

    assert shown.exit_code == 0
    assert shown.stdout == "released everything\n"
    assert "kill.all waits for you." in shown.stderr
    assert desk.given == [Release(RELEASE_PHRASE, seen=SEEN)]


def test_decisions_are_listed_for_people_and_as_json(desk: RunningDesk):
    listed = typed(desk, "decisions")
    told = typed(desk, "decisions", "--json")
    desk.questions = []
    none = typed(desk, "decisions")

    assert listed.exit_code == told.exit_code == none.exit_code == 0
    for part in ("drift.paper-a", "adopt-broker, adopt-local, abort", SEEN):
        assert part in listed.stdout
    rows = json.loads(told.stdout)
    assert rows[0] == {"id": "drift.paper-a", "kind": "drift", "scope": "account paper-a", "account": "paper-a",
                       "text": "drift.paper-a waits for you.", "state": [list(row) for row in STATE], "digest": SEEN,
                       "answers": ["adopt-broker", "adopt-local", "abort"]}
    assert none.stdout == "nothing waits for you\n"


def test_reconcile_needs_no_look_and_says_who_is_read(desk: RunningDesk):
    shown = typed(desk, "reconcile")
    one = typed(desk, "reconcile", "--account", "paper-a", "--json")

    assert (shown.exit_code, one.exit_code) == (0, 0)
    assert "reading paper-a, paper-b" in shown.stdout
    assert json.loads(one.stdout)["reading"] == ["paper-a", "paper-b"]
    assert desk.given == [Reconcile(), Reconcile(A)]


def test_a_flatten_of_nothing_says_so_and_asks_the_brokers_all_the_same(desk: RunningDesk):
    desk.positions = []

    shown = typed(desk, "flatten", says="FLATTEN\n")

    assert shown.exit_code == 0
    assert "By our books nothing is open in every account" in shown.stderr
    assert len(desk.given) == 1


# -- without a desk


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A state directory whose desk has run and stopped."""
    from tests.scenarios.desk import Desk

    desk = Desk(tmp_path / "state")
    desk.stop()
    return tmp_path / "state"


@pytest.mark.parametrize("words", [
    ("decide", "drift.paper-a", "abort", "--seen", SEEN), ("reconnect", "paper-a", "--seen", SEEN),
    ("enable", "offline.paper-a", "--seen", SEEN), ("flatten", "--seen", SEEN), ("reconcile",)], ids=lambda words: words[0])
def test_without_a_desk_it_asks_no_broker_and_says_what_is_missing(begun: Path, words: tuple[str, ...]):
    shown = typed(begun, *words)

    assert shown.exit_code == 2
    assert "no engine runs" in shown.stderr or "nothing called" in shown.stderr
    assert shown.stdout == ""


def test_without_a_desk_a_kill_latches_waits_in_the_list_and_is_released(begun: Path):
    killed = typed(begun, "kill", "--why", "night", "--json")
    waiting = json.loads(typed(begun, "decisions", "--json").stdout)
    status = json.loads(typed(begun, "status", "--json").stdout)
    wrong = typed(begun, "release", "--phrase", "release the kill")
    released = typed(begun, "release", says=f"{RELEASE_PHRASE}\n")
    again = typed(begun, "release", says=f"{RELEASE_PHRASE}\n")

    assert json.loads(killed.stdout)["running"] is False
    assert [(each["id"], each["answers"]) for each in waiting] == [("kill.all", ["release"])]
    assert {row["tier"] for row in status["accounts"]} == {4}, "to people, what is killed is halted"
    assert "command.phrase" in wrong.stderr
    assert wrong.exit_code == 2
    assert released.exit_code == 0, released.output
    assert "night" in released.stderr
    assert again.exit_code == 2
    assert "command.not_killed" in again.stderr


def test_a_status_for_people_names_tiers_and_their_reasons(begun: Path):
    typed(begun, "kill", "--why", "night")

    shown = typed(begun, "status").stdout

    assert "tier" in shown
    assert "killed: night" in shown


@pytest.mark.parametrize("words", [("decisions",), ("decide", "x", "y"), ("enable", "x"), ("reconnect", "x"), ("flatten",),
                                   ("reconcile",), ("release",), ("kill",), ("status",)], ids=lambda words: words[0])
def test_a_directory_that_holds_no_state_is_misuse(tmp_path: Path, words: tuple[str, ...]):
    shown = typed(tmp_path / "nowhere", *words)

    assert shown.exit_code == 2
    assert "interlock init" in shown.stderr
