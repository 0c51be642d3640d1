"""Where everything from outside waits for its turn, and where a caller waits for the answer."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

import msgspec

from interlock.errors import StorageError
from interlock.model.command import Command, CommandGiven
from interlock.model.entry import Payload
from interlock.model.signal import AlertAnswer, AlertReceived
from interlock.model.tape import MarketMessage


@dataclass(frozen=True, slots=True)
class Item:
    message: Payload | MarketMessage
    reply: asyncio.Future[Any] | None = None


class Inbox:
    """A bounded queue of one event loop. Full is refused at the door, never dropped behind it."""

    def __init__(self, bound: int = 8192) -> None:
        self.items: deque[Item] = deque()
        self._commands = 0             # that stand in front
        self._bound = bound
        self._arrived: asyncio.Event | None = None
        self.closed_by: str | None = None

    def put(self, message: Payload | MarketMessage) -> None:
        """From inside: reports, readings. Never refused, because what has happened has happened."""
        self.items.append(Item(message))
        self.wake()

    async def ask(self, message: Payload) -> Any:
        """From outside: put it in, and wait until its turn is durable. Raises StorageError when it cannot be written."""
        if self.closed_by is not None:
            raise StorageError(self.closed_by)
        if isinstance(message, CommandGiven):
            return await self._ask_first(message)
        if len(self.items) >= self._bound:
            raise StorageError(f"{self._bound} messages wait already; nothing more is taken in until they are written")
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.items.append(Item(message, reply))
        self.wake()
        return await reply

    async def _ask_first(self, command: CommandGiven) -> Any:
        """A person's act waits behind nothing but other acts, and is never refused for want of room."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.items.insert(self._commands, Item(command, reply))
        self._commands += 1
        self.wake()
        return await reply

    def take(self) -> Item | None:
        if not self.items:
            return None
        self._commands = max(0, self._commands - 1)
        return self.items.popleft()

    def __len__(self) -> int:
        return len(self.items)

    async def wait(self, seconds: float | None) -> None:
        """Until something arrives, or so many seconds."""
        if self.items:
            return
        self._arrived = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            return
        finally:
            self._arrived = None

    def close(self, why: str) -> None:
        """Refuse everything from now on, and everyone who still waits."""
        self.closed_by = why
        while (item := self.take()) is not None:
            if item.reply is not None and not item.reply.done():
                item.reply.set_exception(StorageError(why))

    def wake(self) -> None:
        """End the wait of the loop that takes from here."""
        if self._arrived is not None:
            self._arrived.set()


def writable(given: CommandGiven) -> CommandGiven:
    """The same command with every text in UTF-8: a kill is not lost to a letter that a terminal spelled otherwise."""
    try:
        msgspec.msgpack.encode(given)
    except UnicodeEncodeError:
        return msgspec.convert(_in_utf8(msgspec.to_builtins(given)), CommandGiven)
    return given


def _in_utf8(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_utf8(inner) for key, inner in value.items()}
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


class AlertDoor:
    """What the hook is handed: a way to submit an alert and wait for its durable answer."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def submit(self, received: AlertReceived) -> AlertAnswer:
        answer: AlertAnswer = await self._inbox.ask(received)
        return answer


class CommandDoor:
    """What the page and the control socket are handed: a person's act goes in, its durable outcome comes back."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def submit(self, command: Command, *, who: str, origin: str) -> dict[str, Any]:
        """The outcome, with "ok". Raises StorageError when the command could not be written down."""
        outcome: dict[str, Any] = await self._inbox.ask(writable(CommandGiven(command, who, origin, 0)))
        if "refused" in outcome:
            return {"ok": False, "code": outcome["refused"], "reason": outcome["reason"], **outcome}
        return {"ok": True, **outcome}
