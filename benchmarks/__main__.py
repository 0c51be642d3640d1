"""`make bench`: what the desk costs, against its budgets, measured on this machine in this run.

Each row calls what a user calls (a command, the hook over HTTP, the control socket) unless its last column says otherwise.
The disk and the primitives are measured in the same run, because several budgets are given in them. On a busy machine the
figures are those of a busy machine: the load stands above the table, and processor seconds beside wall seconds.
"""

import argparse
import hashlib
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks import bench_live
from benchmarks.job import Params, plain, replay
from benchmarks.rig import fdatasync_us
from benchmarks.walk import write_walk
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct, to_builtins

from interlock.records import JOURNAL
from interlock.storage.sqlite.store import SqliteStore

QUIET: Final = Params(fast=400, slow=1000)
"""A job that hardly trades: for a long journal."""


class Row(Struct, frozen=True):
    """One figure. `met` None: there is no budget for it, or it could not be measured."""

    what: str
    measured: float | None
    unit: str
    budget: str
    met: bool | None
    how: str


def at_most(what: str, measured: float, unit: str, limit: float, how: str, budget: str = "") -> Row:
    return Row(what, measured, unit, budget or f"<= {limit:,.6g}", measured <= limit, how)


def at_least(what: str, measured: float, unit: str, limit: float, how: str) -> Row:
    return Row(what, measured, unit, f">= {limit:,.6g}", measured >= limit, how)


def fact(what: str, measured: float | None, unit: str, how: str) -> Row:
    return Row(what, measured, unit, "", None, how)


def median_of(repeats: int, measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(repeats))


def seconds_of(command: list[str]) -> float:
    """Wall seconds of one process. Raises RuntimeError when it fails."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    spent = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return spent


INTERLOCK: Final = [sys.executable, "-m", "interlock.cli.main"]


def physics(folder: Path, repeats: int) -> list[Row]:
    """What nothing on this machine can undercut."""
    syncs = fdatasync_us(folder, 200 * repeats)
    block, key = os.urandom(1024), Ed25519PrivateKey.generate()
    public, signature = key.public_key(), key.sign(block)

    def each(act: Callable[[], object], count: int = 2_000) -> float:
        began = time.perf_counter()
        for _ in range(count):
            act()
        return (time.perf_counter() - began) / count * 1e6

    return [fact("fdatasync of 4 kB, p50", statistics.median(syncs), "us", f"{len(syncs)} appends on {folder.parent}"),
            fact("fdatasync of 4 kB, p99", bench_live.quantile(syncs, 0.99), "us", "the same"),
            fact("sha256 of 1 kB", median_of(repeats, lambda: each(lambda: hashlib.sha256(block).digest())), "us", "hashlib"),
            fact("Ed25519 sign", median_of(repeats, lambda: each(lambda: key.sign(block))), "us", "cryptography"),
            fact("Ed25519 verify", median_of(repeats, lambda: each(lambda: public.verify(signature, block))), "us",
                 "cryptography")]


def gate(repeats: int) -> list[Row]:
    """Judge, sign and SafeBroker, from bench_gate in processes of its own."""
    found: dict[str, list[float]] = {}
    for _ in range(repeats):
        done = subprocess.run([sys.executable, "-m", "benchmarks.bench_gate"], capture_output=True, text=True, check=True)
        for name, value in json.loads(done.stdout).items():
            found.setdefault(name, []).append(value)
    middle = {name: statistics.median(values) for name, values in found.items()}
    rounds = f"{middle['rounds']:,.0f} cleared entries on MNQ in one process, {repeats} times"
    return [at_most("judge + sign, p50", middle["judge_and_sign_p50_us"], "us", 100, rounds),
            fact("judge alone, p50", middle["judge_p50_us"], "us", rounds),
            fact("SafeBroker place up to the write, p50", middle["safe_place_p50_us"], "us", rounds)]


def engine(folder: Path, repeats: int, bars: int) -> list[Row]:
    """Bars per second of `interlock replay`, whole processes with start and file included."""
    file = write_walk(folder / "mnq.parquet", bars=bars, seed=1)
    config = folder / "ema.toml"
    config.write_text(plain())
    rows = []
    for name, path, budget in (("replay, EMA cross with bracket, 2 accounts", config, 100_000.0),
                               ("replay, the shipped default", None, 0.0)):
        runs = [replay(f"MNQ={file}", path) for _ in range(repeats)]
        digests = {run.answer["digest"] for run in runs}
        if len(digests) != 1:
            raise RuntimeError(f"{name}: {len(digests)} digests of one recording")
        answer = runs[0].answer
        how = (f"`interlock replay`, {bars:,} bars, {answer['signals']:,} signals, {answer['orders']:,} orders; "
               f"digest {answer['digest'][:16]}, the same {repeats} times")
        cpu = statistics.median(bars / run.cpu for run in runs)
        rows.append(at_least(name, cpu, "bars/s/core", budget, f"{how}; per processor second of the whole process")
                    if budget else fact(name, cpu, "bars/s/core", how))
        rows.append(fact("  by the wall clock", statistics.median(bars / run.answer["seconds"] for run in runs), "bars/s",
                         "the command's own `seconds`: opening the file included, starting Python not"))
    return rows


def live(folder: Path, alerts: int) -> list[Row]:
    """The running service."""
    rows = []
    one = bench_live.alert_to_wire(folder, accounts=2, count=alerts, pause=0.05)
    sync, left_out = one["fdatasync_p50_us"], _left_out(one)
    how = (f"POST on loopback to the bytes at the paper wire of the first of 2 accounts; {one['measured']} of {alerts} alerts, "
           f"{one['not_accepted']} not accepted{left_out}; fdatasync between them {sync:.0f} us")
    rows += [at_most("alert to wire, p50", one["first_p50_us"], "us", sync + 1_500, how,
                     f"<= fdatasync + 1.5 ms = {sync + 1_500:,.0f}"),
             at_most("alert to wire, p99", one["first_p99_us"], "us", 3 * (sync + 1_500), how,
                     f"<= three times that = {3 * (sync + 1_500):,.0f}"),
             fact("alert to answer, p50", one["answer_p50_us"], "us", "the same alerts; the answer waits for the durable entry")]
    many = bench_live.alert_to_wire(folder, accounts=50, count=max(10, alerts // 5), pause=0.5)
    sync = many["fdatasync_p50_us"]
    rows.append(at_most("fan-out to 50 accounts, last one's bytes, p50", many["last_p50_us"], "us", sync + 15_000,
                        f"POST until the 50th order is handed to the paper wire, {many['measured']} of "
                        f"{many['alerts']} alerts{_left_out(many)}",
                        f"<= fdatasync + 15 ms = {sync + 15_000:,.0f}"))
    found = bench_live.intake(folder)
    rows.append(at_least("intake, sustained", found["alerts_per_s"], "alerts/s", 2_000,
                         f"{found['answered']:,} distinct bodies of 400 B in {found['seconds']} s over 32 kept-alive "
                         f"connections, engine running; {found['accepted']:,} accepted and each judged twice, "
                         f"{found['lost']} lost"))
    stop = bench_live.kill(folder)
    if stop["last_ms"] is not None and stop["working"] >= 200:
        rows.append(at_most(f"kill, cancels of {stop['working']} working orders on the wire", stop["last_ms"], "ms", 250,
                            f"command over the control socket to the last of {stop['cancels']} cancels; working are the "
                            "stops and targets of 50 accounts"))
    else:
        rows.append(Row("kill, cancels on the wire", None, "ms", "<= 250", None,
                        f"left out: {stop['working']} of 200 orders were working"))
    kept = bench_live.memory(folder)
    rows.append(at_most("resident memory, `interlock run`, 13 instruments", kept["later_mb"], "MB", 350,
                        f"{kept['after_s']:g} s after it was ready; {kept['ready_mb']} MB when it was"
                        + (f"; it ended: {kept['ended']}" if kept["ended"] else "")))
    return rows


def _left_out(found: dict[str, Any]) -> str:
    """Why some alerts brought less than an order for each account."""
    if not found["without_every_order"]:
        return ""
    codes = ", ".join(f"{count} {code}" for code, count in found["why_not"].items())
    return f", {found['without_every_order']} without an order for every account before the next ({codes or 'none was refused'})"


def reconcile(repeats: int) -> list[Row]:
    """A broker's whole answer against an account that holds much."""
    found: dict[str, list[float]] = {}
    for _ in range(repeats):
        done = subprocess.run([sys.executable, "-m", "benchmarks.bench_reconcile"], capture_output=True, text=True, check=True)
        for name, value in json.loads(done.stdout).items():
            found.setdefault(name, []).append(value)
    how = "one account, each position with a working order, in one process; processor time"
    return [at_most("reconcile of 1,000 positions, all agree", statistics.median(found["agreed_ms"]), "ms", 20, how),
            at_most("  100 of them differ", statistics.median(found["differed_ms"]), "ms", 20, how)]


def restart(folder: Path, repeats: int, entries: int) -> list[Row]:
    """A journal of so many entries, left by a replay that was killed, opened again."""
    bars = entries * 52 // 100
    file = write_walk(folder / "long.parquet", bars=bars, seed=2)
    config, state = folder / "quiet.toml", folder / "long"
    config.write_text(plain(QUIET))
    process = subprocess.Popen([*INTERLOCK, "replay", "--data", f"MNQ={file}", "--config", str(config), "--journal", str(state),
                                "--json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    head = 0
    while process.poll() is None and head < entries:
        time.sleep(0.2)
        if (state / JOURNAL).exists():
            head = _head(state)
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()
    head = _head(state)
    script = ("import sys,time\nbegan=time.perf_counter()\nfrom pathlib import Path\nfrom interlock.config.load import load\n"
              "from interlock.runtime.clock import PlaybackClock\nfrom interlock.runtime.replay import open_recordings\n"
              "from interlock.runtime.wiring import build_desk,state_place\nloaded=load(Path(sys.argv[1]))\n"
              "market=open_recordings([sys.argv[2]],loaded.config,is_bad_allowed=False)\nready=time.perf_counter()\n"
              "with state_place(Path(sys.argv[1]),'benchmark') as place:\n"
              " built=build_desk(loaded,place,PlaybackClock(None),market,ends_with_market=True)\n"
              " ended=time.perf_counter()\n print(ended-ready, built.opened.verified)\n built.committer.close()\n")
    times, verified = [], 0
    for _ in range(repeats):
        done = subprocess.run([sys.executable, "-c", script, str(state), f"MNQ={file}"], capture_output=True, text=True,
                              check=True)
        spent, verified = float(done.stdout.split()[0]), int(done.stdout.split()[1])
        times.append(spent)
    rate = median_of(repeats, lambda: head / seconds_of([*INTERLOCK, "journal", "verify", "--state", str(state), "--json"]))
    return [at_most("restart", statistics.median(times), "s", 2.0,
                    f"{head:,} entries, left by SIGKILL: wiring from lease to a built desk, {verified:,} entries since the last "
                    "snapshot checked and folded, the source moved to its row; without starting Python and judging the file"),
            at_least("verification of the older part", rate, "entries/s", 400_000,
                     f"`interlock journal verify` on those {head:,}, the whole process")]


def _head(state: Path) -> int:
    store = SqliteStore(state / JOURNAL, read_only=True)
    try:
        return store.head()[0]
    finally:
        store.close()


def help_time(repeats: int) -> list[Row]:
    """Starting the command and saying what there is."""
    script = Path(sys.executable).with_name("interlock")
    command = [str(script)] if script.exists() else INTERLOCK
    spent = median_of(max(5, repeats), lambda: seconds_of([*command, "--help"])) * 1e3
    return [at_most("`interlock --help`", spent, "ms", 300, "median of whole processes")]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--bars", type=int, default=200_000)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--alerts", type=int, default=200)
    parser.add_argument("--only", default="", help="some of physics,gate,reconcile,engine,live,restart,help")
    parser.add_argument("--directory", type=Path, help="the file system to measure on; the temporary one by default")
    asked = parser.parse_args()
    only = set(filter(None, asked.only.split(",")))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=asked.directory) as name:
        folder = Path(name)
        parts: dict[str, Callable[[], list[Row]]] = {
            "physics": lambda: physics(folder, asked.repeats), "gate": lambda: gate(asked.repeats),
            "reconcile": lambda: reconcile(asked.repeats),
            "engine": lambda: engine(folder, asked.repeats, asked.bars), "live": lambda: live(folder, asked.alerts),
            "restart": lambda: restart(folder, asked.repeats, asked.entries), "help": lambda: help_time(asked.repeats)}
        begun = os.getloadavg()
        print(f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}; "
              f"load when it began {begun[0]:.1f}", flush=True)
        print(f"{'what':58}{'measured':>14} {'unit':12}{'budget':34}met", flush=True)
        for part, measure in parts.items():
            if only and part not in only:
                continue
            found = measure()
            rows += found
            for row in found:
                _print(row)
    load = os.getloadavg()
    print(f"load when it ended {load[0]:.1f}")
    for row in rows:
        print(f"- {row.what.strip()}: {row.how}")
    if asked.json:
        asked.json.write_text(json.dumps({"machine": platform.machine(), "processors": os.cpu_count(),
                                          "python": platform.python_version(), "load": [begun[0], load[0]],
                                          "rows": to_builtins(rows)}, indent=2) + "\n")
    return 0


def _print(row: Row) -> None:
    measured = "" if row.measured is None else f"{row.measured:,.1f}"
    met = "" if row.met is None else "yes" if row.met else "NO"
    print(f"{row.what:58}{measured:>14} {row.unit:12}{row.budget:34}{met}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
