"""Repairing a damaged journal under its lease."""

from pathlib import Path
from typing import Any

from interlock.records import journal_path
from interlock.storage.journal import repair
from interlock.storage.lease import Lease


def repair_journal(directory: Path) -> dict[str, Any]:
    """Put the readable part of the journal in its place. Raises LeaseHeld while an engine runs, StorageError for a sound one."""
    path = journal_path(directory)
    lease = Lease.take(directory, "interlock journal repair")
    try:
        report = repair(path)
    finally:
        lease.release()
    text = f"kept {report.entries} entries, lost {report.lost}: {report.damage}\nthe damaged journal is {report.kept_as}"
    return {"entries": report.entries, "lost": report.lost, "damage": report.damage, "kept_as": str(report.kept_as), "text": text}
