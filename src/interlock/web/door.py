"""The way a person's act goes from the page to the engine: a queue, and nothing of what stands behind it."""

import asyncio
from typing import Any, Final, NamedTuple, Protocol

from interlock.errors import InterlockError
from interlock.model.command import Command

ANSWER_WITHIN: Final = 5.0             # seconds that a page waits for the engine's word
WAITING_MAX: Final = 100


class DoorClosed(InterlockError):
    """Refuse: the engine takes no commands now. The command was not given."""


class NoAnswer(InterlockError):
    """The command was given and nothing is known of its effect; look at the desk before asking again."""


class Asked(NamedTuple):
    """One command on its way. The engine's side journals it with who and from where, and sets `answer`."""

    command: Command
    who: str
    origin: str
    answer: asyncio.Future[dict[str, Any]]


class CommandDoor(Protocol):
    async def submit(self, command: Command, *, who: str, origin: str) -> dict[str, Any]:
        """The engine's answer: {"ok": bool, "code", "reason", ...}. Raises DoorClosed or NoAnswer."""
        ...


class QueueDoor:
    """The command door of the embedded topology. The runtime reads `queue`; the web room only ever adds to it."""

    def __init__(self, *, answer_within: float = ANSWER_WITHIN) -> None:
        self.queue: asyncio.Queue[Asked] = asyncio.Queue(WAITING_MAX)
        self._answer_within = answer_within

    async def submit(self, command: Command, *, who: str, origin: str) -> dict[str, Any]:
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        try:
            self.queue.put_nowait(Asked(command, who, origin, answer))
        except asyncio.QueueFull:
            raise DoorClosed(f"{WAITING_MAX} commands wait for the engine already; use `interlock kill`") from None
        try:
            return await asyncio.wait_for(answer, self._answer_within)
        except TimeoutError:
            raise NoAnswer(f"the engine has not answered within {self._answer_within:g} s; the command may still take "
                           "effect. Look at the desk, or use `interlock kill` in a terminal") from None
