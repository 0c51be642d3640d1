"""Fault plans: what is done to the platform, when, and by whom. A plan is data, so it can be stored, replayed and shrunk.

A plan holds its workload too: prices, alerts and people's acts stand in it as they will happen, and faults name the moment
at which they strike by a time, by the n-th operation of a kind, by a named point in the code, or by the state that an order
or an account is in. Triggers by count and by state survive shrinking better than times. Whatever is drawn comes from one
random stream per label, so that leaving one fault out does not reshuffle the rest.
"""

import random
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

Value: TypeAlias = int | float | str | bool
Nanos: TypeAlias = int

SECOND: Final[Nanos] = 1_000_000_000
MILLISECOND: Final[Nanos] = 1_000_000


class Streams:
    """One random stream per label, each a function of the seed and the label alone (and of no hash seed)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[str, random.Random] = {}

    def of(self, label: str) -> random.Random:
        """The stream of a label: the same object each time."""
        stream = self._streams.get(label)
        if stream is None:
            stream = self._streams[label] = random.Random(f"{label}:{self.seed}")
        return stream


# -- when

class AtTime(Struct, frozen=True, tag="time"):
    """When the run is `after` nanoseconds old, on the world's own time."""

    after: Nanos


class AtOperation(Struct, frozen=True, tag="operation"):
    """At the `nth` operation of a kind, counted from 1: "wire.place", "report.fill", "commit" ... (see OPERATIONS)."""

    kind: str
    nth: int = 1


class AtPoint(Struct, frozen=True, tag="point"):
    """The `nth` time that the code passes a named point (see POINTS)."""

    point: str
    nth: int = 1


class AtState(Struct, frozen=True, tag="state"):
    """The `nth` time that an order, or an account, comes into a state (see ORDER_STATES and ACCOUNT_STATES)."""

    state: str
    nth: int = 1


Trigger: TypeAlias = AtTime | AtOperation | AtPoint | AtState

OPERATIONS: Final = (
    "wire.place", "wire.modify", "wire.cancel", "wire.lookup", "wire.read", "wire.ping",
    "report.accepted", "report.fill", "report.cancelled", "report.rejected", "report.expired", "report.status",
    "commit", "snapshot", "signal", "quote", "command", "write", "sync")
"""Kinds of operation that AtOperation counts. "write" and "sync" are the disk's, and happen in the world alone."""

POINTS: Final = (
    "turn.after",                      # a turn is made, nothing of it is durable
    "commit.before", "commit.after",   # around the moment at which a batch becomes durable
    "egress.before_write",             # the order passed every check, no byte has left
    "egress.after_write",              # the bytes arrived, the answer has not
    "restart.folding", "restart.ready")
"""Named points that AtPoint counts."""

ORDER_STATES: Final = (
    "intent", "cleared", "written", "acknowledged", "working", "partial", "cancel_pending", "modify_pending", "unknown",
    "filled_unprotected", "protected", "exiting", "closed")
ACCOUNT_STATES: Final = (
    "starting", "reconciling", "trading", "drift_open", "killed", "disconnected", "flattening", "closing", "stopped")


# -- what

class Fault(Struct, frozen=True):
    """One thing that goes wrong: when, what, and how badly. The verbs are in VERBS."""

    trigger: Trigger
    verb: str
    args: dict[str, Value] = {}


class Work(Struct, frozen=True):
    """One thing that is simply done: a price, an alert, a person's act. `at` is nanoseconds since the run began."""

    at: Nanos
    kind: str                          # "price", "state", "alert", "person.kill", "person.decide" ... (see WORK)
    args: dict[str, Value] = {}


WORK: Final = {
    "price": "the market of `symbol` goes to `ticks` from its start, `spread` ticks wide, `size` lots on each side",
    "state": "the venue tells that `symbol` is `open` or `halted`",
    "mute": "the feed of `symbol` says nothing for `for_ns` (pings go on)",
    "bar": "a finished bar of `symbol`",
    "alert": "an alert: `lane`, `strategy`, `action`, `symbol`, `stop` and `target` in ticks, `price` off by `off` ticks; "
             "`repeat` times in all",
    "person.kill": "`scope`, `lane`, `account`",
    "person.release": "`lane`, `account`, `phrase`",
    "person.decide": "answers the open question of `account`: `answer`; `stale` answers what was shown earlier",
    "person.reconnect": "`account`",
    "person.enable": "`latch`",
    "person.flatten": "`account`, `instrument`",
    "person.reconcile": "`account`",
    "person.disable": "`account`",
    "person.manual_trade": "trades `quantity` (signed) of `symbol` in `account` at the venue itself",
    "person.cancel_stop": "cancels a stop of `account` at the venue itself",
    "person.move_stop": "moves a stop of `account` by `ticks` at the venue itself",
}
"""The kinds of work and their arguments."""


class Plan(Struct, frozen=True, kw_only=True):
    """Everything that makes a run what it is. Equal build and plan give an equal run.

    `mode` is "safety" (anything goes, and what must hold at every step is judged) or "liveness" (what was broken heals at
    `heal_at`, people answer from then on, and the platform must be trading or halted with a reason in the end).
    `scene` names one of the configurations that the simulator knows, `begins` the wall time at which the run starts.
    """

    seed: int
    profile: str
    mode: str = "safety"
    scale: str = "core"
    scene: str = "brackets"
    begins: Nanos = 0
    horizon: Nanos = 60 * SECOND
    heal_at: Nanos = 0
    latency: tuple[Nanos, Nanos] = (20 * MILLISECOND, 200 * MILLISECOND)   # of one way over the wire, lowest and highest
    visibility: Nanos = 0              # how long the venue's look-ups may miss an order that has arrived
    work: tuple[Work, ...] = ()
    faults: tuple[Fault, ...] = ()
    sittings: tuple[tuple[Nanos, Nanos], ...] = ()     # when the process runs; empty: all the time

    @property
    def cells(self) -> frozenset[tuple[str, str]]:
        """The (state, verb) cells of the matrix that this plan aims at."""
        return frozenset((fault.trigger.state, fault.verb) for fault in self.faults if isinstance(fault.trigger, AtState))


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Plan)


def encode(plan: Plan) -> bytes:
    """The plan as JSON."""
    return msgspec.json.format(_encoder.encode(plan), indent=1)


def decode(body: bytes) -> Plan:
    """The plan again. Raises msgspec.ValidationError for one that is none."""
    return _decoder.decode(body)


def stored(directory: Path) -> dict[str, Plan]:
    """The plans that a directory keeps, by their file's name: failures of the past, to be run for ever."""
    return {path.stem: decode(path.read_bytes()) for path in sorted(directory.glob("*.json"))}


# -- the verbs

class Verb(Struct, frozen=True, kw_only=True):
    """One kind of fault. `at` lists the operations it can strike; "" is any time. `heals` says that what it breaks is whole
    again by itself or when the faults heal, so that the platform can get well: only such verbs occur in liveness mode."""

    name: str
    scale: str = "both"                # core, world or both
    at: tuple[str, ...] = ("",)
    heals: bool = True
    weight: int = 1
    numbers: dict[str, tuple[int, int]] = {}       # integer arguments, lowest and highest


_ORDER_OPS = ("wire.place", "wire.cancel")
_ALL_OPS = ("wire.place", "wire.cancel", "wire.lookup", "wire.read")
_REPORTS = ("report.accepted", "report.fill", "report.cancelled")


def _verb(name: str, *at: str, scale: str = "both", heals: bool = True, weight: int = 1, **numbers: tuple[int, int]) -> Verb:
    return Verb(name=name, at=at or ("",), scale=scale, heals=heals, weight=weight, numbers=numbers)


VERBS: Final[dict[str, Verb]] = {verb.name: verb for verb in (
    # the line
    _verb("net.drop_request", *_ALL_OPS, weight=3),
    _verb("net.drop_response", *_ALL_OPS, weight=4),
    _verb("net.latency", *_ALL_OPS, *_REPORTS, weight=3, ms=(300, 8_000)),
    _verb("net.duplicate", *_REPORTS, weight=3, times=(1, 3), ms=(0, 3_000)),
    _verb("net.reorder", *_REPORTS, weight=2, ms=(100, 2_000)),
    _verb("net.drop_frame", *_REPORTS, weight=3),
    _verb("net.reset", "", *_ALL_OPS, weight=3, ms=(500, 10_000)),
    _verb("net.half_open", "wire.place", "wire.cancel", weight=2, ms=(1_000, 8_000)),
    _verb("net.partition", "", ms=(2_000, 15_000)),
    _verb("net.status", "wire.place", "wire.read", "wire.lookup", weight=2),
    _verb("net.slice", "wire.place", "wire.lookup", "wire.read", weight=2),
    _verb("net.garbage", "wire.place", "wire.lookup", "wire.read"),
    _verb("net.auth_expire", "wire.place", "wire.cancel", scale="world", ms=(500, 5_000)),
    # the broker
    _verb("broker.reject", "wire.place", weight=2),
    _verb("broker.reject_cancel", "wire.cancel", weight=2),
    _verb("broker.accept_then_error", "wire.place", weight=3),
    _verb("broker.ack_then_reject", "wire.place", weight=2, ms=(50, 3_000)),
    _verb("broker.fill_before_ack", "wire.place", weight=2),
    _verb("broker.partial", "wire.place", weight=3, percent=(10, 90)),
    _verb("broker.overfill", "wire.place", heals=False, lots=(1, 2)),
    _verb("broker.fill_on_cancel", "wire.cancel", weight=2),
    _verb("broker.fill_after_cancel_ack", "wire.cancel", heals=False, ms=(50, 2_000)),
    _verb("broker.never_answer", "wire.place", "wire.cancel"),
    _verb("broker.visibility_delay", "wire.place", weight=2, ms=(200, 1_500)),
    _verb("broker.reject_stop", "report.fill", weight=2, times=(1, 3)),
    _verb("broker.shrink_stop", "report.fill", heals=False),
    _verb("broker.expire_tif", "", heals=False),
    _verb("broker.liquidate", "", weight=2, heals=False),
    _verb("broker.halt", "", ms=(1_000, 10_000)),
    _verb("broker.replay", "", weight=2),
    _verb("broker.same_exec_id", "report.fill", heals=False),
    _verb("broker.unknown_enum", "wire.read", "wire.lookup"),
    _verb("broker.empty_read", "wire.read", weight=2, heals=False),
    _verb("broker.truncated_read", "wire.read", weight=2, heals=False),
    _verb("broker.failed_read", "wire.read", weight=2, times=(1, 3)),
    _verb("broker.dup_without_report", "wire.place"),
    _verb("broker.id_rollback", "", heals=False),
    _verb("broker.wrong_definition", "wire.read", heals=False),
    _verb("broker.truncate_cid", "wire.place", scale="world", heals=False),
    _verb("broker.restart", "", weight=1, ms=(500, 5_000)),
    _verb("broker.throttle", "wire.place", ms=(1_000, 10_000)),
    # the feed
    _verb("feed.stall", "", weight=2, ms=(1_000, 10_000)),
    _verb("feed.zero", ""),
    _verb("feed.minus_one", ""),
    _verb("feed.crossed", ""),
    _verb("feed.gap", "", "report.fill", weight=3, ticks=(-160, 160)),
    _verb("feed.scale", ""),
    _verb("feed.out_of_order", ""),
    _verb("feed.wide", "", ticks=(3, 12)),
    _verb("feed.thin", ""),
    # the gate: one check breaks for a while
    _verb("gate.raise", "", weight=2, check=(0, 40), ms=(500, 8_000)),
    _verb("gate.none", "", weight=2, check=(0, 40), ms=(500, 8_000)),
    # signals
    _verb("signal.duplicate", "signal", weight=2, times=(1, 4), ms=(0, 3_000)),
    _verb("signal.replay", "", weight=1),
    _verb("signal.burst", "signal", weight=2, times=(2, 6)),
    # processes and their storage
    _verb("proc.kill9", "turn.after", "commit.before", "commit.after", "egress.before_write", "egress.after_write", "",
          weight=6, ms=(0, 8_000)),
    _verb("proc.pause", "", "egress.before_write", weight=2, ms=(100, 20_000)),
    _verb("proc.second_instance", "", scale="world", ms=(0, 5_000)),
    _verb("proc.sigterm", "", scale="world"),
    _verb("proc.hang", "", scale="world", ms=(1_000, 20_000)),
    _verb("proc.loop_block", "", scale="world", ms=(50, 2_000)),
    _verb("proc.task_crash", "", scale="world"),
    _verb("disk.commit_fails", "commit.before", weight=2, heals=False),
    _verb("disk.commit_unknown", "commit.before", weight=2, heals=False),
    _verb("disk.enospc", "write", scale="world", heals=False),
    _verb("disk.eio", "sync", scale="world", heals=False),
    _verb("disk.slow", "commit.before", ms=(20, 2_500)),
    _verb("disk.lock", "write", scale="world", ms=(500, 10_000)),
    _verb("disk.flip", "", scale="world", heals=False),
    # clocks
    _verb("clock.step", "", scale="world", ms=(-30_000, 30_000)),
    _verb("clock.skew", "", scale="world", ms=(-2_000, 2_000)),
    _verb("clock.suspend", "", scale="world", ms=(5_000, 40_000)),
    # people and deployment, as faults
    _verb("ops.kill", "", "turn.after", "egress.before_write", "egress.after_write", "commit.before", weight=5),
    _verb("ops.manual_trade", "", weight=2, heals=False, lots=(-2, 2)),
    _verb("ops.cancel_stop", "", heals=False),
    _verb("ops.move_stop", "", heals=False, ticks=(-8, 8)),
    _verb("ops.config_change", "", scale="world", heals=False),
    _verb("ops.old_build", "", scale="world", heals=False),
    _verb("ops.live_endpoint", "", scale="world", ms=(2_000, 8_000)),
    _verb("ops.live_start", "", scale="world", condition=(0, 7), ms=(4_000, 12_000)),
)}
"""Everything that a plan may do wrong."""


def verbs(scale: str, *, heals: bool = False) -> tuple[Verb, ...]:
    """The verbs of a scale, in the order of the table; with `heals` only those after which the platform can get well."""
    return tuple(verb for verb in VERBS.values() if verb.scale in (scale, "both") and (verb.heals or not heals))


# -- drawing

PROFILES: Final = ("smoke", "merge", "nightly", "liveness", "quiet", "long")
"""What is drawn: `smoke` few faults, `merge` a mixture with a fifth of liveness, `nightly` the same with more faults and longer,
`liveness` only what heals, `quiet` nothing that goes wrong, `long` five trading days (in the world alone)."""

_MOMENTS: Final = ("tuesday", "tuesday", "tuesday", "tuesday", "half_day", "close", "evening", "summer_ends", "summer_begins",
                   "abroad")
_SCENES: Final = ("brackets", "brackets", "brackets", "single", "single", "pair")
_ROWS: Final = (("main", 0, "MES"), ("main", 0, "MES"), ("main", 1, "MNQ"), ("side", 0, "MES"), ("side", 1, "MNQ"))
_ACCOUNTS: Final = ("alfa", "beta", "gama")
_STATES: Final = ("intent", "cleared", "written", "acknowledged", "working", "partial", "cancel_pending", "modify_pending",
                  "unknown", "filled_unprotected", "protected", "exiting", "closed", "starting", "reconciling", "trading",
                  "drift_open", "killed", "disconnected", "flattening")


RECIPES: Final[tuple[tuple[tuple[Trigger, str], ...], ...]] = (
    ((AtOperation("wire.place", 1), "broker.accept_then_error"), (AtOperation("wire.place", 1), "broker.visibility_delay"),
     (AtOperation("report.accepted", 1), "net.drop_frame"), (AtOperation("report.fill", 1), "net.drop_frame")),
    ((AtOperation("wire.place", 1), "broker.accept_then_error"), (AtOperation("wire.place", 1), "broker.visibility_delay"),
     (AtOperation("report.accepted", 1), "net.latency"), (AtOperation("report.fill", 1), "net.latency")),
    ((AtOperation("wire.place", 2), "net.drop_response"), (AtState("unknown"), "proc.kill9")),
    ((AtState("written", 1), "ops.kill"), (AtState("killed"), "proc.kill9")),
    ((AtState("cleared", 1), "ops.kill"),),
    ((AtTime(3 * SECOND), "ops.kill"), (AtTime(5 * SECOND), "proc.kill9")),
    ((AtTime(5 * SECOND), "ops.kill"), (AtState("killed"), "proc.kill9")),
    ((AtState("cleared", 2), "ops.kill"), (AtPoint("egress.before_write", 2), "proc.pause")),
    ((AtPoint("egress.before_write", 1), "proc.pause"),),
    ((AtPoint("egress.before_write", 1), "ops.kill"),),
    ((AtPoint("egress.before_write", 3), "ops.kill"),),
    ((AtState("written", 2), "ops.kill"),),
    ((AtState("exiting"), "feed.gap"),),
    ((AtState("exiting"), "feed.gap"), (AtState("exiting"), "net.latency")),
    ((AtState("protected"), "broker.liquidate"),),
    ((AtState("protected"), "ops.manual_trade"),),
    ((AtState("protected"), "ops.cancel_stop"),),
    ((AtState("protected", 2), "proc.kill9"), (AtState("reconciling", 8), "broker.failed_read")),
    ((AtState("filled_unprotected"), "proc.kill9"),),
    ((AtState("filled_unprotected"), "broker.reject_stop"), (AtState("filled_unprotected"), "feed.gap")),
    ((AtOperation("report.fill", 1), "net.duplicate"), (AtTime(9 * SECOND), "broker.replay")),
    ((AtOperation("report.fill", 1), "net.drop_frame"),),
    ((AtOperation("wire.place", 1), "broker.partial"), (AtOperation("wire.cancel", 1), "broker.fill_on_cancel")),
    ((AtOperation("wire.place", 1), "net.drop_request"),),
    ((AtState("trading", 4), "broker.empty_read"), (AtState("protected"), "broker.empty_read")),
    ((AtState("protected"), "net.reset"),),
    ((AtState("drift_open"), "proc.kill9"),),
    ((AtState("flattening"), "net.reset"),),
    ((AtState("flattening"), "proc.kill9"),),
)
"""What rarely meets by chance and has hurt others: drawn beside the rest in four of ten seeds."""


def draw(seed: int, profile: str = "merge", scale: str = "core", *, moments: "dict[str, Nanos] | None" = None) -> Plan:
    """The plan of a seed: workload and faults, each from streams of their own."""
    streams = Streams(seed)
    shape, workload, breaks, who = (streams.of(label) for label in ("shape", "workload", "faults", "people"))
    mode = "liveness" if profile == "liveness" or (profile in ("merge", "nightly") and shape.random() < 0.2) else "safety"
    horizon = shape.randint(14, 40 if profile == "nightly" else 26) * SECOND
    moment = shape.choice(_MOMENTS)
    if profile == "long":
        return _long(seed, streams)
    if moments is None:
        from interlock.simulation.scenes import MOMENTS
        moments = MOMENTS
    low = shape.choice((1, 5, 20, 60)) * MILLISECOND
    work = [*_market(workload, horizon), *_alerts(workload, horizon), *_acts(who, horizon, mode)]
    faults = _faults(breaks, horizon, profile, scale, mode)
    scene = shape.choice(_SCENES)
    if scale == "world" and profile != "quiet":
        scene = _where(streams.of("where"), scene, horizon, work, faults)
    return Plan(
        seed=seed, profile=profile, mode=mode, scale=scale, scene=scene, begins=moments[moment], horizon=horizon,
        heal_at=horizon, latency=(low, low + shape.choice((5, 40, 250)) * MILLISECOND),
        visibility=shape.choice((0, 0, 200, 1_400)) * MILLISECOND,
        work=tuple(sorted(work, key=lambda each: each.at)), faults=tuple(faults))


def _where(rng: random.Random, scene: str, horizon: Nanos, work: list[Work], faults: list[Fault]) -> str:
    """One run in six is of a desk that only whole processes can show: live in rehearsal, or at two venues."""
    found = rng.choices((scene, "live", "two"), (10, 1, 1))[0]
    at = rng.randint(3_000, horizon // MILLISECOND - 6_000) * MILLISECOND
    if found == "live" and rng.random() < 0.7:
        verb = VERBS[rng.choice(("ops.live_start", "ops.live_start", "ops.live_start", "ops.live_endpoint", "ops.config_change"))]
        faults.append(_of(rng, AtTime(at), verb))
    elif found == "two" and rng.random() < 0.6:
        verb = VERBS[rng.choice(("net.partition", "net.partition", "broker.restart", "net.reset"))]
        faults.append(_of(rng, AtTime(at), verb))
        work.append(Work(at + rng.randint(0, 900) * MILLISECOND, "person.flatten", {"account": "", "who": "ann"}))
    return found


_LONG: Final[tuple[tuple[str, ...], ...]] = (
    ("2023-11-02", "2023-11-03", "2023-11-06", "2023-11-21", "2023-11-24"),
    ("2024-03-07", "2024-03-08", "2024-03-11", "2024-03-12", "2024-07-03"))
"""Five trading days each: a weekend in which the clocks are set, and a day that ends early."""
_SUNDAYS: Final = {"2023-11-03": "2023-11-05", "2024-03-08": "2024-03-10"}


def _long(seed: int, streams: Streams) -> Plan:
    """Five trading days, of which a process lives through the hours that matter: the morning, the close, the evening's open. In
    between it is off, positions stay, day orders expire, the venue is started anew each night."""
    from datetime import date

    from interlock.simulation.oracles import calendar
    shape, rng, breaks = streams.of("shape"), streams.of("workload"), streams.of("faults")
    days = _LONG[shape.randrange(len(_LONG))]
    begins = calendar.at(date.fromisoformat(days[0]), 9, 9)
    sittings: list[tuple[Nanos, Nanos]] = []
    work: list[Work] = []
    faults: list[Fault] = []
    known = tuple(verb for verb in verbs("world", heals=True) if not verb.name.startswith(("ops.live", "clock.")))
    for name in days:
        day = date.fromisoformat(name)
        _, close = calendar.session(day)
        evening = date.fromisoformat(_SUNDAYS.get(name, name))
        for start, length in ((calendar.at(day, 9, 10), rng.randint(30, 50) * SECOND), (close - 40 * SECOND, 58 * SECOND),
                              (calendar.at(evening, 16, 59) + 50 * SECOND, rng.randint(30, 45) * SECOND)):
            if name == days[-1] and start > close:
                continue                                # the run ends with the last close
            at = start - begins
            sittings.append((at, at + length))
            work += [Work(at + each.at, each.kind, each.args) for each in (*_market(rng, length), *_alerts(rng, length))]
            for _ in range(breaks.choice((0, 0, 1, 1, 2))):
                verb = breaks.choices(known, [each.weight for each in known])[0]
                faults.append(_of(breaks, AtTime(at + breaks.randint(5, 28) * SECOND), verb))
        night = calendar.at(evening, 16, 30) - begins
        work += [Work(night - 20 * 60 * SECOND, "price", {"symbol": symbol, "ticks": rng.randint(-30, 30)})
                 for symbol in ("MES", "MNQ")]
        faults.append(Fault(AtTime(night), "broker.restart", {"ms": 90_000, "account": "alfa"}))
    horizon = sittings[-1][1]
    low = shape.choice((1, 5, 20)) * MILLISECOND
    return Plan(
        seed=seed, profile="long", mode="safety", scale="world", scene=shape.choice(("brackets", "brackets", "single", "two")),
        begins=begins, horizon=horizon, heal_at=horizon, latency=(low, low + 40 * MILLISECOND), sittings=tuple(sittings),
        work=tuple(sorted(work, key=lambda each: each.at)), faults=tuple(faults))


def _market(rng: random.Random, horizon: Nanos) -> list[Work]:
    """Prices that walk, jump, widen and thin out, so that stops and targets are met within the run."""
    found = []
    for symbol in ("MES", "MNQ"):
        ticks, at, reach = 0, rng.randint(1, 3) * SECOND, rng.choice((2, 4, 8))
        drift = rng.choice((-2, -1, 0, 0, 1, 2))
        while at < horizon:
            ticks += rng.randint(-reach, reach) + drift
            args: dict[str, Value] = {"symbol": symbol, "ticks": ticks}
            if rng.random() < 0.06:
                args["spread"] = rng.randint(2, 6)
            if rng.random() < 0.05:
                args["size"] = rng.choice((0, 1, 3))
            found.append(Work(at, "price", args))
            at += rng.randint(500, 3_000) * MILLISECOND
    return found


def _alerts(rng: random.Random, horizon: Nanos) -> list[Work]:
    found, at = [], rng.randint(800, 3_000) * MILLISECOND
    rows = rng.sample(_ROWS, rng.randint(2, len(_ROWS)))
    while at < horizon:
        lane, row, _ = rng.choice(rows)
        args: dict[str, Value] = {
            "lane": lane, "row": row, "action": rng.choice(("buy", "buy", "buy", "sell", "sell", "close")),
            "stop": rng.randint(4, 14), "target": rng.choice((0, 6, 10, 20))}
        if rng.random() < 0.15:
            args["repeat"] = rng.randint(1, 3)
        if rng.random() < 0.06:
            args["off"] = rng.choice((-400, -30, 30, 400))
        if rng.random() < 0.05:
            args["late_ms"] = rng.choice((2_000, 20_000, 120_000))
        if rng.random() < 0.05:
            args["stop"] = rng.choice((1, 2, 200, 4_000))
        found.append(Work(at, "alert", args))
        at += rng.choice((60, 300, 900, 2_500, 5_000)) * MILLISECOND + rng.randint(0, 900) * MILLISECOND
    return found


def _acts(rng: random.Random, horizon: Nanos, mode: str) -> list[Work]:
    """What people do, by their nature: some are away, some click twice, some act on an old screen, two contradict each other."""
    found: list[Work] = []
    nature = rng.choice(("away", "away", "careful", "hasty", "conflict", "stale"))
    if nature == "away":
        return found
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(1, max(2, horizon // SECOND - 1)) * SECOND + rng.randint(0, 900) * MILLISECOND
        account = rng.choice(_ACCOUNTS)
        kind = rng.choice(("kill", "kill", "release", "reconcile", "flatten", "decide", "reconnect", "manual_trade", "disable"))
        if mode == "liveness" and kind == "manual_trade":
            continue
        args: dict[str, Value] = {"account": account, "who": "ann"}
        if kind == "kill":
            args["scope"] = rng.choice(("risk", "risk", "risk", "all"))
            if rng.random() < 0.4:
                args["account"] = ""
        elif kind == "release" and rng.random() < 0.5:
            args["account"] = ""
        elif kind == "manual_trade":
            args |= {"symbol": rng.choice(("MES", "MNQ")), "quantity": rng.choice((-2, -1, 1, 2))}
        elif kind == "decide":
            args["answer"] = rng.choice(("adopt-broker", "adopt-local", "abort"))
        if nature == "hasty":
            args |= {"again": 1, "again_ms": rng.choice((0, 40, 250))}
        if nature == "stale":
            args["stale"] = True
        found.append(Work(at, f"person.{kind}", args))
        if nature == "conflict":
            other = {"kill": "release", "release": "kill", "flatten": "kill"}.get(kind)
            if other is not None:
                found.append(Work(at + rng.randint(0, 400) * MILLISECOND, f"person.{other}",
                                  {"account": args["account"], "who": "bob", "scope": "risk"}))
    return found


def _faults(rng: random.Random, horizon: Nanos, profile: str, scale: str, mode: str) -> list[Fault]:
    if profile == "quiet":
        return []
    known = verbs(scale, heals=mode == "liveness")
    recipe = rng.choice(RECIPES) if rng.random() < 0.4 else ()
    count = rng.randint(1, 4) if profile == "smoke" else rng.randint(1, 8)
    swarm = rng.sample(known, min(len(known), max(2, count)))       # each seed knows only a few verbs
    found = [_of(rng, trigger, VERBS[name]) for trigger, name in recipe
             if mode != "liveness" or VERBS[name].heals]
    for _ in range(rng.randint(1, 6) if profile != "smoke" else rng.randint(0, 2)):
        verb = rng.choices(swarm, [each.weight for each in swarm])[0]
        found.append(_of(rng, _trigger(rng, verb, horizon), verb))
    return found


def _of(rng: random.Random, trigger: Trigger, verb: Verb) -> Fault:
    """A fault of this verb, with drawn arguments."""
    args: dict[str, Value] = {name: rng.randint(*span) for name, span in verb.numbers.items()}
    args["account"] = rng.choice(_ACCOUNTS)
    args["symbol"] = rng.choice(("MES", "MNQ"))
    if verb.name == "ops.kill":
        args["scope"] = rng.choice(("risk", "risk", "all"))
        if rng.random() < 0.5:
            args["account"] = ""
    return Fault(trigger, verb.name, args)


def _trigger(rng: random.Random, verb: Verb, horizon: Nanos) -> Trigger:
    place = rng.choice(verb.at)
    if rng.random() < 0.4:
        return AtState(rng.choice(_STATES), rng.choice((1, 1, 1, 2, 3)))
    if place == "":
        return AtTime(rng.randint(500, horizon // MILLISECOND) * MILLISECOND)
    if place in POINTS:
        return AtPoint(place, rng.randint(1, 12))
    return AtOperation(place, rng.choice((1, 1, 2, 2, 3, 4, 6)))
