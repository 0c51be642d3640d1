"""A person's act from the command line: to the engine that runs, or, where none does, into the journal by our own hand."""

import getpass
import time
from pathlib import Path
from typing import Any

import msgspec

from interlock.config import build
from interlock.config.load import load
from interlock.engine.commands import NEED_ENGINE, answer, outcome
from interlock.engine.questions import Question, digest_of, positions_state, questions
from interlock.errors import InputError, JournalDamaged, LeaseHeld, StorageError
from interlock.model.command import Command, CommandGiven, Kill
from interlock.model.entry import Payload
from interlock.model.ids import AccountName
from interlock.records import Records
from interlock.runtime.control import ask
from interlock.runtime.inbox import writable
from interlock.runtime.wiring import state_place
from interlock.storage.journal import open_journal
from interlock.storage.reserve import Reserve

PATIENCE_S = 60.0
"""How long a command waits for an engine that starts or stops just now and holds the lease without answering."""


def open_questions(directory: Path) -> tuple[Question, ...]:
    """Everything that waits for a person: as the engine that runs has it, or as the record left it."""
    found = ask(directory, "questions")
    if found is not None:
        return msgspec.convert(found, tuple[Question, ...])
    with Records.open(directory) as records:
        return questions(records.engine)


def shown_positions(directory: Path, account: AccountName | None, instrument: str | None) -> dict[str, Any]:
    """What a flatten of this reach is decided on: {"state": rows, "digest"}."""
    found: dict[str, Any] | None = ask(directory, "positions_state", account=account, instrument=instrument)
    if found is not None:
        return found
    with Records.open(directory) as records:
        state = positions_state(records.engine, account, instrument)
    return {"state": [list(row) for row in state], "digest": digest_of(state)}


def give(directory: Path, command: Command) -> dict[str, Any]:
    """The command's outcome. Raises InputError when it is refused, LeaseHeld or StorageError when it could not be written."""
    who = getpass.getuser()
    command = writable(CommandGiven(command, who, "cli", 0)).command
    until = time.monotonic() + PATIENCE_S
    while True:
        found: dict[str, Any] | None = ask(directory, "command", timeout=PATIENCE_S, who=who,
                                           command=msgspec.to_builtins(command))
        if found is not None:
            return _checked(found, is_running=True)
        try:
            return _checked(_append(directory, command, who), is_running=False)
        except LeaseHeld:
            if time.monotonic() > until:
                raise
        time.sleep(0.1)


def _append(directory: Path, command: Command, who: str) -> dict[str, Any]:
    """By our own hand; on a full disk the emergency reserve is given for it, because a kill must be written in any case."""
    try:
        return _write(directory, command, who)
    except (LeaseHeld, JournalDamaged):
        raise
    except StorageError:
        if not isinstance(command, Kill) or not Reserve(directory).spend():
            raise
        return _write(directory, command, who, spends_reserve=True)


def _write(directory: Path, command: Command, who: str, *, spends_reserve: bool = False) -> dict[str, Any]:
    """Take the lease and append the command and its outcome ourselves; the next start finds it in the record."""
    if isinstance(command, NEED_ENGINE):
        raise InputError(f"[command.needs_engine] no engine runs in {directory}, and this can be asked of a running one alone; "
                         f"start it with `interlock run --state {directory}`")
    config = load(directory).config
    with state_place(directory, "interlock command", spends_reserve=spends_reserve) as place:
        opened = open_journal(place.store)
        if opened.journal.head[0] == 0:
            raise StorageError(f"{directory} has no journal yet; `interlock run --state {directory}` begins one")
        with Records.open(directory) as records:
            engine = records.engine
        setup = build.setup(config, digest="", epoch=0, state_id="", clock="wall", is_simulated=True, fed=())
        ts = max(opened.ts, engine.now)
        given = CommandGiven(command, who, "cli", ts)
        outputs: list[Payload] = list(answer(given, engine, ts, setup))
        seq, _ = opened.journal.append(ts, given)
        for output in outputs:
            opened.journal.append(ts, output, cause=seq)
        place.store.commit(opened.journal.seal())
        return outcome(outputs)


def _checked(found: dict[str, Any], *, is_running: bool) -> dict[str, Any]:
    if "refused" in found:
        raise InputError(f"[{found['refused']}] {found['reason']}")
    return found | {"running": is_running}
