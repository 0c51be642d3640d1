"""The venue's port: sessions over a socket, each with a credential, all of them told every event.

A session that was opened with the credential for flattening may look, cancel, and place what only reduces; anything else it
places the venue refuses, as a broker does under a restricted key.
"""

import asyncio
import hmac
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, cast

import msgspec
from msgspec import Raw

from interlock.brokers.paper import talk
from interlock.brokers.paper.plan import REQUESTS, Place, Plan, Verb, find
from interlock.brokers.paper.talk import ANSWER_MAX, REQUEST_MAX, TRADE, Ask, Told, Welcome
from interlock.brokers.paper.venue import PaperVenue

HELLO_S: Final = 5.0
"""How long a connection may say nothing before it is closed."""
STATUS: Final = "status"


class VenuePort:
    """Serves one venue on one port.

    Args:
        tokens: session by credential.
        plan: faults of the wire; those of the venue are its own matter.
        moved: called after each request, because the venue may have something due then.
    """

    def __init__(self, venue: PaperVenue, tokens: Mapping[str, str], *, environment: str, plan: Plan | None = None,
                 moved: Callable[[], None] = lambda: None) -> None:
        self.venue, self.plan, self.environment, self.moved = venue, plan, environment, moved
        self._tokens = {token.encode(): session for token, session in tokens.items()}
        self._server: asyncio.AbstractServer | None = None
        self._sessions: list[_Session] = []
        self.is_silent = False
        self.messages: Counter[tuple[str, str]] = Counter()        # by session and kind, arrived
        self.bytes: Counter[tuple[str, str]] = Counter()
        self.connections: Counter[str] = Counter()                 # by session, since the start
        venue.listen(self._broadcast)

    async def start(self, host: str, port: int) -> int:
        """Listen; the port. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Session(self), host, port, reuse_address=True)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for session in list(self._sessions):
            session.abort()

    def session_of(self, token: str) -> str | None:
        """What a credential is good for; every one is compared, each in constant time."""
        given, found = token.encode(), None
        for known, session in self._tokens.items():
            if hmac.compare_digest(known, given):
                found = session
        return found

    def joined(self, session: "_Session") -> None:
        self._sessions.append(session)

    def left(self, session: "_Session") -> None:
        if session in self._sessions:
            self._sessions.remove(session)

    def silence(self, seconds: float = 0.0) -> None:
        """Say nothing more, for so long or (0) until `speak`."""
        self.is_silent = True
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self.speak)

    def speak(self) -> None:
        self.is_silent = False

    def status(self) -> bytes:
        """What has arrived, by session and kind of request."""
        arrived: dict[str, dict[str, dict[str, int]]] = {}
        for (session, kind), count in self.messages.items():
            arrived.setdefault(session, {})[kind] = {"messages": count, "bytes": self.bytes[session, kind]}
        return msgspec.json.encode({"is": "status", "arrived": arrived, "connections": dict(self.connections)})

    def _broadcast(self, event: bytes) -> None:
        if self._sessions and not self.is_silent:
            line = talk.encode(Told(event=Raw(event))) + b"\n"
            for session in list(self._sessions):
                session.write(line)


class _Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, port: VenuePort) -> None:
        self._port = port
        self._buffer = bytearray()
        self._session: str | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        asyncio.get_running_loop().call_later(HELLO_S, self._expire)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended makes no difference
        self._port.left(self)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > REQUEST_MAX:
            self.abort()
            return
        while self._transport is not None and (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[:end + 1]
            if self._session is None:
                self._greet(line)
            else:
                self._take(line)

    def write(self, line: bytes) -> None:
        """Nobody reads at the other end: the connection goes, not our memory."""
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size() > ANSWER_MAX:
            self.abort()
        else:
            self._transport.write(line)

    def abort(self) -> None:
        self._port.left(self)
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def _expire(self) -> None:
        if self._session is None:
            self.abort()

    def _greet(self, line: bytes) -> None:
        try:
            session = self._port.session_of(talk.hello_of(line).token)
        except (msgspec.DecodeError, UnicodeEncodeError):
            session = None
        if session is None:
            self.write(talk.encode(Told(refused="no such credential")) + b"\n")
            if self._transport is not None:
                self._transport.close()
                self._transport = None
            return
        self._session = session
        self._port.connections[session] += 1
        self._port.joined(self)
        self.write(talk.encode(Told(welcome=Welcome(session, self._port.environment, True, list(self._port.venue.accounts))))
                   + b"\n")

    def _take(self, line: bytes) -> None:
        try:
            ask = talk.ask_of(line)
        except msgspec.DecodeError:
            self.abort()                           # what it says next could be read wrongly
            return
        port, session = self._port, self._session or ""
        if ask.kind == STATUS:
            self._answer(ask, port.status())
            return
        if ask.kind not in REQUESTS:
            self.abort()
            return
        faults = port.plan.due(Place.WIRE, ask.kind) if port.plan is not None else ()
        if (silence := find(faults, Verb.SILENCE)) is not None:
            port.silence(silence.delay / 1e9)
        if find(faults, Verb.DISCONNECT) is not None:
            self.abort()
        if find(faults, Verb.DROP_REQUEST) is not None or self._transport is None:
            return
        port.messages[session, ask.kind] += 1
        port.bytes[session, ask.kind] += len(line) + 1
        is_answered = find(faults, Verb.DROP_RESPONSE) is None
        if (late := find(faults, Verb.LATENCY)) is not None:
            asyncio.get_running_loop().call_later(late.delay / 1e9, self._carry_out, ask, is_answered)
        else:
            self._carry_out(ask, is_answered)

    def _carry_out(self, ask: Ask, is_answered: bool) -> None:
        port = self._port
        answer = port.venue.handle(ask.kind, bytes(ask.body), may_add=self._session == TRADE)
        if is_answered and not port.is_silent:
            self._answer(ask, answer)
        port.moved()

    def _answer(self, ask: Ask, body: bytes) -> None:
        self.write(talk.encode(Told(n=ask.n, answer=Raw(body))) + b"\n")
