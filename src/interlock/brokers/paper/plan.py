"""What goes wrong, and when: a list of (trigger, verb, arguments), deterministic under its seed.

A trigger is the n-th operation of a kind, or a chance drawn for each operation of it. Each verb acts in one place (the
wire, the venue's desk, the matching, the stream of reports), and each place counts for itself.
"""

import random
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum
from typing import Final

from msgspec import Struct

from interlock.errors import ConfigError
from interlock.model.money import Nanos


class Verb(Enum):
    LATENCY = "latency"                            # the request takes `delay` to arrive
    DROP_REQUEST = "drop_request"                  # it never arrives; no answer
    DROP_RESPONSE = "drop_response"                # it is carried out; no answer
    SILENCE = "silence"                            # no answer, no proof, no report for `delay` (0: until healed)
    DISCONNECT = "disconnect"                      # the line breaks for at least `delay`; reports meanwhile are lost
    REJECT = "reject"                              # the venue refuses the order with `reason`
    ACK_THEN_REJECT = "ack_then_reject"            # it accepts, and refuses after `delay`
    ACCEPT_THEN_ERROR = "accept_then_error"        # it carries the request out and answers with an error
    FILL_BEFORE_ACK = "fill_before_ack"            # the acknowledgement follows the first fill
    VISIBILITY_DELAY = "visibility_delay"          # a look-up and a read miss the order for `delay`
    REJECT_CANCEL = "reject_cancel"                # the cancel is refused with `reason`
    FILL_ON_CANCEL = "fill_on_cancel"              # the order fills instead of being cancelled
    FILL_AFTER_CANCEL_ACK = "fill_after_cancel_ack"    # it is cancelled, and a fill of the rest comes after `delay`
    PARTIAL = "partial"                            # only `fraction` of what would fill does
    OVERFILL = "overfill"                          # `fraction` of the order fills on top of what would (at least a lot)
    DUPLICATE_REPORT = "duplicate_report"          # the report comes twice, the second one after `delay`
    LATE_REPORT = "late_report"                    # the report comes after `delay`
    DROP_REPORT = "drop_report"                    # the report never comes


class Place(Enum):
    WIRE = "wire"
    DESK = "desk"
    MATCHING = "matching"
    STREAM = "stream"


REQUESTS: Final = ("place", "modify", "cancel", "lookup", "read", "ping")
REPORTS: Final = ("ack", "fill", "cancelled", "rejected", "expired", "cancel_rejected", "status")
_WRITES: Final = ("place", "modify")

_VERBS: Final[dict[Verb, tuple[Place, tuple[str, ...]]]] = {
    **dict.fromkeys((Verb.LATENCY, Verb.DROP_REQUEST, Verb.DROP_RESPONSE, Verb.SILENCE, Verb.DISCONNECT),
                    (Place.WIRE, REQUESTS)),
    **dict.fromkeys((Verb.REJECT, Verb.ACK_THEN_REJECT, Verb.FILL_BEFORE_ACK, Verb.VISIBILITY_DELAY),
                    (Place.DESK, _WRITES)),
    Verb.ACCEPT_THEN_ERROR: (Place.DESK, ("place", "modify", "cancel")),
    **dict.fromkeys((Verb.REJECT_CANCEL, Verb.FILL_ON_CANCEL, Verb.FILL_AFTER_CANCEL_ACK), (Place.DESK, ("cancel",))),
    **dict.fromkeys((Verb.PARTIAL, Verb.OVERFILL), (Place.MATCHING, ("fill",))),
    **dict.fromkeys((Verb.DUPLICATE_REPORT, Verb.LATE_REPORT, Verb.DROP_REPORT), (Place.STREAM, REPORTS)),
}


class Fault(Struct, frozen=True, kw_only=True):
    """One line of a plan. `nth` counts from 1; 0 is each one; with a `chance` it is drawn for each one instead."""

    on: str
    verb: Verb
    nth: int = 1
    chance: float | None = None
    delay: Nanos = 0
    fraction: Decimal = Decimal("0.5")
    reason: str = "by plan"

    def __post_init__(self) -> None:
        _, kinds = _VERBS[self.verb]
        if self.on not in kinds:
            raise ConfigError(f"fault plan: {self.verb.value} acts on {', '.join(kinds)}; found {self.on!r}")
        if self.nth < 0 or self.delay < 0 or not (self.fraction.is_finite() and self.fraction > 0):
            raise ConfigError(f"fault plan: {self.verb.value} needs nth and delay >= 0 and a fraction > 0")

    @property
    def place(self) -> Place:
        return _VERBS[self.verb][0]


class Plan:
    """The faults of one run. Each fault draws from a stream of its own, so leaving one out moves no other."""

    def __init__(self, faults: Iterable[Fault] = (), seed: int = 0) -> None:
        self._faults: dict[tuple[Place, str], list[tuple[Fault, random.Random]]] = {}
        for number, fault in enumerate(faults):
            stream = random.Random(f"{seed}:{number}:{fault.verb.value}:{fault.on}")
            self._faults.setdefault((fault.place, fault.on), []).append((fault, stream))
        self._counts: Counter[tuple[Place, str]] = Counter()
        self.fired: Counter[Verb] = Counter()

    def due(self, place: Place, kind: str) -> tuple[Fault, ...]:
        """Count one operation; the faults that strike it."""
        faults = self._faults.get((place, kind))
        if faults is None:
            return ()
        self._counts[place, kind] += 1
        count = self._counts[place, kind]
        struck = tuple(fault for fault, stream in faults
                       if (stream.random() < fault.chance if fault.chance is not None else fault.nth in (0, count)))
        self.fired.update(fault.verb for fault in struck)
        return struck


def find(faults: tuple[Fault, ...], verb: Verb) -> Fault | None:
    """The first fault of that verb."""
    for fault in faults:
        if fault.verb is verb:
            return fault
    return None
