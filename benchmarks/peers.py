"""`make bench-peers`: the same job, on the same file, in the same run, through Interlock, NautilusTrader and backtesting.py.

Interlock runs as `interlock replay`, with its gate, two accounts and a journal on disk; the others run their own engine on
one account, in an environment of their own that is made once under the user's cache. The trades of each are written to a
file and compared one by one.

Conventions, stated and not hidden:
- All fill an entry at the close of its signal bar, and exits inside later bars. Each bar opens where the last one closed.
- The gate refuses some entries. The others have no gate: they are handed the times of those bars, and do not enter on them.
- Means begin differently (a plain mean here, the first price there), so all are compared from bar `SETTLED` on.
- A limit fills here, and in NautilusTrader as configured, when the price goes a tick through it; in backtesting.py at a touch.
- A bought stop pays the offer, one tick of 0.01 above its price, here; its price in the others.
"""

import argparse
import csv
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any, Final

from benchmarks.job import INCREMENT, SYMBOL, Params, Replayed, open_gate, replay
from benchmarks.walk import write_walk
from msgspec import Struct

from interlock.model.money import MINUTE, Nanos
from interlock.model.signal import Purpose
from interlock.model.verdict import Refused
from interlock.records import Records

HERE: Final = Path(__file__).parent
REQUIREMENTS: Final = HERE / "peers-requirements.txt"
PEERS: Final = {"NautilusTrader": "peer_nautilus.py", "backtesting.py": "peer_backtesting.py"}
SETTLED: Final = 2_000
"""Bars after which means that began differently agree to less than a tick."""
JOB: Final = Params(fast=20, slow=50, stop=2.0, target=3.0)


class Trip(Struct, frozen=True):
    """One round trip: when, which way, at what prices."""

    opened: Nanos
    side: str
    entry: float
    closed: Nanos
    exit: float


def environment() -> Path:
    """The peers' Python, made and filled at the first call."""
    name = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "interlock-benchmarks"
    home = cache / f"peers-{name}"
    python = home / "bin" / "python"
    if not (home / ".ready").exists():
        print(f"making the peers' environment in {home}", file=sys.stderr)
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS], check=True)
        (home / ".ready").touch()
    return python


class Ours(Struct, frozen=True):
    """What our own journal says of the run."""

    trips: dict[str, list[Trip]]       # by account
    refused: dict[str, list[Nanos]]    # bars on which the gate refused an entry, by code


def read_ours(directory: Path) -> Ours:
    """Every round trip and every refused entry that stands in the journal."""
    trips: dict[str, list[Trip]] = {}
    refused: dict[str, list[Nanos]] = {}
    with Records.open(directory) as records:
        for entry in records.entries():
            kind = entry.kind
            if kind == "trade_closed":
                trade: Any = entry.payload
                trips.setdefault(trade.account, []).append(Trip(trade.ts_opened, trade.side.value, float(trade.entry_price),
                                                                trade.ts_closed, float(trade.exit_price)))
            elif kind == "verdict":
                verdict: Any = entry.payload
                if isinstance(verdict.result, Refused) and verdict.asked.intent.purpose is Purpose.ENTER:
                    refused.setdefault(verdict.result.code, []).append(verdict.asked.intent.ts_decided)
    return Ours(trips, {code: sorted(set(times)) for code, times in refused.items()})


def run_peer(python: Path, script: str, job: dict[str, Any]) -> dict[str, Any]:
    """One run of a peer in a process of its own: what it says, and the wall and processor seconds of the process."""
    path = Path(job["trades"]).with_suffix(".json")
    path.write_text(json.dumps(job))
    before, began = os.times(), time.perf_counter()
    done = subprocess.run([python, HERE / script, path], capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - began, os.times()
    if done.returncode:
        raise RuntimeError(f"{script} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said | {"wall": wall, "cpu": cpu}


def read_trips(path: Path) -> list[Trip]:
    """The trades that a peer has listed."""
    with path.open(newline="") as stream:
        return [Trip(int(row["opened"]), row["side"], float(row["entry"]), int(row["closed"]), float(row["exit"]))
                for row in csv.DictReader(stream)]


def write_trips(path: Path, trips: list[Trip]) -> None:
    """Ours, in the same form."""
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("opened", "side", "entry", "closed", "exit"))
        writer.writerows((each.opened, each.side, each.entry, each.closed, each.exit) for each in trips)


def compare(ours: list[Trip], theirs: list[Trip], touches: set[tuple[Nanos, int]]) -> dict[str, Any]:
    """Trade by trade, matched by the bar of entry. What differs is counted by its cause."""
    by_open = {each.opened: each for each in theirs}
    found = {"ours": len(ours), "theirs": len(theirs), "matched": 0, "side": 0, "entry": 0, "exit": 0, "equal": 0,
             "bought_stop_one_tick": 0, "target_touched_only": 0, "after_such_a_touch": 0, "unexplained": 0}
    busy_until = 0                     # of the longer of two trades that ended apart: until then the two are out of step
    for mine in ours:
        other = by_open.pop(mine.opened, None)
        if other is None:
            found["after_such_a_touch" if mine.opened <= busy_until else "unexplained"] += 1
            continue
        found["matched"] += 1
        is_side, is_entry = mine.side == other.side, _ticks(mine.entry - other.entry) == 0
        apart = _ticks(mine.exit - other.exit)
        is_exit = apart == 0 and mine.closed == other.closed
        found["side"] += is_side
        found["entry"] += is_entry
        found["exit"] += is_exit
        if is_side and is_entry and is_exit:
            found["equal"] += 1
        elif is_side and is_entry and mine.closed == other.closed and mine.side == "sell" and apart == 1:
            found["bought_stop_one_tick"] += 1
        elif is_side and is_entry and (other.closed, _ticks(other.exit)) in touches and other.closed < mine.closed:
            found["target_touched_only"] += 1
            busy_until = max(busy_until, mine.closed)
        elif mine.opened <= busy_until:
            found["after_such_a_touch"] += 1
        else:
            found["unexplained"] += 1
    for left in by_open.values():
        is_after = any(mine.opened < left.opened <= mine.closed for mine in ours) and busy_until > 0
        found["after_such_a_touch" if is_after else "unexplained"] += 1
    return found


def _ticks(points: float) -> int:
    return round(points / INCREMENT)


def touched(path: Path) -> set[tuple[Nanos, int]]:
    """(close of bar, price in ticks) of every bar's extremes: a target that lies exactly there is touched, not gone through."""
    import pyarrow.parquet as pq

    columns = pq.read_table(path, columns=["ts_event", "high", "low"]).to_pydict()
    found: set[tuple[Nanos, int]] = set()
    for ts, high, low in zip(columns["ts_event"], columns["high"], columns["low"], strict=True):
        at = ts.value + MINUTE if hasattr(ts, "value") else int(ts.timestamp()) * 1_000_000_000 + MINUTE
        found.update(((at, _ticks(high)), (at, _ticks(low))))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__.partition("\n")[0])
    parser.add_argument("--bars", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "interlock-peers",
                        help="where the recording and the lists of trades are left")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything as JSON")
    asked = parser.parse_args()
    python = environment()
    asked.out.mkdir(parents=True, exist_ok=True)
    file = write_walk(asked.out / "walk.parquet", bars=asked.bars, seed=asked.seed, calendar="always_open",
                      increment=INCREMENT, has_quotes=True)
    config = asked.out / "interlock.toml"
    config.write_text(open_gate(JOB))
    timings: dict[str, list[dict[str, float]]] = {"Interlock": [], "Interlock, in memory": [], **{name: [] for name in PEERS}}
    ours: Ours | None = None
    answer: dict[str, Any] = {}
    jobs: dict[str, dict[str, Any]] = {}
    for _ in range(asked.repeats):
        with tempfile.TemporaryDirectory(dir=asked.out) as folder:
            kept = replay(f"{SYMBOL}={file}", config, Path(folder) / "state")
            timings["Interlock"].append(_timing(kept))
            if ours is None:
                ours, answer = read_ours(Path(folder) / "state"), kept.answer
                jobs = _jobs(asked.out, file, ours)
            elif kept.answer["digest"] != answer["digest"]:
                raise RuntimeError(f"two runs gave two digests: {answer['digest']} and {kept.answer['digest']}")
        bare = replay(f"{SYMBOL}={file}", config)
        if bare.answer["digest"] != answer["digest"]:
            raise RuntimeError("the replay in memory gave another digest than the one on disk")
        timings["Interlock, in memory"].append(_timing(bare))
        for name, script in PEERS.items():
            timings[name].append(run_peer(python, script, jobs[name]))
    if ours is None:
        raise RuntimeError("--repeats must be at least 1")
    report = _report(asked, file, ours, answer, jobs, timings)
    _print(report)
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if all(not each["unexplained"] for each in report["compared"].values()) else 1


def _timing(run: Replayed) -> dict[str, float]:
    seconds = run.answer["seconds"]
    return {"run": seconds, "load_and_run": seconds, "wall": run.wall, "cpu": run.cpu}


def _jobs(out: Path, file: Path, ours: Ours) -> dict[str, dict[str, Any]]:
    """What each peer is told: the file, the numbers, from when on it may enter, and where the gate said no."""
    trips = next(iter(ours.trips.values()))
    begin = _settled_at(file)
    first = max((each.closed for each in trips if each.opened <= begin), default=begin)
    refused = sorted({ts for times in ours.refused.values() for ts in times})
    return {name: {"file": str(file), "fast": JOB.fast, "slow": JOB.slow, "stop": JOB.stop, "target": JOB.target,
                   "tick": INCREMENT, "timeframe": MINUTE, "first": first, "refused": refused,
                   "trades": str(out / f"trades-{name.partition('.')[0].lower()}.csv")} for name in PEERS}


def _settled_at(file: Path) -> Nanos:
    import pyarrow.parquet as pq

    stamp = pq.read_table(file, columns=["ts_event"]).column(0).cast("int64")[SETTLED].as_py()
    return int(stamp) + MINUTE


def _report(asked: argparse.Namespace, file: Path, ours: Ours, answer: dict[str, Any], jobs: dict[str, dict[str, Any]],
            timings: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    accounts = list(ours.trips)
    first = next(iter(jobs.values()))["first"]
    listed = {account: [each for each in trips if each.opened >= first] for account, trips in ours.trips.items()}
    for account, trips in listed.items():
        write_trips(asked.out / f"trades-interlock-{account}.csv", trips)
    mine, touches = listed[accounts[0]], touched(file)
    last = max(each.closed for each in mine)
    compared = {}
    for name, job in jobs.items():
        theirs = [each for each in read_trips(Path(job["trades"])) if each.closed <= last]
        compared[name] = compare(mine, theirs, touches)
    best = {name: {key: statistics.median(run[key] for run in runs) for key in ("run", "load_and_run", "wall", "cpu")}
            for name, runs in timings.items()}
    rates = {name: {"bars_per_s": asked.bars / each["load_and_run"], "bars_per_cpu_s": asked.bars / each["cpu"]}
             for name, each in best.items()}
    return {"bars": asked.bars, "seed": asked.seed, "file_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "job": {"fast": JOB.fast, "slow": JOB.slow, "stop_atrs": JOB.stop, "target_atrs": JOB.target},
            "digest": answer["digest"], "refusals": {code: len(times) for code, times in ours.refused.items()},
            "accounts_agree": all(trips == mine for trips in listed.values()),
            "trades": {"first": first, "ours": len(mine)}, "seconds": best, "rates": rates, "runs": timings,
            "compared": compared, "out": str(asked.out)}


def _print(report: dict[str, Any]) -> None:
    print(f"EMA {JOB.fast}/{JOB.slow} cross, stop {JOB.stop:g} ATR, target {JOB.target:g} ATR, {report['bars']} one-minute bars; "
          f"digest {report['digest']}")
    print(f"{'engine':24}{'load+run s':>12}{'process s':>12}{'cpu s':>9}{'bars/s':>11}{'bars/cpu s':>12}{'ours / its':>12}")
    own = report["rates"]["Interlock"]["bars_per_cpu_s"]
    for name, seconds in report["seconds"].items():
        rate = report["rates"][name]
        print(f"{name:24}{seconds['load_and_run']:12.2f}{seconds['wall']:12.2f}{seconds['cpu']:9.2f}{rate['bars_per_s']:11,.0f}"
              f"{rate['bars_per_cpu_s']:12,.0f}{own / rate['bars_per_cpu_s']:12.2f}")
    print(f"refused by the gate, by bar: {report['refusals']}; both accounts made the same trades: {report['accounts_agree']}")
    for name, found in report["compared"].items():
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in found.items()))
    print(f"the trades are listed in {report['out']}/trades-*.csv")


if __name__ == "__main__":
    sys.exit(main())
