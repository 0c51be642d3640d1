"""The Unix socket in the state directory (0600) over which commands reach a running engine: one JSON line each way."""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from interlock.errors import InputError, InterlockError, StorageError

SOCKET_NAME: Final = "control.sock"
LINE_MAX: Final = 1 << 20

Handler = Callable[[Mapping[str, Any]], Awaitable[Any]]


class ControlServer:
    """Answers {"ask": name, ...} with {"ok": value} or {"error": {"kind", "message"}}."""

    def __init__(self, directory: Path, handlers: Mapping[str, Handler]) -> None:
        self._path = directory / SOCKET_NAME
        self._handlers = handlers
        self._server: asyncio.AbstractServer | None = None

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            with _short(self._path) as path:
                self._server = await asyncio.start_unix_server(self._serve, path=path, limit=LINE_MAX)
        except OSError as error:
            raise StorageError(f"{self._path}: the control socket cannot be made: {error}") from error
        finally:
            os.umask(before)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), 5.0)
            writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
            await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            return  # a caller that says nothing, or leaves, gets no answer
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            name = request["ask"]
        except (ValueError, TypeError, KeyError):
            name = None
        if not isinstance(name, str):
            return {"error": {"kind": "InputError", "message": 'expected one JSON line {"ask": name, ...}'}}
        handler = self._handlers.get(name)
        if handler is None:
            return {"error": {"kind": "InputError", "message": f"nothing here answers {name!r}"}}
        try:
            return {"ok": await handler(request)}
        except InterlockError as error:
            return {"error": {"kind": type(error).__name__, "message": str(error)}}


def ask(directory: Path, name: str, *, timeout: float = 10.0, **fields: Any) -> Any | None:
    """Ask the engine that runs in `directory`; None when none runs. Raises InterlockError with the engine's own words."""
    path = directory / SOCKET_NAME
    if not path.exists():
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(timeout)
        try:
            with _short(path) as short:
                line.connect(short)
        except (ConnectionRefusedError, FileNotFoundError):
            return None  # a socket left behind by a killed process
        except OSError as error:
            raise StorageError(f"{path}: the engine's control socket does not answer: {error}") from error
        try:
            line.sendall(json.dumps({"ask": name, **fields}).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                part = line.recv(65_536)
                if not part:
                    break
                answer += part
        except OSError as error:
            raise StorageError(f"the engine did not answer {name!r} within {timeout:g} s: {error}") from error
    if not answer:
        raise StorageError(f"the engine closed the line before it answered {name!r}")
    reply = json.loads(answer)
    if "error" in reply:
        kind = InputError if reply["error"]["kind"] == InputError.__name__ else StorageError
        raise kind(reply["error"]["message"])
    return reply["ok"]


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A Unix socket's path is bounded (108 bytes); a long one is reached through the directory's descriptor."""
    text = str(path)
    if len(text.encode()) < 100:
        yield text
        return
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)
