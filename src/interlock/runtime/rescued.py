"""What the rescue leaves in a state directory: a note that the next start turns into a kill, so that nothing enters by itself."""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from interlock.errors import StorageError
from interlock.model.command import CommandGiven, Kill
from interlock.model.entry import Payload
from interlock.model.money import Nanos
from interlock.storage.files import replace

FILE_NAME: Final = "rescued.json"
ORIGIN: Final = "interlock-kill"


class Note(Struct, frozen=True):
    """Who gave `interlock-kill`, when (wall time), why, and under which epoch it wrote."""

    who: str
    why: str
    ts: Nanos
    epoch: int


def leave(directory: Path, note: Note) -> None:
    """Raises StorageError."""
    replace(directory / FILE_NAME, msgspec.json.encode(note))


def found(directory: Path | None) -> CommandGiven | None:
    """The kill that a start has to begin with; None where no rescue was. Raises StorageError for a note that cannot be read."""
    if directory is None or not (directory / FILE_NAME).exists():
        return None
    path = directory / FILE_NAME
    try:
        note = msgspec.json.decode(path.read_bytes(), type=Note)
    except (OSError, msgspec.DecodeError) as error:
        raise StorageError(f"{path} cannot be read ({error}); remove it when you have seen to the accounts") from error
    return CommandGiven(Kill(why=f"interlock-kill: {note.why}"), note.who, ORIGIN, note.ts)


class Forget:
    """Removes the note once the kill that it asked for is in the journal."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME

    def on_entry(self, _seq: int, _ts: Nanos, payload: Payload) -> None:
        if isinstance(payload, CommandGiven) and payload.origin == ORIGIN:
            self._path.unlink(missing_ok=True)

    def on_market(self, _: object) -> None:
        """The market is none of its business."""
