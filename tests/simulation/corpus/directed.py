"""Plans that lead straight to one kind of trouble, with moments drawn by the seed."""

import random
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from interlock.simulation import scenes
from interlock.simulation.plans import MILLISECOND, SECOND, AtOperation, AtPoint, AtState, AtTime, Fault, Plan, Value, Work


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


def flatten_with_one_venue_down(seed: int) -> Plan:
    """Positions at two venues, one of which falls silent; then everything is to be closed."""
    ms = _draw(seed)
    at = ms(9_000, 11_000)
    return a_plan(seed, alert(ms(1_500, 2_000)), alert(ms(2_500, 3_000), lane="side"),
                  Fault(AtTime(at), "net.partition", {"account": "alfa", "ms": 2_500}),
                  Work(at + ms(100, 400), "person.flatten", {"account": "", "who": "ann"}), scene="two", horizon=24 * SECOND)


def over_the_hosts_midnight(seed: int) -> Plan:
    """A loss, the minute in which the day ends where the host stands, and another alert."""
    ms = _draw(seed)
    begins = int(datetime(2023, 11, 21, 15, 14, 36, tzinfo=UTC).timestamp()) * SECOND
    return a_plan(seed, alert(ms(1_200, 1_600)), price(ms(6_000, 7_000), -12), price(ms(9_000, 9_500), 0),
                  alert(ms(27_000, 28_000), lane="main", row=1), alert(ms(29_000, 30_000), lane="side"), begins=begins,
                  horizon=34 * SECOND)


# -- for the core

def a_core_plan(seed: int, *things: Work | Fault, **more: object) -> Plan:
    return msgspec.structs.replace(a_plan(seed, *things, **more), scale="core")  # type: ignore[arg-type]


def unanswered(seed: int) -> Plan:
    """The answers to entries are lost, of one lot each."""
    ms = _draw(seed)
    return a_core_plan(seed, alert(ms(1_500, 2_000), stop=30), alert(ms(1_500, 2_000), lane="side", stop=30),
                       *(Fault(AtOperation("wire.place", each), "net.drop_response") for each in (1, 2, 3)),
                       *(Fault(AtOperation(kind, each), "net.drop_frame") for kind in ("report.accepted", "report.fill")
                         for each in (1, 2, 3)), horizon=10 * SECOND)


def told_twice(seed: int) -> Plan:
    """Fills are told again and again, and alerts for the same instrument follow."""
    ms = _draw(seed)
    twice: dict[str, Value] = {"ms": 80, "times": 2}
    return a_core_plan(seed, *(Fault(AtOperation("report.fill", each), "net.duplicate", twice) for each in (1, 2)),
                       alert(ms(1_500, 2_000)), alert(ms(5_000, 6_000)), horizon=10 * SECOND)


def traded_by_hand(seed: int) -> Plan:
    """Somebody trades in an account past the platform."""
    ms = _draw(seed)
    return a_core_plan(seed, alert(ms(1_500, 2_000)),
                       Work(ms(4_000, 5_000), "person.manual_trade", {"account": "alfa", "symbol": "MES", "quantity": -1}),
                       Work(ms(6_000, 7_000), "person.reconcile", {"account": "alfa", "who": "ann"}), horizon=24 * SECOND)


def stopped_out(seed: int) -> Plan:
    """A venue that links nothing: the stop is hit while a target rests."""
    ms = _draw(seed)
    return a_core_plan(seed, alert(ms(1_500, 2_000)), price(ms(6_000, 7_000), -14), horizon=16 * SECOND, scene="pair")


def killed_when_cleared(seed: int) -> Plan:
    """A kill comes as two accounts have their orders cleared; neither has been written."""
    return a_core_plan(seed, alert(1_500 * MILLISECOND), Fault(AtState("cleared"), "ops.kill", {"scope": "risk", "account": ""}),
                       horizon=5 * SECOND)


def killed_and_restarted(seed: int) -> Plan:
    """A kill, the death of the process, and an alert for the next one."""
    ms = _draw(seed)
    return a_core_plan(seed, Work(ms(1_500, 2_500), "person.kill", {"scope": "risk", "account": "", "who": "ann"}),
                       Fault(AtTime(ms(3_000, 4_000)), "proc.kill9", {"ms": 500}), alert(ms(7_000, 8_000)), horizon=10 * SECOND)


def killed_while_unknown(seed: int) -> Plan:
    """Entries that are lost on their way, and a kill before anybody knows."""
    ms = _draw(seed)
    return a_core_plan(seed, alert(ms(1_500, 2_000)), alert(ms(1_500, 2_000), lane="side"),
                       *(Fault(AtOperation("wire.place", each), "net.drop_request") for each in (1, 2, 3)),
                       Work(ms(2_500, 3_000), "person.kill", {"scope": "risk", "account": "", "who": "ann"}), horizon=10 * SECOND)


def emptied(seed: int) -> Plan:
    """A position, a read that shows none, and an alert for another instrument."""
    ms = _draw(seed)
    at = ms(5_000, 6_000)
    return a_core_plan(seed, alert(ms(1_500, 2_000)), Fault(AtTime(at), "broker.empty_read"),
                       Work(at + 10 * MILLISECOND, "person.reconcile", {"account": "alfa", "who": "ann"}),
                       alert(at + 900 * MILLISECOND, row=1), horizon=12 * SECOND)


def told_late(seed: int) -> Plan:
    """The report of a fill takes seconds; the account is read meanwhile, and an alert for the same instrument follows."""
    ms = _draw(seed)
    return a_core_plan(seed, Fault(AtOperation("report.fill", 1), "net.latency", {"ms": 2_500}),
                       Fault(AtOperation("report.fill", 2), "net.latency", {"ms": 2_500}), alert(ms(1_500, 2_000)),
                       *(Work(ms(2_600, 3_200), "person.reconcile", {"account": account, "who": "ann"})
                         for account in ("alfa", "beta")),
                       alert(ms(7_000, 8_000)), horizon=14 * SECOND)


def burst(seed: int) -> Plan:
    """Alerts for one underlying, closer together than an answer takes."""
    ms = _draw(seed)
    at = ms(1_500, 2_500)
    return a_core_plan(seed, alert(at), alert(at + 60 * MILLISECOND), alert(at, lane="side"),
                       alert(at + 60 * MILLISECOND, lane="side"), latency=(200 * MILLISECOND, 300 * MILLISECOND),
                       horizon=8 * SECOND)


def flattened(seed: int) -> Plan:
    """Positions in every account, slow answers, and a flatten of all."""
    ms = _draw(seed)
    return a_core_plan(seed, alert(ms(1_500, 2_000)), alert(ms(2_200, 2_600), lane="side"),
                       Work(ms(7_000, 8_000), "person.flatten", {"account": "", "who": "ann"}),
                       latency=(250 * MILLISECOND, 300 * MILLISECOND), horizon=20 * SECOND)


def redefined(seed: int) -> Plan:
    """The venue tells another multiplier, and an alert follows."""
    ms = _draw(seed)
    at = ms(3_000, 4_000)
    return a_core_plan(seed, *(Fault(AtOperation("wire.read", each), "broker.wrong_definition") for each in range(1, 12)),
                       Work(at, "person.reconcile", {"account": "", "who": "ann"}), alert(at + 2 * SECOND), horizon=9 * SECOND)


def muted(seed: int) -> Plan:
    """The feed of one instrument says nothing for a while; pings go on."""
    ms = _draw(seed)
    return a_core_plan(seed, Work(ms(2_000, 3_000), "mute", {"symbol": "MNQ", "for_ns": 20 * SECOND}), alert(ms(16_000, 18_000)),
                       horizon=26 * SECOND)


def broken(check: int, how: str = "gate.raise") -> Callable[[int], Plan]:
    """One check of the gate is broken while an alert is judged."""
    def plan(seed: int) -> Plan:
        return a_core_plan(seed, Fault(AtTime(500 * MILLISECOND), how, {"check": check, "ms": 5_000}),
                           alert(2 * SECOND), horizon=4 * SECOND)

    return plan


# -- and for the world

def endpoint_swapped(seed: int) -> Plan:
    """Behind the address of a paper desk stands a live venue for a while; what is held is to be closed meanwhile."""
    ms = _draw(seed)
    at = ms(5_000, 6_000)
    return a_plan(seed, alert(ms(1_500, 2_500)), Fault(AtTime(at), "ops.live_endpoint", {"ms": 14_000}),
                  Work(at + 1_500 * MILLISECOND, "person.reconnect", {"account": "alfa", "who": "ann"}),
                  *(alert(at + each * SECOND, action="close") for each in (4, 6, 8)), horizon=22 * SECOND)


def reconfigured(seed: int) -> Plan:
    """The configuration of a live desk is changed, and nobody has said yes to it."""
    ms = _draw(seed)
    return a_plan(seed, alert(ms(2_500, 3_500)), Fault(AtTime(ms(5_000, 6_000)), "ops.config_change"), alert(ms(12_000, 14_000)),
                  scene="live", horizon=20 * SECOND)
