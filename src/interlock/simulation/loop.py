"""An event loop without a world: virtual time, one thread, seeded where asyncio promises nothing and exact where it does.

What is ready runs first in, first out, as asyncio documents it. Time advances only when nothing is ready, and by a little
with every step, so that a loop that spins cannot keep a timer from firing. Timers of the same instant have no promised
order: the seed gives them one. Sockets, names, signals, pipes and processes are fenced off.
"""

import asyncio
import gc
import hashlib
import heapq
import inspect
import random
import socket
import threading
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, NoReturn, TypeVar

T = TypeVar("T")

STEP_COST: Final = 20_000              # ns of virtual time that one callback takes
STEPS_MAX: Final = 2_000_000
EXECUTOR_NS_MAX: Final = 3_000_000     # what a thread takes at most to do its work and say so

_LOOP_NEEDS: Final = ("_ready", "_scheduled", "_timer_cancelled_count", "_stopping")
_HANDLE_NEEDS: Final = ("_cancelled", "_callback", "_context", "_run")


class Fence(RuntimeError):
    """Something tried to reach the real world from inside the simulated one."""


class Stuck(RuntimeError):
    """A run that would never end: nothing can run any more, or the step budget is spent."""


class Owner:
    """Whose callbacks these are: one life of one simulated process.

    A dead owner's callbacks are thrown away unrun, `finally` blocks and all, as a power cut does. A paused one's are kept
    and run together when it goes on.
    """

    def __init__(self, name: str, epoch: int = 1) -> None:
        self.name, self.epoch = name, epoch
        self.is_dead = False
        self.is_paused = False
        self.stuck: asyncio.Task[Any] | None = None    # this one of its tasks does not go on
        self.held: list[asyncio.Handle] = []
        self.tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        self.buried: list[asyncio.Task[Any]] = []      # kept, so that no generator of a dead one is closed in mid run

    def __repr__(self) -> str:
        return f"<{self.name} {self.epoch}{' dead' if self.is_dead else ' paused' if self.is_paused else ''}>"


OWNER: ContextVar[Owner | None] = ContextVar("interlock.simulation.owner", default=None)


class SimLoop(asyncio.BaseEventLoop):
    """Time is kept in integer nanoseconds from 0 and shown to asyncio in seconds.

    `trace` digests every step (when, what); `observers` run after each one; `stall` blocks the loop before the step of
    that number. `adversarial` takes what is ready in any order: it finds hidden assumptions, and its finds are no
    failures by themselves.
    """

    _ready: deque[Any]
    _scheduled: list[Any]
    _stopping: bool
    _timer_cancelled_count: int
    _thread_id: int | None

    def __init__(self, seed: int | str, *, steps_max: int = STEPS_MAX, step_cost: int = STEP_COST,
                 adversarial: bool = False) -> None:
        super().__init__()
        missing = [name for name in _LOOP_NEEDS if not hasattr(self, name)]
        missing += [name for name in _HANDLE_NEEDS if not hasattr(asyncio.Handle, name)]
        if missing:
            raise RuntimeError(f"this Python's event loop has no {', '.join(missing)}; the simulated loop stands on them")
        self.set_debug(False)
        self.ns = 0
        self.steps = 0
        self.stall: dict[int, int] = {}
        self.observers: list[Callable[[], None]] = []
        self.unobserved: list[str] = []
        self.sock: Any = None                          # the simulated network, for sockets of its own making
        self._steps_max, self._cost, self._adversarial = steps_max, step_cost, adversarial
        self._ties = random.Random(f"sched:{seed}")
        self._threads = random.Random(f"threads:{seed}")
        self._trace = hashlib.sha256()
        self.on_step: Callable[[int, str], None] | None = None
        self.set_task_factory(_make_task)
        self.set_exception_handler(self._note)

    # -- time and trace

    def time(self) -> float:
        return self.ns / 1e9

    def call_in(self, ns: int, callback: Callable[..., object], *arguments: Any) -> asyncio.TimerHandle:
        """As `call_later`, exact to the nanosecond."""
        return self.call_at((self.ns + ns) / 1e9, callback, *arguments)

    def block(self, ns: int) -> None:
        """Stall the loop now: time passes and nothing runs."""
        self.ns += ns

    @property
    def digest(self) -> str:
        return self._trace.hexdigest()

    # -- the step

    def _run_once(self) -> None:
        scheduled, ready = self._scheduled, self._ready
        while scheduled and scheduled[0]._cancelled:
            self._pop()
        if not ready and not self._stopping:
            if not scheduled:
                raise Stuck("nothing can run any more")
            self.ns = max(self.ns, _ns_of(scheduled[0]))
        due = []
        while scheduled and _ns_of(scheduled[0]) <= self.ns:
            due.append(self._pop())
        if len(due) > 1:
            self._ties.shuffle(due)
            due.sort(key=_ns_of)
        ready.extend(due)
        for _ in range(len(ready)):
            if self._adversarial:
                ready.rotate(-self._ties.randrange(len(ready)))
            handle = ready.popleft()
            if not handle._cancelled:
                self._step(handle)

    def _step(self, handle: Any) -> None:
        owner = handle._context.get(OWNER)
        if owner is not None:
            if owner.is_dead:
                return
            if owner.is_paused or (owner.stuck is not None and getattr(handle._callback, "__self__", None) is owner.stuck):
                owner.held.append(handle)
                return
        self.steps += 1
        if self.steps > self._steps_max:
            raise Stuck(f"the budget of {self._steps_max} steps is spent")
        self.ns += self._cost
        if self.stall:
            self.ns += self.stall.pop(self.steps, 0)
        name = _name_of(handle)
        self._trace.update(b"%d %s\n" % (self.ns, name.encode()))
        if self.on_step is not None:
            self.on_step(self.ns, name)
        handle._run()
        for check in self.observers:
            check()

    def _pop(self) -> Any:
        handle: Any = heapq.heappop(self._scheduled)
        handle._scheduled = False
        if handle._cancelled:
            self._timer_cancelled_count -= 1
        return handle

    # -- processes

    def kill(self, owner: Owner) -> None:
        """The process is gone: what it had scheduled never runs. Its tasks stay in memory, unclosed, until the run ends."""
        owner.is_dead = True
        owner.buried = list(owner.tasks)
        for task in owner.buried:
            task._log_destroy_pending = False          # type: ignore[attr-defined]
            coroutine = task.get_coro()
            if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()                      # it has not begun, so nothing of it runs
        owner.held.clear()

    def pause(self, owner: Owner) -> None:
        owner.is_paused = True

    def resume(self, owner: Owner) -> None:
        """What came due meanwhile runs now, in the order in which it did."""
        owner.is_paused = False
        self._ready.extend(owner.held)
        owner.held.clear()

    # -- what asyncio asks of a loop

    def _write_to_self(self) -> None:
        """There is no selector to wake."""

    def _process_events(self, _: Any) -> None:
        """There is no selector to ask."""

    def call_soon_threadsafe(  # type: ignore[override]
            self, callback: Callable[..., object], *arguments: Any, context: Any = None) -> asyncio.Handle:
        if self._thread_id is not None and self._thread_id != threading.get_ident():
            raise Fence("a thread")
        return self.call_soon(callback, *arguments, context=context)

    def run_in_executor(  # type: ignore[override]
            self, _executor: Any, function: Callable[..., T], *arguments: Any) -> "asyncio.Future[T]":
        """The work is done at one seeded moment, and told at the next step; who was cancelled meanwhile does not stop it."""
        future: asyncio.Future[T] = self.create_future()

        def tell(result: T | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)              # type: ignore[arg-type]
            else:
                future.set_exception(error)

        def work() -> None:
            try:
                result = function(*arguments)
            except Exception as error:  # noqa: BLE001 - whoever waits for the work is told
                self.call_soon(tell, None, error)
                return
            self.call_soon(tell, result, None)

        self.call_in(self._threads.randrange(EXECUTOR_NS_MAX), work)
        return future

    async def sock_connect(self, sock: Any, address: Any) -> None:
        await self._of(sock).connect(sock, address)

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        self._of(sock)
        sock.send(data)

    async def sock_recv(self, sock: Any, nbytes: int) -> bytes:
        received: bytes = await self._of(sock).receive(sock, nbytes)
        return received

    def add_reader(self, fd: Any, callback: Callable[..., object], *arguments: Any) -> None:  # type: ignore[override]
        self._of(fd).add_reader(fd, partial(callback, *arguments))

    def remove_reader(self, fd: Any) -> bool:
        removed: bool = self._of(fd).remove_reader(fd)
        return removed

    def _of(self, sock: Any) -> Any:
        """The simulated network, for a socket that is one of its own."""
        if self.sock is None or isinstance(sock, int | socket.socket):
            raise Fence("a socket")
        return self.sock

    async def create_connection(self, *_: Any, **__: Any) -> NoReturn:
        raise Fence("a socket")

    async def create_server(self, *_: Any, **__: Any) -> NoReturn:
        raise Fence("a listening socket")

    async def create_datagram_endpoint(self, *_: Any, **__: Any) -> NoReturn:
        raise Fence("a datagram socket")

    async def create_unix_connection(self, *_: Any, **__: Any) -> NoReturn:
        raise Fence("a local socket")

    async def create_unix_server(self, *_: Any, **__: Any) -> NoReturn:
        raise Fence("a local listening socket")

    async def getaddrinfo(self, *_: Any, **__: Any) -> NoReturn:
        raise Fence("a name look-up")

    async def getnameinfo(self, *_: Any, **__: Any) -> NoReturn:
        raise Fence("a name look-up")

    async def subprocess_exec(self, *_: Any, **__: Any) -> NoReturn:
        raise Fence("a process")

    async def subprocess_shell(self, *_: Any, **__: Any) -> NoReturn:
        raise Fence("a shell")

    def add_writer(self, *_: Any) -> NoReturn:  # type: ignore[override]
        raise Fence("a file descriptor")

    def add_signal_handler(self, *_: Any) -> NoReturn:  # type: ignore[override]
        raise Fence("a signal")

    def remove_signal_handler(self, *_: Any) -> NoReturn:
        raise Fence("a signal")

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A failure that nobody has taken."""
        error = context.get("exception")
        self.unobserved.append(f"{context.get('message')}: {error!r}" if error else str(context.get("message")))


def _ns_of(handle: Any) -> int:
    when: float = handle._when
    return round(when * 1e9)


def _name_of(handle: Any) -> str:
    """What runs, by a name that is the same in every process: no counters, no addresses."""
    callback = handle._callback
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        coroutine = owner.get_coro()
        return f"task {getattr(coroutine, '__qualname__', type(coroutine).__name__)}"
    return getattr(callback, "__qualname__", None) or type(callback).__name__


def _make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> "asyncio.Task[Any]":
    """A task, entered with the process that starts it."""
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    context = options.get("context")
    owner = OWNER.get() if context is None else context.get(OWNER)
    if owner is not None:
        owner.tasks.add(task)
    return task


@contextmanager
def owned(owner: Owner) -> Iterator[None]:
    """What is scheduled in here belongs to `owner`."""
    token = OWNER.set(owner)
    try:
        yield
    finally:
        OWNER.reset(token)


def run(loop: SimLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to the end on `loop` and close it. Collecting waits until then: when it happens is no part of a run."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(coroutine)
    finally:
        asyncio.set_event_loop(None)
        loop.observers.clear()
        if not loop.is_running():
            loop.close()
        if was_enabled:
            gc.enable()
