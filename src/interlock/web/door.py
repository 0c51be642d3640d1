"""The way a person's act goes from the page to the engine. The runtime's door holds its inbox, and nothing behind it."""

from typing import Any, Protocol

from interlock.model.command import Command
from interlock.model.ids import AccountName


class CommandDoor(Protocol):
    async def submit(self, command: Command, *, who: str, origin: str) -> dict[str, Any]:
        """The durable outcome: "ok", and with False "code" and "reason". Raises StorageError: it was not given."""
        ...


class LiveDoor(Protocol):
    async def look(self, account: AccountName | None = None) -> dict[str, Any]:
        """Live accounts as their brokers tell them now: number, net liquidation, positions, and the digest of what is shown."""
        ...


class PositionsDoor(Protocol):
    def __call__(self, account: str | None, instrument: str | None) -> dict[str, Any]:
        """What a flatten of this reach is decided on: {"state": rows, "digest"}."""
        ...


class DrillDoor(Protocol):
    async def __call__(self, orders: int, who: str) -> dict[str, Any]:
        """A kill drill: {"orders", "cancelled", "confirmed_ms"}. Raises InterlockError when it could not be held."""
        ...
