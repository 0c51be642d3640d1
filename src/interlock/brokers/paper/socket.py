"""A line to a venue behind a loopback port. It writes each request once, itself, at once, and never tries again.

Bytes go from the call straight into the socket: nothing waits in this process, so a process that was stopped has nothing left
to write when it goes on. A line that is lost stays lost until `reconnect`.
"""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from interlock.brokers.paper import talk
from interlock.brokers.paper.talk import ANSWER_MAX, Ask, Hello, Welcome
from interlock.brokers.paper.wire import AnswerLost, ConnectFailed
from interlock.errors import Unsupported

ANSWER_S: Final = 5.0
SILENCE_S: Final = 3.0
"""How long a ping may stay unanswered before the line counts as half-open and is given up."""
_CHUNK: Final = 1 << 16


class SocketLine:
    """What `PaperBroker` holds of a wire, over TCP.

    Args:
        timeout: seconds for a connection, and for each answer.
        silence: seconds that a ping may stay unanswered.
        check: looks at each welcome; a sentence refuses it.
        monotonic: machinery time, for the pings.
    """

    def __init__(self, host: str, port: int, token: str, *, timeout: float = ANSWER_S, silence: float = SILENCE_S,
                 check: Callable[[Welcome], str] | None = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._address, self._token = (host, port), token
        self._timeout, self._silence, self._check, self._monotonic = timeout, silence, check, monotonic
        self._on_frame: Callable[[bytes], None] | None = None
        self._on_line: Callable[[bool, str], None] | None = None
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._buffer = bytearray()
        self._number = 0
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._pings: dict[int, tuple[float, Callable[[bytes], None]]] = {}
        self._dialling = asyncio.Lock()
        self._is_closed = False
        self.welcome: Welcome | None = None
        self.is_up = False
        self.connection = 0
        self.bytes_by_kind: Counter[str] = Counter()       # to the venue
        self.messages_by_kind: Counter[str] = Counter()

    @property
    def order_bytes_to_venue(self) -> int:
        """Bytes of messages that write orders."""
        return self.bytes_by_kind["place"] + self.bytes_by_kind["modify"]

    def listen(self, on_frame: Callable[[bytes], None], on_line: Callable[[bool, str], None]) -> None:
        self._on_frame, self._on_line = on_frame, on_line

    # -- the connection

    async def reconnect(self) -> None:
        """A connection where there is none. Raises ConnectFailed, within the timeout."""
        async with self._dialling:
            if self.is_up:
                return
            if self._is_closed:
                raise ConnectFailed("the line is closed")
            made = self._make()
            made.setblocking(False)
            try:
                async with asyncio.timeout(self._timeout):
                    welcome = await self._dial(made)
            except (OSError, TimeoutError) as error:
                made.close()
                why = error.strerror if isinstance(error, OSError) and error.strerror else "no answer"
                raise ConnectFailed(f"no connection to {self._address[0]}:{self._address[1]}: {why}") from error
            except (ConnectFailed, asyncio.CancelledError):
                made.close()
                raise
            self._loop = asyncio.get_running_loop()
            self._socket, self.welcome, self.is_up = made, welcome, True
            self.connection += 1
            self._loop.add_reader(made, self._read)
            self._tell(True, "connected")
            self._take_lines()                     # what came with the welcome

    def _make(self) -> socket.socket:
        return socket.socket(socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET, socket.SOCK_STREAM)

    async def _dial(self, made: socket.socket) -> Welcome:
        loop = asyncio.get_running_loop()
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(made, self._address)
        await loop.sock_sendall(made, talk.encode(Hello(self._token)) + b"\n")
        self._buffer.clear()
        while b"\n" not in self._buffer:
            part = await loop.sock_recv(made, _CHUNK)
            if not part or len(self._buffer) > ANSWER_MAX:
                raise ConnectFailed("the venue closed the line before it said welcome")
            self._buffer += part
        first, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer[:] = rest
        try:
            told = talk.told_of(first)
        except msgspec.DecodeError as error:
            raise ConnectFailed(f"what listens there is no paper venue: {error}") from error
        if told.welcome is None:
            raise ConnectFailed(f"the venue refuses: {told.refused or 'it said no welcome'}")
        if self._check is not None and (why := self._check(told.welcome)):
            raise ConnectFailed(why)
        return told.welcome

    def close(self) -> None:
        """End it for good. Whoever waits for an answer gets none."""
        self._is_closed = True
        self._drop("closed")

    def _lose(self, reason: str) -> None:
        """The line broke: it is down until somebody asks for a new one."""
        if self.is_up:
            self._drop(reason)
            self._tell(False, reason)

    def _drop(self, reason: str) -> None:
        self.is_up = False
        made, self._socket = self._socket, None
        if made is not None:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(made)
            made.close()
        self._buffer.clear()
        self._pings.clear()
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            if not answer.done() and not answer.get_loop().is_closed():
                answer.set_exception(AnswerLost(f"the line broke while the answer was awaited: {reason}"))

    def _tell(self, is_up: bool, reason: str) -> None:
        if self._on_line is not None:
            self._on_line(is_up, reason)

    # -- requests

    async def request(self, kind: str, body: bytes) -> bytes:
        """Write one request and wait for its answer. Raises ConnectFailed (it never left) or AnswerLost.

        The bytes are written before the first suspension.
        """
        number = self._write(kind, body)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(self._timeout):
                return await answer
        except TimeoutError:
            raise AnswerLost(f"no answer within {self._timeout:g} s") from None
        finally:
            self._waiting.pop(number, None)

    def exchange(self, kind: str, body: bytes) -> bytes:  # noqa: ARG002 - it cannot
        raise Unsupported("a venue behind a socket is asked with `request`")

    def ping(self, body: bytes, on_answer: Callable[[bytes], None]) -> None:
        """Ask for a sign of life. One that stays out too long is the end of the line. Raises ConnectFailed."""
        self._read()                               # an answer that lies in the socket is no silence
        oldest = min((since for since, _ in self._pings.values()), default=None)
        if oldest is not None and self._monotonic() - oldest > self._silence:
            self._lose(f"no sign of life for {self._monotonic() - oldest:.1f} s")
        number = self._write("ping", body)
        self._pings[number] = self._monotonic(), on_answer

    def _write(self, kind: str, body: bytes) -> int:
        made = self._socket
        if made is None:
            raise ConnectFailed("the line is closed" if self._is_closed else "the line is down")
        self._number += 1
        line = talk.encode(Ask(self._number, kind, msgspec.Raw(body))) + b"\n"
        try:
            sent = made.send(line)
        except BlockingIOError:
            self._lose("the venue takes no more bytes")
            raise ConnectFailed("the venue takes no more bytes") from None
        except OSError as error:
            self._lose(error.strerror or str(error))
            raise ConnectFailed(f"the line is down: {error.strerror}") from error
        self.bytes_by_kind[kind] += sent
        self.messages_by_kind[kind] += 1
        if sent < len(line):                       # a piece of a request is no request, but who knows what becomes of it
            self._lose("the venue takes no more bytes")
            raise AnswerLost(f"{sent} of {len(line)} bytes were taken")
        return self._number

    # -- what the venue says

    def _read(self) -> None:
        made = self._socket
        while made is not None and made is self._socket:
            try:
                part = made.recv(_CHUNK)
            except BlockingIOError:
                break
            except OSError as error:
                self._lose(error.strerror or str(error))
                return
            if not part:
                self._take_lines()
                self._lose("the venue closed the line")
                return
            self._buffer += part
            if len(part) < _CHUNK:
                break
        if len(self._buffer) > ANSWER_MAX:
            self._lose(f"a line of more than {ANSWER_MAX} bytes")
            return
        self._take_lines()

    def _take_lines(self) -> None:
        buffer = self._buffer
        while (end := buffer.find(b"\n")) >= 0:
            line = bytes(buffer[:end])
            del buffer[:end + 1]
            try:
                told = talk.told_of(line)
            except msgspec.DecodeError as error:
                self._lose(f"the venue said something that cannot be read: {error}")
                return
            if told.n:
                self._answered(told.n, bytes(told.answer))
            elif told.event and self._on_frame is not None:
                self._on_frame(bytes(told.event))

    def _answered(self, number: int, body: bytes) -> None:
        pinged = self._pings.pop(number, None)
        if pinged is not None:
            pinged[1](body)
        elif (waiting := self._waiting.get(number)) is not None and not waiting.done():
            waiting.set_result(body)
