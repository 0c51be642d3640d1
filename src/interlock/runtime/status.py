"""What the desk in a state directory is: asked of its engine where one runs, else read from its record."""

from pathlib import Path
from typing import Any

from interlock.records import Records, status_rows
from interlock.runtime.control import ask


def status_of(directory: Path) -> dict[str, Any]:
    """`status --json`. Raises StorageError when nothing has run in `directory` yet, or the record cannot be read."""
    answer: dict[str, Any] | None = ask(directory, "status")
    if answer is not None:
        return answer
    with Records.open(directory) as records:
        header, config, kills = records.header, records.config(), records.engine.latches.kills
        lanes, accounts = status_rows(config, records.engine, records.intake.fires_left(), truths={})
        return {"running": False, "mode": header.mode, "clock": header.clock, "state_id": header.state_id,
                "killed": bool(kills), "killed_by": spell_kills(kills), "lanes": lanes, "accounts": accounts}


def spell_kills(kills: dict[str, str]) -> str | None:
    """What is killed and why, in one line; None when nothing is."""
    return "; ".join(f"{reach}: {why}" for reach, why in kills.items()) or None
