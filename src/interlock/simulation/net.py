"""The network: streams of bytes between processes and venues, and everything that may happen to them on the way.

Bytes of one connection keep their order, as TCP does; how long they take, into what pieces they fall and whether they arrive
is drawn by the seed or ordered by a plan. The client's end is a socket as the product's own transport uses one; the far end is
a gateway that speaks the venue's line protocol, by a reader of its own, and hands whole requests to the venue.
"""

import contextvars
import errno
import hashlib
import os
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec

from interlock.simulation.history import VenueLine, Wire
from interlock.simulation.loop import OWNER, Fence, Owner, SimLoop

Nanos = int
MILLISECOND: Final = 1_000_000
BUFFER_MAX: Final = 1 << 18            # bytes that a socket takes before the far end has them


class Far(Protocol):
    """What listens at an address."""

    def accept(self, connection: "Connection") -> str:
        """Why it refuses the connection, "" for one that it takes."""
        ...

    def sent(self, connection: "Connection", data: bytes) -> None:
        """The client has written; it has not arrived yet."""
        ...

    def take(self, connection: "Connection", data: bytes) -> None: ...

    def lost(self, connection: "Connection") -> None: ...


class Connection:
    """Both directions of one stream. `number` counts the connections of that process to that address."""

    def __init__(self, net: "Net", far: Far, number: int, owner: Owner | None) -> None:
        self.net, self.far, self.number, self.owner = net, far, number, owner
        self.incoming = bytearray()    # arrived at the client, not yet read
        self.flying = 0                # bytes that the client has sent and the far end has not got
        self.is_open = True
        self.error = 0                 # what the client's next call is told
        self.is_ended = False          # the far end has closed; what arrived before can still be read
        self.is_deaf = False           # half-open: whatever either side sends is lost, and nobody is told
        self.slices = 0                # the next bytes come in so many pieces
        self.out = self.back = 0       # when the last bytes of each direction arrive
        self.reader: Callable[[], None] | None = None
        self.marks: deque[tuple[int, Callable[[], None]]] = deque()    # told when so many bytes have been read
        self.said = self.read = 0

    # -- from the client

    def send(self, data: bytes) -> int:
        """Raises OSError. As many bytes as were taken."""
        if self.error or not self.is_open:
            raise OSError(self.error or errno.EPIPE, os.strerror(self.error or errno.EPIPE))
        room = BUFFER_MAX - self.flying
        if room <= 0:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        taken = data[:room]
        self.far.sent(self, taken)
        if not self.is_open:                           # it broke at this very write
            raise OSError(self.error or errno.EPIPE, os.strerror(self.error or errno.EPIPE))
        self.flying += len(taken)
        self.net.trace("out", taken)
        self.out = self.net.fly(self.out, lambda: self._arrive(taken), self)
        return len(taken)

    def _arrive(self, data: bytes) -> None:
        if not self.is_open or self.is_deaf:
            return
        self.flying -= len(data)
        self.far.take(self, data)

    # -- from the far end

    def tell(self, data: bytes) -> None:
        """Bytes to the client."""
        if not self.is_open:
            return
        self.said += len(data)
        self.net.trace("in", data)
        pieces, self.slices = max(1, self.slices), 0
        size = max(1, -(-len(data) // pieces))
        for at in range(0, len(data), size):
            piece = data[at:at + size]
            self.back = self.net.fly(self.back, lambda piece=piece: self._heard(piece), self)  # type: ignore[misc]

    def _heard(self, data: bytes) -> None:
        if self.is_open and not self.is_deaf and not self.error:
            self.incoming += data
            self.wake()

    def end(self) -> None:
        """The far end closes in order: what it has said arrives, then the end."""
        if self.is_open:
            self.back = self.net.fly(self.back, self._ended, self)

    def _ended(self) -> None:
        if not self.is_deaf:
            self.is_ended = True
            self.wake()

    def reset(self) -> None:
        """The stream breaks: what is on its way is lost, and the client's next call fails."""
        if self.is_open:
            self.is_open = False
            self.error = errno.ECONNRESET
            self.far.lost(self)
            self.wake()

    def close(self) -> None:
        """By the client, or because its process is gone."""
        if self.is_open:
            self.is_open = False
            self.net.loop.call_in(self.net.latency(), self.far.lost, self)

    def wake(self) -> None:
        if self.reader is not None:
            self.reader()


class SimSocket:
    """What the product's transport holds of a connection; its calls are those of a non-blocking `socket.socket`."""

    def __init__(self, net: "Net") -> None:
        self._net = net
        self.connection: Connection | None = None

    def setblocking(self, _: bool) -> None:
        """It never blocks."""

    def setsockopt(self, *_: Any) -> None:
        """There is nothing to set."""

    def _fence(self) -> Connection:
        owner = OWNER.get()
        if owner is not None and owner.is_dead:
            raise OSError(errno.EBADF, "the process is gone")
        if self.connection is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return self.connection

    def send(self, data: bytes) -> int:
        return self._fence().send(bytes(data))

    def recv(self, size: int) -> bytes:
        connection = self._fence()
        if connection.incoming:
            part = bytes(connection.incoming[:size])
            del connection.incoming[:size]
            connection.read += len(part)
            while connection.marks and connection.marks[0][0] <= connection.read:
                connection.marks.popleft()[1]()
            return part
        if connection.error:
            raise OSError(connection.error, os.strerror(connection.error))
        if connection.is_ended or not connection.is_open:
            return b""
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def close(self) -> None:
        if self.connection is not None:
            self.connection.reader = None
            self.connection.close()


class Net:
    """Addresses, who listens there, and the line between. Latencies are drawn per connection from one stream."""

    def __init__(self, loop: SimLoop, seed: int | str, latency: tuple[Nanos, Nanos]) -> None:
        self.loop = loop
        self._bounds = latency
        self._rng = random.Random(f"net:{seed}")
        self._listeners: dict[tuple[str, int], Far] = {}
        self._connections: list[Connection] = []
        self._numbers: dict[tuple[str, int], int] = {}
        self._trace = hashlib.sha256()
        self._cut: dict[int, Far] = {}                 # whom nothing reaches, and who reaches nobody
        self._held: list[tuple[Connection, Callable[[], None]]] = []
        loop.sock = self

    @property
    def digest(self) -> str:
        return self._trace.hexdigest()

    def trace(self, way: str, data: bytes) -> None:
        self._trace.update(b"%d %s %d\n" % (self.loop.ns, way.encode(), len(data)))
        self._trace.update(data)

    def latency(self) -> Nanos:
        return self._rng.randint(*self._bounds)

    def listen(self, address: tuple[str, int], far: Far) -> None:
        self._listeners[address] = far

    def live(self) -> list[Connection]:
        self._connections = [each for each in self._connections if each.is_open]
        return self._connections

    def fly(self, not_before: Nanos, arrive: Callable[[], None], connection: Connection) -> Nanos:
        """Let something arrive after a latency and not before what was sent earlier; when."""
        at = max(self.loop.ns + self.latency(), not_before + 1)
        self._outside(at - self.loop.ns, lambda: self._land(arrive, connection))
        return at

    def _land(self, arrive: Callable[[], None], connection: Connection) -> None:
        if id(connection.far) in self._cut:
            self._held.append((connection, arrive))
        else:
            arrive()

    def _outside(self, delay: Nanos, act: Callable[[], None]) -> None:
        """What the network does belongs to no process."""
        contextvars.Context().run(self.loop.call_in, delay, act)

    def partition(self, on: bool, far: Far | None = None) -> None:
        """Nothing arrives in either direction, at one venue or (None) at all; when it ends, everything does, in order."""
        for each in self._listeners.values() if far is None else (far,):
            if on:
                self._cut[id(each)] = each
            else:
                self._cut.pop(id(each), None)
        held, self._held = self._held, []
        for connection, arrive in held:
            self._land(arrive, connection)

    def drop_process(self, owner: Owner) -> None:
        """A process is gone: its kernel closes what it had open."""
        for connection in self.live():
            if connection.owner is owner:
                connection.reader = None
                connection.close()

    # -- what the loop asks

    async def connect(self, sock: SimSocket, address: tuple[str, int]) -> None:
        far = self._listeners.get((address[0], address[1]))
        done = self.loop.create_future()

        def arrive() -> None:
            if not done.done():
                done.set_result(None)

        if id(far) not in self._cut:
            self._outside(2 * self.latency(), arrive)
        await done
        if far is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        owner = OWNER.get()
        key = "" if owner is None else owner.name, address[1]
        connection = Connection(self, far, self._numbers.get(key, 0) + 1, owner)
        if far.accept(connection):
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        self._numbers[key] = connection.number
        self._connections.append(connection)
        sock.connection = connection

    async def receive(self, sock: SimSocket, size: int) -> bytes:
        while True:
            try:
                return sock.recv(size)
            except BlockingIOError:
                arrived = self.loop.create_future()
                connection = sock.connection
                if connection is None:
                    raise
                connection.reader = lambda arrived=arrived: arrived.done() or arrived.set_result(None)
                try:
                    await arrived
                finally:
                    connection.reader = None

    def add_reader(self, sock: SimSocket, callback: Callable[[], None]) -> None:
        """Level-triggered, in the context of whoever asks."""
        context, loop, connection = contextvars.copy_context(), self.loop, sock.connection
        if connection is None:
            raise Fence("a socket that is not connected")
        is_waiting = False

        def run() -> None:
            nonlocal is_waiting
            is_waiting = False
            if connection.reader is not wake:
                return
            callback()
            if connection.reader is wake and (connection.incoming or connection.error or connection.is_ended):
                wake()

        def wake() -> None:
            nonlocal is_waiting
            if not is_waiting:
                is_waiting = True
                loop.call_soon(run, context=context)

        connection.reader = wake
        if connection.incoming or connection.error or connection.is_ended:
            wake()

    def remove_reader(self, sock: SimSocket) -> bool:
        if sock.connection is not None and sock.connection.reader is not None:
            sock.connection.reader = None
            return True
        return False


# -- the venue's end


class _Ask(msgspec.Struct, frozen=True):
    n: int
    kind: str
    body: msgspec.Raw


_asks: Final = msgspec.json.Decoder(_Ask)
_plain: Final = msgspec.json.Decoder().decode


def request_of(line: bytes) -> tuple[int, str, str, bytes]:
    """Number, kind, account and frame of one line that a client wrote."""
    ask = _asks.decode(line)
    body = bytes(ask.body)
    return ask.n, ask.kind, str(_plain(body).get("account", "")), body


Strike = Callable[[str], list[tuple[str, Mapping[str, Any]]]]
"""Counts one operation of a kind; the faults (verb, arguments) that strike it."""


class Gateway:
    """A venue's front: sessions, requests under numbers, events to every session. Faults of a plan act here on whole messages.

    `handle(kind, body, faults)` is the venue; `strike(operation)` tells what goes wrong with this one.
    """

    def __init__(self, net: Net, name: str, accounts: tuple[str, ...], handle: Callable[[str, bytes, dict[str, Any]], bytes],
                 strike: Strike, tell: Callable[[Any], None], now: Callable[[], Nanos], rng: random.Random,
                 clock: Callable[[], Nanos]) -> None:
        self._net, self.name, self._accounts, self._handle = net, name, accounts, handle
        self._strike, self._tell, self._now, self._rng, self._clock = strike, tell, now, rng, clock
        self._buffers: dict[int, bytearray] = {}
        self._sessions: dict[int, Connection] = {}
        self._doomed: dict[tuple[int, int], tuple[bool, list[tuple[str, Mapping[str, Any]]]]] = {}
        self._refuses_until: Nanos = 0
        self.is_dumb = False
        self.throttled_until: Nanos = 0
        self.environment = "paper_sim"

    @property
    def endpoint(self) -> str:
        """Where bytes arrive that are sent here: at a venue that calls itself live, or at one on paper."""
        return f"live {self.name}" if self.environment == "live" else self.name

    # -- connections

    def refuse(self, ns: Nanos) -> None:
        self._refuses_until = max(self._refuses_until, self._net.loop.ns + ns)

    def heal(self) -> None:
        self._refuses_until = self.throttled_until = 0
        self.is_dumb = False

    def drop_all(self) -> None:
        for connection in list(self._sessions.values()):
            connection.reset()

    def sessions(self) -> list[Connection]:
        return list(self._sessions.values())

    def accept(self, connection: Connection) -> str:
        if self._net.loop.ns < self._refuses_until:
            return "not now"
        self._buffers[id(connection)] = bytearray()
        return ""

    def lost(self, connection: Connection) -> None:
        self._buffers.pop(id(connection), None)
        if self._sessions.pop(id(connection), None) is not None:
            self._tell_line(connection, is_up=False)

    def take(self, connection: Connection, data: bytes) -> None:
        buffer = self._buffers.get(id(connection))
        if buffer is None:
            return
        buffer += data
        while (end := buffer.find(b"\n")) >= 0:
            line = bytes(buffer[:end])
            del buffer[:end + 1]
            if id(connection) not in self._sessions:
                self._welcome(connection)
            else:
                self._request(connection, line)

    def _welcome(self, connection: Connection) -> None:
        self._sessions[id(connection)] = connection
        self._tell_line(connection, is_up=True)
        connection.tell(b'{"welcome":{"session":"trade","environment":"%s","simulator":true,"accounts":[%s]}}\n'
                        % (self.environment.encode(), ",".join(f'"{name}"' for name in self._accounts).encode()))

    def _tell_line(self, connection: Connection, *, is_up: bool) -> None:
        owner = connection.owner
        self._tell(VenueLine(ts=self._now(), node="" if owner is None else owner.name, accounts=self._accounts,
                             connection=connection.number, is_up=is_up, venue=self.name, is_live=self.environment == "live"))

    # -- messages

    def sent(self, connection: Connection, data: bytes) -> None:
        """A client has written: what will become of each request is decided now, and recorded."""
        if id(connection) in self._sessions:
            for line in data.splitlines():
                self._sent(connection, line)

    def _sent(self, connection: Connection, line: bytes) -> None:
        number, kind, account, body = request_of(line)
        faults = self._strike(f"wire.{kind}")
        names = {verb for verb, _ in faults}
        for verb, arguments in faults:
            self._break(connection, verb, arguments)
        arrives = connection.is_open and not connection.is_deaf and not names & {"net.drop_request", "broker.never_answer"}
        self._doomed[id(connection), number] = arrives, faults
        owner = connection.owner
        if kind != "ping":
            self._tell(Wire(ts=self._now(), node="" if owner is None else owner.name, direction="out", kind=kind, account=account,
                            body=body, connection=connection.number, arrived=arrives, venue=self.endpoint,
                            epoch=0 if owner is None else owner.epoch, clock=self._clock()))

    def _break(self, connection: Connection, verb: str, arguments: Mapping[str, Any]) -> None:
        ns = int(arguments.get("ms", 1_000)) * MILLISECOND
        match verb:
            case "net.reset":
                self.refuse(ns)
                self._net._outside(self._net.latency(), connection.reset)
            case "net.half_open":
                connection.is_deaf = True
                self._net._outside(ns, connection.reset)
            case "net.partition":
                self._net.partition(True, self)
                self._net._outside(ns, lambda: self._net.partition(False, self))
            case "net.slice":
                connection.slices = 7
            case "net.latency":                    # this request and, on the same stream, all that follow it
                connection.out = max(connection.out, self._net.loop.ns + ns)
            case "net.auth_expire":
                self.refuse(ns)
                connection.tell(b'{"refused":"session expired"}\n')
                connection.end()
            case _:
                pass                               # acts on the request itself

    def _request(self, connection: Connection, line: bytes) -> None:
        number, kind, account, body = request_of(line)
        arrives, faults = self._doomed.pop((id(connection), number), (True, []))
        if not arrives or self.is_dumb:
            return
        self._carry(connection, number, kind, account, body, faults)

    def _carry(self, connection: Connection, number: int, kind: str, account: str, body: bytes,
               faults: list[tuple[str, Mapping[str, Any]]]) -> None:
        names = {verb for verb, _ in faults}
        given = {verb: {**arguments, "ns": int(arguments.get("ms", 0)) * MILLISECOND}
                 for verb, arguments in faults if verb.startswith("broker.")}
        if kind in ("place", "modify") and self._net.loop.ns < self.throttled_until:
            given["broker.reject"] = {"reason": "rate limit"}
        is_turned_away = "broker.failed_read" in names or ("net.status" in names and self._rng.random() < 0.5)
        if is_turned_away:
            answer = b'{"is":"failed","reason":"503 service unavailable","ts":%d}' % self._now()
        else:
            answer = self._handle(kind, body, given)
            if "net.status" in names:
                answer = b'{"is":"failed","reason":"504 gateway timeout","ts":%d}' % self._now()
        if "net.garbage" in names or "broker.unknown_enum" in names:
            answer = b'{"is":"perhaps","ts":"soon"}'
        if "net.drop_response" in names:
            return
        self._say(connection, kind, account, answer, b'{"n":%d,"answer":%s}\n' % (number, answer), is_answer=True)

    def _say(self, connection: Connection, kind: str, account: str, body: bytes, line: bytes, *, is_answer: bool) -> None:
        if not connection.is_open or connection.is_deaf:
            return
        owner = connection.owner
        connection.tell(line)
        if kind == "ping":
            return

        def heard() -> None:
            self._tell(Wire(ts=self._now(), node="" if owner is None else owner.name, direction="in", kind=kind, account=account,
                            body=body, connection=connection.number, is_answer=is_answer, venue=self.name,
                            epoch=0 if owner is None else owner.epoch))

        connection.marks.append((connection.said, heard))

    def push(self, what: str, account: str, body: bytes) -> None:
        """A report of the venue to whoever has a session."""
        faults = self._strike(f"report.{what}")
        names = dict(faults)
        if "net.drop_frame" in names:
            return
        delays = [0]
        for verb in ("net.latency", "net.reorder"):
            if verb in names:
                delays = [int(names[verb].get("ms", 500)) * MILLISECOND]
        if "net.duplicate" in names:
            arguments = names["net.duplicate"]
            delays += [int(arguments.get("ms", 0)) * MILLISECOND] * int(arguments.get("times", 1))
        for delay in delays:
            for connection in self.sessions():
                def say(connection: Connection = connection) -> None:
                    self._say(connection, "report", account, body, b'{"event":%s}\n' % body, is_answer=False)

                if delay:
                    self._net._outside(delay, say)
                else:
                    say()
