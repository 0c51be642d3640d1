"""The way out of the venue: events wait until the book has committed them, then leave, twice, late or never by plan."""

from collections.abc import Callable
from typing import Final

from interlock.brokers.paper import frames
from interlock.brokers.paper.frames import (
    AcceptedFrame,
    CancelledFrame,
    CancelRejectedFrame,
    EventFrame,
    ExpiredFrame,
    FillFrame,
    RejectedFrame,
    StatusFrame,
)
from interlock.brokers.paper.plan import Place, Plan, Verb, find
from interlock.brokers.paper.schedule import Schedule

_KINDS: Final[dict[type[EventFrame], str]] = {
    AcceptedFrame: "ack", FillFrame: "fill", CancelledFrame: "cancelled", RejectedFrame: "rejected",
    ExpiredFrame: "expired", CancelRejectedFrame: "cancel_rejected", StatusFrame: "status",
}


class Stream:
    """Events in the order in which they happened. An acknowledgement can be withheld until the first fill is out."""

    def __init__(self, schedule: Schedule, plan: Plan | None) -> None:
        self._schedule, self._plan = schedule, plan
        self._waiting: list[EventFrame] = []
        self._withheld: dict[tuple[str, str], list[EventFrame]] = {}
        self._push: Callable[[bytes], None] | None = None

    def listen(self, push: Callable[[bytes], None]) -> None:
        self._push = push

    def emit(self, event: EventFrame) -> None:
        self._waiting.append(event)

    def withhold(self, account: str, client_order_id: str) -> None:
        """Keep the acknowledgements of that order back until its first fill."""
        self._withheld[account, client_order_id] = []

    def flush(self) -> None:
        """Send all that happened. Called when the book has committed it."""
        if not self._waiting:
            return
        events, self._waiting = self._waiting, []
        for event in events:
            if self._withheld:
                held = self._withheld.get((event.account, event.id))
                if held is not None:
                    if isinstance(event, AcceptedFrame):
                        held.append(event)
                        continue
                    self._send(event)
                    for acknowledgement in self._withheld.pop((event.account, event.id)):
                        self._send(acknowledgement)
                    continue
            self._send(event)

    def _send(self, event: EventFrame) -> None:
        push = self._push
        if push is None:
            return                                 # nobody is connected: a read will show it
        body = frames.encode(event)
        faults = self._plan.due(Place.STREAM, _KINDS[type(event)]) if self._plan is not None else ()
        if not faults:
            push(body)
            return
        if find(faults, Verb.DROP_REPORT) is not None:
            return
        if (late := find(faults, Verb.LATE_REPORT)) is not None:
            self._schedule.at(self._schedule.now + late.delay, lambda: push(body))
        else:
            push(body)
        if (twice := find(faults, Verb.DUPLICATE_REPORT)) is not None:
            self._schedule.at(self._schedule.now + twice.delay, lambda: push(body))
