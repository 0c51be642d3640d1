"""What the journal costs: appending on the hot path, verifying a record, and opening one after a restart."""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from interlock.model.entry import Payload
from interlock.model.market import Bar, Provenance
from interlock.model.record import Tick
from interlock.storage.journal import Journal, open_journal, verify
from interlock.storage.memory import MemoryStore
from interlock.storage.sqlite.store import SqliteStore

START = 1_700_000_000_000_000_000
MINUTE = 60_000_000_000
BATCH = 1_000


def a_bar(number: int) -> Bar:
    ts = START + number * MINUTE
    return Bar("MNQ", MINUTE, 80_000, 80_012, 79_990, 80_005, 321, ts, ts + MINUTE, Provenance.PLAYBACK)


def _best(run: Callable[[], int], repeat: int = 5) -> float:
    """The shortest time per unit, in seconds."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        count = run()
        times.append((time.perf_counter() - start) / count)
    return min(times)


def append_rate(entries: int = 100_000) -> dict[str, float]:
    """Microseconds per append, encoding, hashing and chaining included, sealed every BATCH entries; no disk."""
    bars = [a_bar(number) for number in range(1_000)]

    def run(payloads: list[Payload], with_digest: bool) -> int:
        store = MemoryStore(keeps_records=False)
        journal = Journal(store, with_digest=with_digest)
        for _ in range(entries // len(payloads)):
            for payload in payloads:
                journal.append(START, payload)
            store.commit(journal.seal())
        return entries

    ticks: list[Payload] = [Tick()] * BATCH
    found = {"tick_us": _best(lambda: run(ticks, False)), "bar_us": _best(lambda: run([*bars], False)),
             "tick_with_digest_us": _best(lambda: run(ticks, True)),
             "bar_with_digest_us": _best(lambda: run([*bars], True))}
    return {"entries_per_s": round(1 / found["bar_us"]), **{name: round(cost * 1e6, 3) for name, cost in found.items()}}


def _a_record(path: Path, entries: int, snapshot_at: int = 0) -> None:
    store = SqliteStore(path, durability="none")
    journal = Journal(store)
    for number in range(1, entries + 1):
        journal.append(START + number, a_bar(number))
        if number % BATCH == 0:
            store.commit(journal.seal(bytes(100_000) if number == snapshot_at else None))
    store.commit(journal.seal())
    store.close()


def verify_rate(entries: int = 500_000) -> dict[str, float]:
    """Entries per second of `journal verify` over a file, digest included."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "journal.db"
        _a_record(path, entries)
        cost = _best(lambda: verify(path).entries, repeat=3)
    return {"entries": entries, "entries_per_s": round(1 / cost)}


def restart_verify(entries: int = 1_000_000, since: int = 100_000) -> dict[str, float]:
    """Seconds to open a record whose last snapshot stands `since` entries before its end."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "journal.db"
        _a_record(path, entries, snapshot_at=entries - since)
        start = time.perf_counter()
        store = SqliteStore(path)
        opened = open_journal(store)
        seconds = time.perf_counter() - start
        store.close()
    return {"entries": entries, "verified": opened.verified, "seconds": round(seconds, 3)}


if __name__ == "__main__":
    print(json.dumps({"append": append_rate(), "verify": verify_rate(), "restart": restart_verify()}, indent=2))
