"""A TCP proxy that does to a line what networks do: delay, slice, stall one way, cut, reset. In a thread of its own."""

import asyncio
import contextlib
import socket
import struct
import threading
from typing import Self

UP, DOWN = "to the venue", "from the venue"


class FaultProxy:
    """Between one port and another. The faults are attributes, looked at for every piece that passes."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.delay = {UP: 0.0, DOWN: 0.0}
        self.slice = 0                             # bytes at a time; 0: as they come
        self.stalled: set[str] = set()             # pieces of that direction are kept back, and thrown away when it is cut
        self.refuses = False                       # new connections
        self.passed = {UP: 0, DOWN: 0}
        self.connections = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        started = threading.Event()

        async def start() -> None:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            started.set()

        def run() -> None:
            self._loop.run_until_complete(start())
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def cut(self, *, reset: bool = False) -> None:
        """End every connection; with `reset` as a peer does that has forgotten it."""
        async def act() -> None:
            for writer in list(self._open):
                if reset:
                    raw = writer.get_extra_info("socket")
                    with contextlib.suppress(OSError):
                        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            for task in list(self._tasks):
                task.cancel()
            self._open.clear()

        asyncio.run_coroutine_threadsafe(act(), self._loop).result(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        for source, sink, way in ((reader, far_writer, UP), (far_reader, writer, DOWN)):
            task = self._loop.create_task(self._carry(source, sink, way))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, way: str) -> None:
        try:
            while piece := await source.read(self.slice or 65_536):
                if self.delay[way]:
                    await asyncio.sleep(self.delay[way])
                while way in self.stalled:
                    await asyncio.sleep(0.02)
                self.passed[way] += len(piece)
                sink.write(piece)
                await sink.drain()
        except (ConnectionError, OSError):
            return
        finally:
            with contextlib.suppress(OSError):
                sink.transport.abort()
