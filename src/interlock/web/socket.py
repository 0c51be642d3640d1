"""The live socket: one snapshot, then changes. A page that does not keep up begins again; nobody waits for it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from interlock.runtime.board import RESYNC, Board

PUSH_EVERY: Final = 0.1                # seconds
SEND_WITHIN: Final = 10.0
PAGES_MAX: Final = 32
TRY_AGAIN: Final = 1013


class Pages:
    """The pages that are open. Changes are published for as long as there is one."""

    def __init__(self, board: Board, health: Callable[[], dict[str, Any] | None]) -> None:
        self._board = board
        self._health = health
        self._open = 0
        self._publisher: asyncio.Task[None] | None = None

    async def serve(self, socket: WebSocket) -> None:
        await socket.accept()
        if self._open >= PAGES_MAX:
            await socket.close(TRY_AGAIN, f"{PAGES_MAX} pages are open already")
            return
        async with self._publishing() as publisher:
            queue = self._board.subscribe()
            snapshot = self._board.snapshot()
            ended = asyncio.create_task(_wait_gone(socket))
            telling = asyncio.create_task(self._tell(socket, snapshot, queue))
            try:
                await asyncio.wait((ended, telling, publisher), return_when=asyncio.FIRST_COMPLETED)
                if publisher.done() and not (ended.done() or telling.done()):
                    await socket.close(TRY_AGAIN, "no more changes: begin again")
            finally:
                self._board.unsubscribe(queue)
                ended.cancel()
                telling.cancel()
                await asyncio.gather(ended, telling, return_exceptions=True)

    async def _tell(self, socket: WebSocket, message: dict[str, Any], queue: asyncio.Queue[dict[str, Any]]) -> None:
        try:
            while True:
                if "accounts" in message:
                    message = {**message, "health": self._health() or {"status": "starting"}}
                await asyncio.wait_for(socket.send_text(msgspec.json.encode(message).decode()), SEND_WITHIN)
                if message is RESYNC:
                    await socket.close(TRY_AGAIN, "too slow: begin again")
                    return
                message = await queue.get()
        except (WebSocketDisconnect, TimeoutError, RuntimeError):
            return                     # the page is gone, or reads nothing any more

    @asynccontextmanager
    async def _publishing(self) -> AsyncIterator[asyncio.Task[None]]:
        """Its task ends only by a fault of ours; every page then closes, begins again and finds a new one."""
        self._open += 1
        if self._publisher is None or self._publisher.done():
            self._publisher = asyncio.create_task(self._publish())
        try:
            yield self._publisher
        finally:
            self._open -= 1
            if self._open == 0:
                self._publisher.cancel()
                self._publisher = None # a page that comes now must not take the one that is about to end

    async def _publish(self) -> None:
        while True:
            self._board.publish()
            await asyncio.sleep(PUSH_EVERY)


async def _wait_gone(socket: WebSocket) -> None:
    """Until the page closes its end. What it sends is read and not used."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
