"""What the venue still has to do, and when. Time is handed in; at equal times, in the order it was asked for."""

import heapq
from collections.abc import Callable

from interlock.model.money import Nanos


class Schedule:
    """A queue of acts by engine time."""

    def __init__(self, now: Nanos = 0) -> None:
        self.now = now
        self.heap: list[tuple[Nanos, int, Callable[[], None]]] = []
        self._count = 0

    @property
    def next_due(self) -> Nanos | None:
        return self.heap[0][0] if self.heap else None

    def at(self, ts: Nanos, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self.heap, (ts, self._count, act))

    def run(self, ts: Nanos, settle: Callable[[], None]) -> None:
        """Do all that is due up to `ts`, each at its own time with `settle` after it, and let the time be `ts`.

        Time never goes backwards.
        """
        heap = self.heap
        while heap and heap[0][0] <= ts:
            due, _, act = heapq.heappop(heap)
            if due > self.now:
                self.now = due
            act()
            settle()
        if ts > self.now:
            self.now = ts
