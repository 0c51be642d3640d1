"""The simulated loop: what asyncio promises holds on it, what it does not promise is the seed's, and the world is fenced off."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import uvloop
from tests.simulation.corpus.programs import PROGRAMS, Program

from interlock.simulation.loop import OWNER, Fence, Owner, SimLoop, Stuck, owned, run

HOUR = 3600 * 10**9


@pytest.mark.parametrize("make", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_program_sees_the_same_as_on_a_real_loop(program: Program, make: Callable[[], asyncio.AbstractEventLoop]):
    with asyncio.Runner(loop_factory=make) as runner:
        real = runner.run(_of(program))

    simulated = [run(SimLoop(seed), _of(program)) for seed in range(5)]

    assert simulated == [real] * 5


async def _of(program: Program) -> Any:
    return await program()


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_equal_seeds_take_equal_steps(program: Program):
    loops = [SimLoop(7), SimLoop(7)]
    for loop in loops:
        run(loop, _of(program))

    assert loops[0].digest == loops[1].digest
    assert (loops[0].steps, loops[0].ns) == (loops[1].steps, loops[1].ns)


def test_two_processes_with_two_hash_seeds_take_equal_steps():
    code = ("import asyncio\nfrom tests.simulation.corpus.programs import PROGRAMS\n"
            "from interlock.simulation.loop import SimLoop, run\n"
            "async def all_of_them():\n    for program in PROGRAMS.values():\n        await program()\n"
            "loop = SimLoop(11)\nrun(loop, all_of_them())\nprint(loop.digest, loop.steps)")

    found = {subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
                            capture_output=True, text=True, check=True).stdout for seed in ("1", "2")}

    assert len(found) == 1


def test_timers_of_one_instant_come_in_the_order_of_the_seed():
    async def order() -> tuple[int, ...]:
        seen: list[int] = []
        at = asyncio.get_running_loop().time() + 1
        for number in range(4):
            asyncio.get_running_loop().call_at(at, seen.append, number)
        await asyncio.sleep(2)
        return tuple(seen)

    orders = {run(SimLoop(seed), order()) for seed in range(40)}

    assert len(orders) > 10
    assert all(sorted(each) == [0, 1, 2, 3] for each in orders)


def test_hours_pass_in_no_time():
    async def beat() -> int:
        beats = 0
        async with asyncio.timeout(24 * 3600):
            while beats < 5000:
                await asyncio.sleep(5)
                beats += 1
        return beats

    loop = SimLoop(1)

    assert run(loop, beat()) == 5000
    assert 25_000 * 10**9 < loop.ns < 25_010 * 10**9


def test_a_loop_that_spins_does_not_keep_a_timer_from_firing():
    async def spin() -> int:
        rounds, over = 0, asyncio.Event()
        asyncio.get_running_loop().call_later(0.01, over.set)
        while not over.is_set():
            rounds += 1
            await asyncio.sleep(0)
        return rounds

    assert 100 < run(SimLoop(1), spin()) < 1000


def test_a_loop_with_nothing_left_to_run_is_stuck():
    async def wait_for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Stuck, match="nothing can run"):
        run(SimLoop(1), wait_for_ever())


def test_a_loop_that_never_ends_spends_its_budget():
    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(Stuck, match="budget"):
        run(SimLoop(1, steps_max=1000), spin())


def test_a_blocked_loop_lets_what_was_due_run_late_and_together():
    async def late() -> list[float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        seen: list[float] = []
        for seconds in (1, 2, 3):
            loop.call_later(seconds, lambda: seen.append(loop.time()))
        loop.stall[loop.steps + 1] = 10 * 10**9
        await asyncio.sleep(20)
        return seen

    found = run(SimLoop(1), late())

    assert all(11 <= each < 11.01 for each in found)


@pytest.mark.parametrize("reach", [
    lambda loop: loop.create_connection(asyncio.Protocol, "localhost", 80),
    lambda loop: loop.create_server(asyncio.Protocol, "localhost", 80),
    lambda loop: loop.getaddrinfo("localhost", 80),
    lambda loop: loop.subprocess_exec(asyncio.SubprocessProtocol, "true"),
    lambda loop: asyncio.open_connection("localhost", 80),
    lambda loop: asyncio.open_unix_connection("nowhere"),
])
def test_the_world_outside_is_fenced_off(reach: Callable[[SimLoop], Any]):
    async def try_it() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        await reach(loop)

    with pytest.raises(Fence):
        run(SimLoop(1), try_it())


def test_signals_and_file_descriptors_are_fenced_off():
    loop = SimLoop(1)

    with pytest.raises(Fence):
        loop.add_signal_handler(15, print)
    with pytest.raises(Fence):
        loop.add_reader(0, print)
    loop.close()


def test_work_for_a_thread_is_done_here_at_a_seeded_moment():
    import threading

    async def work() -> tuple[bool, list[str]]:
        here = threading.get_ident()
        seen: list[str] = []
        same = await asyncio.to_thread(lambda: threading.get_ident() == here)
        await asyncio.gather(*(asyncio.to_thread(seen.append, name) for name in "abcd"))
        return same, seen

    found = [run(SimLoop(seed), work()) for seed in range(20)]

    assert all(same for same, _ in found)
    assert len({tuple(seen) for _, seen in found}) > 3


def test_a_task_that_dies_unheard_is_noted():
    async def leave() -> None:
        async def die() -> None:
            raise ValueError("nobody hears this")

        task = asyncio.create_task(die())
        await asyncio.sleep(1)
        del task

    loop = SimLoop(1)
    run(loop, leave())

    assert len(loop.unobserved) == 1
    assert "nobody hears this" in loop.unobserved[0]


# -- processes


def _life(loop: SimLoop, owner: Owner, work: Callable[[], Any]) -> "asyncio.Task[Any]":
    with owned(owner):
        return loop.create_task(work())


def test_a_killed_process_tidies_nothing_up():
    seen: list[str] = []

    async def work() -> None:
        try:
            async with asyncio.timeout(100):
                await asyncio.sleep(50)
        except BaseException as error:
            seen.append(type(error).__name__)
            raise
        finally:
            seen.append("finally")

    async def story() -> None:
        loop, node = asyncio.get_running_loop(), Owner("engine")
        assert isinstance(loop, SimLoop)
        _life(loop, node, work)
        await asyncio.sleep(1)
        loop.kill(node)
        await asyncio.sleep(200)
        seen.append("end")

    run(SimLoop(1), story())

    assert seen[0] == "end", "what runs later is Python closing a dead generator, whose ports are fenced"


def test_what_a_process_has_started_belongs_to_it():
    seen: list[str] = []

    async def child(name: str) -> None:
        await asyncio.sleep(2)
        seen.append(name)

    async def parent() -> None:
        asyncio.get_running_loop().call_later(2, seen.append, "timer")
        async with asyncio.TaskGroup() as group:
            group.create_task(child("mine"))
            group.create_task(asyncio.to_thread(lambda: None))

    async def story() -> None:
        loop, node = asyncio.get_running_loop(), Owner("engine")
        assert isinstance(loop, SimLoop)
        _life(loop, node, parent)
        other = asyncio.create_task(child("other"))
        await asyncio.sleep(1)
        loop.kill(node)
        await other
        await asyncio.sleep(5)

    run(SimLoop(1), story())

    assert seen == ["other"]


def test_a_paused_process_does_what_was_due_when_it_goes_on():
    seen: list[tuple[str, float]] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(3):
            await asyncio.sleep(1)
            seen.append(("beat", round(loop.time(), 2)))

    async def story() -> None:
        loop, node = asyncio.get_running_loop(), Owner("engine")
        assert isinstance(loop, SimLoop)
        task = _life(loop, node, work)
        await asyncio.sleep(1.5)
        loop.pause(node)
        await asyncio.sleep(20)
        seen.append(("awake", round(loop.time(), 2)))
        loop.resume(node)
        await task

    run(SimLoop(1), story())

    assert [name for name, _ in seen] == ["beat", "awake", "beat", "beat"]
    assert seen[2][1] == pytest.approx(21.5, abs=0.1)
    assert seen[3][1] == pytest.approx(22.5, abs=0.1)


def test_the_owner_is_that_of_whoever_scheduled_it():
    async def story() -> list[str]:
        names: list[str] = []
        loop, node = asyncio.get_running_loop(), Owner("engine")
        with owned(node):
            loop.call_soon(lambda: names.append(repr(OWNER.get())))
        loop.call_soon(lambda: names.append(repr(OWNER.get())))
        await asyncio.sleep(0)
        return names

    assert run(SimLoop(1), story()) == ["<engine 1>", "None"]


def test_the_adversarial_mode_breaks_the_order_of_what_is_ready():
    async def order() -> tuple[int, ...]:
        seen: list[int] = []
        for number in range(5):
            asyncio.get_running_loop().call_soon(seen.append, number)
        await asyncio.sleep(0.001)
        return tuple(seen)

    assert len({run(SimLoop(seed, adversarial=True), order()) for seed in range(20)}) > 5
