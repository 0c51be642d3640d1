"""A person's act from the command line: to the engine that runs, or, where none does, into the journal by our own hand."""

import getpass
import time
from pathlib import Path
from typing import Any

import msgspec

from interlock.config import build
from interlock.config.load import load
from interlock.engine.commands import answer, outcome
from interlock.errors import InputError, JournalDamaged, LeaseHeld, StorageError
from interlock.model.command import Command, CommandGiven, Kill
from interlock.model.entry import Payload
from interlock.records import Records
from interlock.runtime.control import ask
from interlock.runtime.inbox import writable
from interlock.runtime.wiring import state_place
from interlock.storage.journal import open_journal
from interlock.storage.reserve import Reserve

PATIENCE_S = 60.0
"""How long a command waits for an engine that starts or stops just now and holds the lease without answering."""


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
        outputs: list[Payload] = list(answer(given, setup, engine.latches, engine.ledger, engine.execution))
        seq, _ = opened.journal.append(ts, given)
        for output in outputs:
            opened.journal.append(ts, output, cause=seq)
        place.store.commit(opened.journal.seal())
        return outcome(outputs)


def _checked(found: dict[str, Any], *, is_running: bool) -> dict[str, Any]:
    if "refused" in found:
        raise InputError(f"[{found['refused']}] {found['reason']}")
    return found | {"running": is_running}
