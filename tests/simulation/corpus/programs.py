"""Small asyncio programs whose result asyncio promises, on any loop. Each returns what it saw, in order.

Delays are multiples of one `UNIT`, far enough apart that a real loop cannot confuse their order.
"""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

UNIT: Final = 0.01

Program = Callable[[], Awaitable[Any]]
PROGRAMS: Final[dict[str, Program]] = {}


def program(function: Program) -> Program:
    PROGRAMS[function.__name__] = function
    return function


@program
async def ready_callbacks_run_first_in_first_out() -> list[int]:
    seen: list[int] = []
    loop = asyncio.get_running_loop()
    for number in range(20):
        loop.call_soon(seen.append, number)
    await asyncio.sleep(0)
    return seen


@program
async def a_callback_scheduled_in_a_round_waits_for_the_next() -> list[str]:
    seen: list[str] = []
    loop = asyncio.get_running_loop()

    def first() -> None:
        seen.append("first")
        loop.call_soon(seen.append, "third")

    loop.call_soon(first)
    loop.call_soon(seen.append, "second")
    await asyncio.sleep(0)
    seen.append("between")
    await asyncio.sleep(0)
    return seen


@program
async def tasks_take_turns() -> list[str]:
    seen: list[str] = []

    async def walk(name: str) -> None:
        for step in range(3):
            seen.append(f"{name}{step}")
            await asyncio.sleep(0)

    await asyncio.gather(walk("a"), walk("b"), walk("c"))
    return seen


@program
async def timers_fire_in_the_order_of_their_deadlines() -> list[int]:
    seen: list[int] = []
    loop = asyncio.get_running_loop()
    for number in (4, 1, 3, 2, 5):
        loop.call_later(number * UNIT, seen.append, number)
    await asyncio.sleep(7 * UNIT)
    return seen


@program
async def a_cancelled_timer_does_not_fire() -> list[int]:
    seen: list[int] = []
    loop = asyncio.get_running_loop()
    handles = [loop.call_later(number * UNIT, seen.append, number) for number in range(1, 6)]
    handles[1].cancel()
    handles[3].cancel()
    await asyncio.sleep(7 * UNIT)
    return seen


@program
async def a_bounded_queue_holds_its_producer_back() -> list[str]:
    seen: list[str] = []
    queue: asyncio.Queue[int] = asyncio.Queue(2)

    async def produce() -> None:
        for number in range(6):
            await queue.put(number)
            seen.append(f"put {number}")

    async def consume() -> None:
        for _ in range(6):
            seen.append(f"got {await queue.get()}")
            queue.task_done()

    await asyncio.gather(produce(), consume())
    await queue.join()
    return seen


@program
async def those_who_wait_for_a_queue_are_served_in_turn() -> list[str]:
    seen: list[str] = []
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def wait(name: str) -> None:
        seen.append(f"{name} {await queue.get()}")

    waiting = [asyncio.create_task(wait(name)) for name in "abc"]
    await asyncio.sleep(0)
    for number in range(3):
        queue.put_nowait(number)
    await asyncio.gather(*waiting)
    return seen


@program
async def a_group_cancels_the_others_when_one_fails() -> list[str]:
    seen: list[str] = []

    async def fail() -> None:
        await asyncio.sleep(UNIT)
        raise ValueError("broke")

    async def wait(name: str) -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            seen.append(f"{name} cancelled")
            raise

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(wait("a"))
            group.create_task(fail())
            group.create_task(wait("b"))
    except* ValueError as found:
        seen.append(str(found.exceptions[0]))
    return sorted(seen)                # a group keeps its tasks in a set


@program
async def a_timeout_ends_a_wait_and_not_a_shorter_one() -> list[str]:
    seen: list[str] = []
    try:
        async with asyncio.timeout(2 * UNIT):
            await asyncio.sleep(100)
    except TimeoutError:
        seen.append("timed out")
    async with asyncio.timeout(100):
        await asyncio.sleep(UNIT)
        seen.append("in time")
    return seen


@program
async def the_inner_of_two_timeouts_strikes_first() -> list[str]:
    seen: list[str] = []
    try:
        async with asyncio.timeout(50 * UNIT):
            try:
                async with asyncio.timeout(2 * UNIT):
                    await asyncio.sleep(100)
            except TimeoutError:
                seen.append("inner")
            await asyncio.sleep(UNIT)
            seen.append("after")
    except TimeoutError:
        seen.append("outer")
    return seen


@program
async def wait_for_passes_a_result_and_an_error_on() -> list[str]:
    seen: list[str] = []

    async def answer() -> str:
        await asyncio.sleep(UNIT)
        return "answer"

    async def fail() -> None:
        raise LookupError("gone")

    seen.append(await asyncio.wait_for(answer(), 100))
    try:
        await asyncio.wait_for(fail(), 100)
    except LookupError as error:
        seen.append(str(error))
    try:
        await asyncio.wait_for(asyncio.sleep(100), UNIT)
    except TimeoutError:
        seen.append("late")
    return seen


@program
async def wait_returns_what_is_done() -> list[Any]:
    async def after(units: int) -> int:
        await asyncio.sleep(units * UNIT)
        return units

    tasks = [asyncio.create_task(after(units)) for units in (1, 4, 12)]
    done, late = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    first = sorted(task.result() for task in done)
    done, late = await asyncio.wait(tasks, timeout=6 * UNIT)
    seen = [first, sorted(task.result() for task in done), len(late)]
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return seen


@program
async def a_shield_lets_the_work_go_on() -> list[str]:
    seen: list[str] = []

    async def work() -> None:
        await asyncio.sleep(2 * UNIT)
        seen.append("done")

    inner = asyncio.create_task(work())
    outer = asyncio.create_task(_shielded(inner))
    await asyncio.sleep(0)
    outer.cancel()
    try:
        await outer
    except asyncio.CancelledError:
        seen.append("outer cancelled")
    await inner
    return seen


async def _shielded(inner: "asyncio.Task[None]") -> None:
    await asyncio.shield(inner)


@program
async def cancelling_runs_the_tidying_up() -> list[str]:
    seen: list[str] = []

    @asynccontextmanager
    async def held(name: str) -> AsyncIterator[None]:
        seen.append(f"take {name}")
        try:
            yield
        finally:
            await asyncio.sleep(0)
            seen.append(f"give {name}")

    async def work() -> None:
        async with held("a"), held("b"):
            await asyncio.sleep(100)

    task = asyncio.create_task(work())
    await asyncio.sleep(UNIT)
    task.cancel("enough")
    try:
        await task
    except asyncio.CancelledError as error:
        seen.append(str(error.args[0]) if error.args else "no word")
    seen.append(str(task.cancelled()))
    return seen


@program
async def a_cancel_before_the_first_step_runs_nothing() -> list[str]:
    seen: list[str] = []

    async def work() -> None:
        seen.append("ran")

    task = asyncio.create_task(work())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return [*seen, str(task.cancelled())]


@program
async def gather_keeps_the_order_of_its_arguments() -> list[Any]:
    async def after(units: int) -> int:
        await asyncio.sleep(units * UNIT)
        return units

    async def fail() -> None:
        raise KeyError("k")

    found = await asyncio.gather(after(3), after(1), fail(), after(2), return_exceptions=True)
    return [repr(each) for each in found]


@program
async def an_event_wakes_all_who_wait_in_turn() -> list[str]:
    seen: list[str] = []
    event = asyncio.Event()

    async def wait(name: str) -> None:
        await event.wait()
        seen.append(name)

    waiting = [asyncio.create_task(wait(name)) for name in "abc"]
    await asyncio.sleep(0)
    event.set()
    await asyncio.gather(*waiting)
    return seen


@program
async def a_lock_and_a_semaphore_are_fair() -> list[str]:
    seen: list[str] = []
    lock, room = asyncio.Lock(), asyncio.Semaphore(2)

    async def work(name: str) -> None:
        async with lock:
            seen.append(f"lock {name}")
            await asyncio.sleep(0)

    async def enter(name: str) -> None:
        async with room:
            seen.append(f"room {name}")
            await asyncio.sleep(0)

    await asyncio.gather(*(work(name) for name in "abcd"))
    await asyncio.gather(*(enter(name) for name in "abcd"))
    return seen


@program
async def a_condition_wakes_as_many_as_it_says() -> list[str]:
    seen: list[str] = []
    condition = asyncio.Condition()

    async def wait(name: str) -> None:
        async with condition:
            await condition.wait()
            seen.append(name)

    waiting = [asyncio.create_task(wait(name)) for name in "abc"]
    await asyncio.sleep(0)
    async with condition:
        condition.notify(2)
    await asyncio.sleep(UNIT)
    seen.append("|")
    async with condition:
        condition.notify_all()
    await asyncio.gather(*waiting)
    return seen


@program
async def done_callbacks_run_in_the_order_they_were_added() -> list[str]:
    seen: list[str] = []
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    for name in "abc":
        future.add_done_callback(lambda _, name=name: seen.append(name))  # type: ignore[misc]
    future.set_result(1)
    seen.append("set")
    await asyncio.sleep(0)
    return seen


@program
async def work_in_a_thread_comes_back() -> list[str]:
    seen: list[str] = []

    def fail() -> None:
        raise OSError("no")

    seen.append(str(await asyncio.to_thread(lambda: 6 * 7)))
    try:
        await asyncio.to_thread(fail)
    except OSError as error:
        seen.append(str(error))
    found = await asyncio.gather(*(asyncio.to_thread(str, number) for number in range(5)))
    return [*seen, *found]


@program
async def a_cancelled_wait_does_not_take_a_threads_work_back() -> list[str]:
    seen: list[str] = []
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        seen.append("worked")
        loop.call_soon_threadsafe(done.set)

    waiting = asyncio.ensure_future(asyncio.to_thread(work))
    await done.wait()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return seen


@program
async def each_task_has_variables_of_its_own() -> list[str]:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")
    seen: list[str] = []

    async def work(mine: str) -> None:
        name.set(mine)
        await asyncio.sleep(UNIT)
        asyncio.get_running_loop().call_soon(lambda: seen.append(name.get()))
        await asyncio.sleep(0)

    await asyncio.gather(work("a"), work("b"))
    return [*sorted(seen), name.get()]


@program
async def a_generator_that_is_left_is_closed() -> list[str]:
    seen: list[str] = []

    async def count() -> AsyncIterator[int]:
        try:
            for number in range(10):
                yield number
                await asyncio.sleep(0)
        finally:
            seen.append("closed")

    numbers = count()
    async for number in numbers:
        seen.append(str(number))
        if number == 2:
            break
    await numbers.aclose()  # type: ignore[attr-defined]
    return seen


@program
async def an_error_in_a_callback_does_not_stop_the_rest() -> list[str]:
    seen: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: seen.append(repr(context["exception"])))
    loop.call_soon(lambda: 1 / 0)
    loop.call_soon(seen.append, "next")
    await asyncio.sleep(0)
    return seen


@program
async def a_wait_that_polls_lets_timers_through() -> str:
    late = asyncio.get_running_loop().time() + 2 * UNIT
    while asyncio.get_running_loop().time() < late:
        await asyncio.sleep(0)
    return "through"
