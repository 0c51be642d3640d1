"""Moves bytes between adapter and venue inside one process, counts them, and fails by plan as a real line does."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Generator
from typing import Any, Protocol

from interlock.brokers.paper.plan import Fault, Place, Plan, Verb, find
from interlock.brokers.paper.schedule import Schedule
from interlock.errors import BrokerError
from interlock.model.money import Nanos


class ConnectFailed(BrokerError):
    """The line is down; the bytes certainly never left."""


class AnswerLost(BrokerError):
    """The bytes were written and no answer came."""


class Desk(Protocol):
    """The far end: takes one request, gives one answer."""

    def handle(self, kind: str, body: bytes) -> bytes: ...


class Line(Protocol):
    """What the adapter holds of a wire."""

    @property
    def connection(self) -> int: ...

    @property
    def is_up(self) -> bool: ...

    async def request(self, kind: str, body: bytes) -> bytes: ...

    def exchange(self, kind: str, body: bytes) -> bytes: ...

    def listen(self, on_frame: Callable[[bytes], None], on_line: Callable[[bool, str], None]) -> None: ...

    async def reconnect(self) -> None: ...

    def close(self) -> None: ...


class Wire:
    """An in-process line. `request` suspends only while a latency fault holds the bytes back.

    With `is_travelling` the bytes leave at once and reach the venue when all that leaves in the same round of the event loop
    has left, in that order: no request waits until the venue has dealt with the one before.
    """

    def __init__(self, desk: Desk, schedule: Schedule, plan: Plan | None = None, *, is_travelling: bool = False) -> None:
        self._desk, self._schedule, self._plan, self._is_travelling = desk, schedule, plan, is_travelling
        self._on_frame: Callable[[bytes], None] | None = None
        self._on_line: Callable[[bool, str], None] | None = None
        self._held: deque[bytes] = deque()         # reports that a silent venue has not sent yet
        self._silences = 0
        self._down_until: Nanos = 0
        self._is_closed = False
        self.is_up = True
        self.is_silent = False
        self.connection = 1
        self.bytes_to_venue = self.bytes_from_venue = 0
        self.messages_to_venue = self.messages_from_venue = 0
        self.bytes_by_kind: Counter[str] = Counter()       # to the venue: place, modify, cancel, lookup, read, ping
        self.messages_by_kind: Counter[str] = Counter()

    @property
    def order_bytes_to_venue(self) -> int:
        """Bytes of messages that write orders, arrived at the venue."""
        return self.bytes_by_kind["place"] + self.bytes_by_kind["modify"]

    def listen(self, on_frame: Callable[[bytes], None], on_line: Callable[[bool, str], None]) -> None:
        self._on_frame, self._on_line = on_frame, on_line

    async def request(self, kind: str, body: bytes) -> bytes:
        """Carry one request there and its answer back. Raises ConnectFailed or AnswerLost."""
        self._check_up()
        faults = self._plan.due(Place.WIRE, kind) if self._plan is not None else ()
        if faults and (late := find(faults, Verb.LATENCY)) is not None:
            pause = _Pause()
            self._schedule.at(self._schedule.now + late.delay, pause.end)
            await pause
        if self._is_travelling:
            self.on_leaving(kind, body)
            await asyncio.sleep(0)
        return self._carry(kind, body, faults)

    def on_leaving(self, kind: str, body: bytes) -> None:
        """A request has been handed over. Nothing hangs on it; a stopwatch may stand here."""

    def exchange(self, kind: str, body: bytes) -> bytes:
        """As `request`, without latency and without suspending."""
        self._check_up()
        return self._carry(kind, body, self._plan.due(Place.WIRE, kind) if self._plan is not None else ())

    def push(self, body: bytes) -> None:
        """A report of the venue, to the listener. Lost while the line is down; waits while the venue is silent."""
        if self.is_silent:
            self._held.append(body)
        elif self.is_up and self._on_frame is not None:
            self.messages_from_venue += 1
            self.bytes_from_venue += len(body)
            self._on_frame(body)

    def silence(self, delay: Nanos = 0) -> None:
        """The venue stops answering, proving and reporting for `delay`, or until `heal`."""
        self.is_silent = True
        self._silences += 1
        if delay:
            number = self._silences
            self._schedule.at(self._schedule.now + delay, lambda: self._speak(number))

    def heal(self) -> None:
        """End a silence; what was held back is sent now. A broken line may be connected again at once."""
        self._down_until = 0
        self._speak(self._silences)

    def disconnect(self, reason: str, delay: Nanos = 0) -> None:
        """Break the line. `reconnect` fails until `delay` has passed."""
        self._down_until = self._schedule.now + delay
        if self.is_up:
            self.is_up = False
            self._held.clear()
            if self._on_line is not None:
                self._on_line(False, reason)

    async def reconnect(self) -> None:
        """A new connection. Raises ConnectFailed."""
        if self._is_closed or self._schedule.now < self._down_until:
            raise ConnectFailed(f"no connection at {self._schedule.now}: the line is down until {self._down_until}")
        if not self.is_up:
            self.is_up = True
            self.connection += 1
            if self._on_line is not None:
                self._on_line(True, "connected")

    def close(self) -> None:
        self._is_closed, self.is_up = True, False
        self._held.clear()

    def _carry(self, kind: str, body: bytes, faults: tuple[Fault, ...]) -> bytes:
        if faults:
            self._break(faults)
        if not self.is_up:
            raise AnswerLost("the line broke while the request was on its way")
        if self.is_silent or (faults and find(faults, Verb.DROP_REQUEST) is not None):
            raise AnswerLost("no answer")
        self.bytes_to_venue += len(body)
        self.messages_to_venue += 1
        self.bytes_by_kind[kind] += len(body)
        self.messages_by_kind[kind] += 1
        answer = self._desk.handle(kind, body)
        if faults and find(faults, Verb.DROP_RESPONSE) is not None:
            raise AnswerLost("no answer")
        self.bytes_from_venue += len(answer)
        self.messages_from_venue += 1
        return answer

    def _break(self, faults: tuple[Fault, ...]) -> None:
        if (silence := find(faults, Verb.SILENCE)) is not None:
            self.silence(silence.delay)
        if (cut := find(faults, Verb.DISCONNECT)) is not None:
            self.disconnect(cut.reason, cut.delay)

    def _check_up(self) -> None:
        if not self.is_up:
            raise ConnectFailed("the line is closed" if self._is_closed else "the line is down")

    def _speak(self, number: int) -> None:
        if number != self._silences:
            return                                 # a longer silence has begun since
        self.is_silent = False
        while self._held:
            self.push(self._held.popleft())


class _Pause:
    """Something to wait for, in an event loop or outside of one: there the coroutine is sent None until it goes on."""

    def __init__(self) -> None:
        self.is_over = False
        self._future: asyncio.Future[None] | None = None

    def end(self) -> None:
        self.is_over = True
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def __await__(self) -> Generator[Any, None, None]:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            while not self.is_over:
                yield None
            return
        if not self.is_over:
            self._future = loop.create_future()
            yield from self._future
