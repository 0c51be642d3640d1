"""Kills real desks at named points and random instants, starts them again, and looks at what they left behind.

    python -m tests.process.crash --kills 200 [--seed S] [--workers N]

After each kill a plain `interlock run` takes over. Five seconds after it says that it is ready three files are read from
outside: the journal, the venue's own book, and the victim's note of every order message that it wrote. Lost is an
acknowledged signal without a verdict per account, doubled two enter orders of one signal and account in a venue's book,
unprotected a venue's position that differs from the venue's live stops.
"""

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

from tests.process.desk import ACCOUNTS, Desk, DeskFailed
from tests.process.evidence import Evidence
from tests.process.victim import AFTER, BEFORE, GAP, POINTS, START

RANDOM = "a random instant"
KILLS_PER_DIRECTORY = 10
CHECK_AFTER_S = 5.0
RANDOM_SHARE = 0.15


@dataclass(frozen=True)
class Plan:
    """One kill: a named point at its n-th pass, or (no point) a random instant; `seed` draws everything else."""

    number: int
    point: str
    nth: int
    seed: int

    def __str__(self) -> str:
        return f"kill {self.number}: {self.point or RANDOM}, pass {self.nth}, seed {self.seed}"


@dataclass
class Result:
    kills: Counter[str] = field(default_factory=Counter)      # by point
    not_passed: Counter[str] = field(default_factory=Counter)
    cleared: int = 0
    acknowledged: int = 0
    abandoned: int = 0                 # answered for all accounts at once, before the gate: nothing to close, the other side held
    venue_orders: int = 0
    violations: list[str] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)          # seconds from start to ready


def plans(kills: int, seed: int) -> list[Plan]:
    """At least a third of the points lie between commit and wire or wire and answer, however many there are of each kind."""
    draw = random.Random(seed)
    by_when = {when: [point for point in POINTS.values() if point.when == when] for when in (BEFORE, GAP, AFTER, START)}
    made: list[Plan] = []
    decks: dict[str, list[str]] = {}
    for number in range(kills):
        point, nth = "", 1
        if draw.random() >= RANDOM_SHARE:
            when = draw.choices((BEFORE, GAP, AFTER, START), weights=(15, 50, 22, 13))[0]
            deck = decks.setdefault(when, [])
            if not deck:               # each point of a kind once, before any comes twice
                deck.extend(each.name for each in by_when[when])
                draw.shuffle(deck)
            point = deck.pop()
            nth = draw.randint(1, POINTS[point].nth_max)
        made.append(Plan(number + 1, point, nth, draw.randrange(2**31)))
    return made


def run(todo: Sequence[Plan], *, workers: int, directory: Path, verbose: bool = False) -> Result:
    """All plans, several state directories side by side."""
    waiting: SimpleQueue[Plan] = SimpleQueue()
    for plan in todo:
        waiting.put(plan)
    result, lock = Result(), threading.Lock()
    threads = [threading.Thread(target=_work, args=(waiting, directory / f"worker-{number}", result, lock, verbose))
               for number in range(min(workers, len(todo)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return result


def _work(waiting: "SimpleQueue[Plan]", directory: Path, result: Result, lock: threading.Lock, verbose: bool) -> None:
    count, rig = 0, None
    try:
        while True:
            try:
                plan = waiting.get_nowait()
            except Empty:
                break
            if rig is None or count % KILLS_PER_DIRECTORY == 0:
                rig = Rig(Desk.make(directory / f"state-{count // KILLS_PER_DIRECTORY}"), result, lock)
            count += 1
            began = time.monotonic()
            try:
                rig.cycle(plan)
            except DeskFailed as error:
                with lock:
                    result.violations.append(f"{plan}: {error}")
                rig.desk.end()
                rig = None
                count += KILLS_PER_DIRECTORY - count % KILLS_PER_DIRECTORY
            if verbose:
                with lock:
                    done = sum(result.kills.values())
                print(f"{done:4} {time.monotonic() - began:5.1f} s  {plan}", file=sys.stderr, flush=True)
    finally:
        if rig is not None:
            rig.desk.end()


class Rig:
    """One state directory through many kills."""

    def __init__(self, desk: Desk, result: Result, lock: threading.Lock) -> None:
        self.desk = desk
        self.evidence = Evidence(desk.state, desk.notes)
        self._result = result
        self._lock = lock

    def cycle(self, plan: Plan) -> None:
        draw = random.Random(plan.seed)
        point = POINTS.get(plan.point)
        if point is not None and point.when == START:
            # Something has to be open, or there is nothing to recover.
            first = draw.choice(("commit.done", "place.entered", "wire.answered", "fill.unread", "venue.after_commit"))
            self._die(Plan(plan.number, first, 1, plan.seed), draw)
        self._die(plan, draw)
        seconds = self.desk.start()
        since = time.monotonic()
        with self._lock:
            self._result.ready.append(seconds)
        time.sleep(max(0.0, since + CHECK_AFTER_S - time.monotonic()))
        found = self.evidence.look(self.desk.acknowledged)
        if not self.desk.is_running():
            found.append(f"the desk has ended: {self.desk.said()}")
        whole = self.desk.verify()
        if whole is not None:
            found.append(f"journal verify: {whole}")
        with self._lock:
            self._result.violations.extend(f"{plan}: {each}" for each in found)
            self._result.cleared += self.evidence.take_cleared()
            self._result.abandoned += self.evidence.take_abandoned()
            self._result.venue_orders += self.evidence.take_orders()
        if self.evidence.is_killed:
            self.desk.release()
        self.desk.end(is_kind=draw.random() < 0.5)

    def _die(self, plan: Plan, draw: random.Random) -> None:
        """Start a victim, feed it, and see it dead."""
        desk, point = self.desk, POINTS.get(plan.point)
        before = len(desk.acknowledged)
        desk.start(point=plan.point or "none", nth=plan.nth, may_die=True)
        if point is None:
            self._feed_random(draw)
        elif point.when != START:
            self._feed(point.needs, draw)
            desk.dies_within(0.5)          # its connections break a moment before it can be waited for
        elif point.when == START:
            desk.dies_within(3.0)          # looking up and reading go on after it is ready
        is_passed = desk.has_died()
        if not is_passed:
            desk.kill()
        with self._lock:
            self._result.kills[plan.point if is_passed and plan.point else RANDOM] += 1
            self._result.not_passed[plan.point] += point is not None and not is_passed
            self._result.acknowledged += len(desk.acknowledged) - before

    def _feed(self, needs: str, draw: random.Random) -> None:
        """Alerts until the victim dies: entries, then what its point needs."""
        desk = self.desk
        for _ in range(3):
            if not desk.alert("demo", self._side("MES", draw)) or desk.dies_within(0.05):
                return
            if draw.random() < 0.5 and (not desk.alert("second", self._side("MNQ", draw)) or desk.dies_within(0.05)):
                return
            if needs == "kill":
                desk.give_kill()
            if desk.dies_within(0.7):
                return
            if not desk.alert("demo", "close") or desk.dies_within(0.9):
                return

    def _side(self, symbol: str, draw: random.Random) -> str:
        """The side of what is held: an entry against it would be abandoned before it came to a verdict."""
        held = self.evidence.held(symbol)
        return draw.choice(("buy", "sell")) if not held else "buy" if held > 0 else "sell"

    def _feed_random(self, draw: random.Random) -> None:
        desk = self.desk
        for _ in range(draw.randint(0, 2)):
            strategy, symbol = draw.choice((("demo", "MES"), ("second", "MNQ")))
            desk.alert(strategy, draw.choice((self._side(symbol, draw), "close")))
            time.sleep(draw.uniform(0.0, 0.9))
        side = self._side("MES", draw)
        desk.alert("demo", draw.choice((side, side, side, "close")), wait=False)
        time.sleep(draw.choice((draw.uniform(0.0, 0.02), draw.uniform(0.0, 0.25), draw.uniform(0.0, 1.0))))


def show(result: Result, seconds: float) -> None:
    total = sum(result.kills.values())
    print(f"{'point':<32}{'when':<48}{'kills':>6}{'not passed':>12}")
    for when in (BEFORE, GAP, AFTER, START):
        for point in POINTS.values():
            if point.when == when and (result.kills[point.name] or result.not_passed[point.name]):
                print(f"{point.name:<32}{when:<48}{result.kills[point.name]:>6}{result.not_passed[point.name]:>12}")
    print(f"{RANDOM:<32}{'anywhere':<48}{result.kills[RANDOM]:>6}")
    gap = sum(count for name, count in result.kills.items() if name in POINTS and POINTS[name].when == GAP)
    ready = sorted(result.ready) or [0.0]
    print(f"{total} kills in {seconds:.0f} s; {gap} ({gap / max(1, total):.0%}) between commit and wire or between wire and "
          f"answer; ready again after {ready[len(ready) // 2]:.1f} s (median), {ready[-1]:.1f} s (longest)")
    print(f"{result.acknowledged} signals acknowledged, {result.abandoned} abandoned before the gate, {result.cleared} entries "
          f"cleared on {len(ACCOUNTS)} accounts, {result.venue_orders} orders in the venues' books; "
          f"{len(result.violations)} violations")
    for each in result.violations:
        print(f"  VIOLATION {each}")
    if gap < 0.3 * total:
        print("  VIOLATION fewer than 30 % of the kills lie between commit and wire or between wire and answer")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--point", action="append", choices=sorted(POINTS), help="only these points")
    parser.add_argument("--keep", type=Path, help="leave the state directories here")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(2**31) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    todo = plans(given.kills, seed)
    if given.point:
        draw = random.Random(seed)
        todo = [Plan(plan.number, given.point[plan.number % len(given.point)], draw.randint(
            1, POINTS[given.point[plan.number % len(given.point)]].nth_max), plan.seed) for plan in todo]
    directory = given.keep or Path(tempfile.mkdtemp(prefix="interlock-crash-"))
    began = time.monotonic()
    try:
        result = run(todo, workers=given.workers, directory=directory, verbose=True)
    finally:
        if given.keep is None:
            shutil.rmtree(directory, ignore_errors=True)
    show(result, time.monotonic() - began)
    gap = sum(count for name, count in result.kills.items() if name in POINTS and POINTS[name].when == GAP)
    return 1 if result.violations or (gap < 0.3 * sum(result.kills.values()) and not given.point) else 0


if __name__ == "__main__":
    sys.exit(main())
