"""Plans that lead straight to one kind of trouble, with moments drawn by the seed."""

import random
from collections.abc import Callable
from datetime import UTC, datetime

from interlock.simulation import scenes
from interlock.simulation.plans import MILLISECOND, SECOND, AtOperation, AtPoint, AtTime, Fault, Plan, Value, Work


def alert(at: int, lane: str = "main", row: int = 0, action: str = "buy", **more: Value) -> Work:
    return Work(at, "alert", {"lane": lane, "row": row, "action": action, "stop": 8, "target": 12, **more})


def price(at: int, ticks: int, symbol: str = "MES") -> Work:
    return Work(at, "price", {"symbol": symbol, "ticks": ticks})


def a_plan(seed: int, *things: Work | Fault, horizon: int = 26 * SECOND, **more: object) -> Plan:
    work = tuple(sorted((each for each in things if isinstance(each, Work)), key=lambda each: each.at))
    faults = tuple(each for each in things if isinstance(each, Fault))
    return Plan(seed=seed, profile="directed", scale="world", horizon=horizon, heal_at=horizon,
                work=work, faults=faults, **{"begins": scenes.MOMENTS["tuesday"], **more})  # type: ignore[arg-type]


def _draw(seed: int) -> Callable[[int, int], int]:
    rng = random.Random(f"directed:{seed}")
    return lambda low, high: rng.randint(low, high) * MILLISECOND


def failing_sync(seed: int) -> Plan:
    """The sync of a commit fails between two alerts; the process ends, or goes on."""
    ms = _draw(seed)
    at = ms(1_200, 1_900)
    return a_plan(seed, alert(at), price(at + 4 * SECOND, 3), alert(at + ms(9_000, 11_000), row=1),
                  alert(at + ms(13_000, 15_000), lane="side"),
                  Fault(AtOperation("sync", 12 + seed), "disk.eio"))


def overslept(seed: int) -> Plan:
    """The process is stopped for longer than its lease lives; right after it goes on, alerts close what it holds."""
    ms = _draw(seed)
    at, length = ms(2_000, 6_000), ms(16_000, 20_000)
    wakes = at + length
    return a_plan(seed, alert(at - SECOND), Fault(AtTime(at), "proc.pause", {"ms": length // MILLISECOND}),
                  *(alert(wakes + each * 700 * MILLISECOND, action="close") for each in range(6)), horizon=wakes + 8 * SECOND)


def overslept_while_the_clock_went_back(seed: int) -> Plan:
    """As before, and meanwhile the wall clock is set back and, when the process has gone on, put right."""
    ms = _draw(seed)
    at, length = ms(2_000, 4_000), ms(17_000, 19_000)
    wakes = at + length
    return a_plan(seed, alert(at - SECOND), Fault(AtTime(at), "proc.pause", {"ms": length // MILLISECOND}),
                  Fault(AtTime(at + 8 * SECOND), "clock.step", {"ms": -12_000}),
                  Fault(AtTime(wakes + 500 * MILLISECOND), "clock.step", {"ms": 12_000}),
                  *(alert(wakes + each * 900 * MILLISECOND, action="close") for each in range(1, 5)), horizon=wakes + 10 * SECOND)


def hanging(seed: int) -> Plan:
    """The decision loop hangs for a while, and nothing else does."""
    ms = _draw(seed)
    at = ms(3_000, 6_000)
    return a_plan(seed, alert(at - SECOND), Fault(AtTime(at), "proc.hang", {"ms": (8_000 + 500 * seed)}), horizon=20 * SECOND)


def killed_before_the_write(seed: int) -> Plan:
    """A kill comes while a cleared order waits to be written."""
    ms = _draw(seed)
    return a_plan(seed, alert(ms(1_500, 2_500)), alert(ms(5_000, 6_000), lane="side", row=1),
                  Fault(AtPoint("egress.before_write", 1 + seed % 3), "ops.kill", {"scope": "risk", "account": ""}))


def many_cancels(seed: int) -> Plan:
    """Everything is entered that may be, and then everything is killed, protection included."""
    ms = _draw(seed)
    return a_plan(seed, alert(ms(1_500, 2_000), stop=14, target=20), alert(ms(2_500, 3_000), row=1, stop=14, target=20),
                  alert(ms(3_200, 3_600), lane="side", stop=14, target=20),
                  alert(ms(4_000, 4_500), lane="side", row=1, stop=14, target=20),
                  Work(ms(8_000, 9_000), "person.kill", {"scope": "all", "account": "", "who": "ann"}))


def over_the_hosts_midnight(seed: int) -> Plan:
    """A loss, the minute in which the day ends where the host stands, and another alert."""
    ms = _draw(seed)
    begins = int(datetime(2023, 11, 21, 15, 14, 36, tzinfo=UTC).timestamp()) * SECOND
    return a_plan(seed, alert(ms(1_200, 1_600)), price(ms(6_000, 7_000), -12), price(ms(9_000, 9_500), 0),
                  alert(ms(27_000, 28_000), lane="main", row=1), alert(ms(29_000, 30_000), lane="side"), begins=begins,
                  horizon=34 * SECOND)
