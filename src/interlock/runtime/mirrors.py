"""orders.jsonl and trades.jsonl, kept beside the journal for people and scripts. Behind is a nuisance, never a reason to stop."""

from pathlib import Path

from interlock.model.entry import Payload
from interlock.model.money import Nanos
from interlock.model.record import FallbackUsed
from interlock.storage.chain import Kept
from interlock.storage.mirror import Mirror


class Mirrors:
    """A watcher of the desk that writes once a second."""

    def __init__(self, directory: Path) -> None:
        self._mirror = Mirror(directory)
        self._waiting: list[tuple[int, Nanos, Payload]] = []
        self._said = ""

    def on_entry(self, seq: int, ts: Nanos, payload: Payload) -> None:
        self._waiting.append((seq, ts, payload))

    def on_market(self, message: object) -> None:
        """The market is no part of the mirrors."""

    def catch_up(self, store: Kept) -> list[FallbackUsed]:
        """Write what a crash left out."""
        return self._told(self._mirror.catch_up(store))

    def flush(self) -> list[FallbackUsed]:
        """Write what waits; returns what went wrong, once per kind."""
        waiting, self._waiting = self._waiting, []
        return self._told(self._mirror.add(waiting)) if waiting else []

    def _told(self, problem: FallbackUsed | None) -> list[FallbackUsed]:
        if problem is None or problem.why == self._said:
            return []
        self._said = problem.why
        return [problem]
