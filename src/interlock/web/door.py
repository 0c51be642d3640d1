"""The way a person's act goes from the page to the engine. The runtime's door holds its inbox, and nothing behind it."""

from typing import Any, Protocol

from interlock.model.command import Command


class CommandDoor(Protocol):
    async def submit(self, command: Command, *, who: str, origin: str) -> dict[str, Any]:
        """The durable outcome: "ok", and with False "code" and "reason". Raises StorageError: it was not given."""
        ...
