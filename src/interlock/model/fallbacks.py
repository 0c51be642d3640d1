"""Every second-best way that the product may take, by name. There is no other: `fallback` is the only way to degrade.

It makes the record of one use, and whoever takes the second-best way hands that up: nothing is degraded in silence. The
runtime counts and journals it, and from a warning on an alarm tells a person.
"""

from typing import Final

from msgspec import Struct

from interlock.errors import InvariantBroken
from interlock.model.record import FallbackUsed

INFO: Final = "info"
WARNING: Final = "warning"
CRITICAL: Final = "critical"


class Fallback(Struct, frozen=True):
    """One second-best way, and what is worse about it."""

    name: str
    severity: str
    degrades: str


FALLBACKS: Final = {each.name: each for each in (
    Fallback("features.cold", WARNING, "features start cold: their strategies hold until they are warm again"),
    Fallback("kernels.uncached", INFO, "compiled kernels are not kept: each start compiles them anew"),
    Fallback("mirror.behind", WARNING, "orders.jsonl and trades.jsonl are behind the journal"),
    Fallback("mirror.unreadable", WARNING, "orders.jsonl or trades.jsonl hold foreign lines and are not continued"),
    Fallback("rescue.without_journal", CRITICAL, "the rescue cannot write its own record: it cancels, and closes nothing"),
    Fallback("rescue.without_fence", CRITICAL, "the rescue could not take the lease: it cancels, and closes nothing"),
    Fallback("rescue.without_note", CRITICAL, "the next start will not know of a kill by the rescue"),
    Fallback("reserve.spent", CRITICAL, "the emergency reserve of the disk is spent: the next full disk stops everything"),
    Fallback("snapshot.unreadable", INFO, "the last snapshot is of another build: the start folds the whole record"),
)}


EARLY: Final[list[FallbackUsed]] = []
"""What was taken while modules were loaded, before there was anybody to tell: the start tells it."""


def fallback(name: str, severity: str, why: str = "") -> FallbackUsed:
    """The record of one use. Raises InvariantBroken for a way that is not registered with this severity.

    >>> fallback("mirror.behind", WARNING, "disk full").name
    'mirror.behind'
    """
    found = FALLBACKS.get(name)
    if found is None or found.severity != severity:
        raise InvariantBroken(f"no fallback is registered as {name!r} with severity {severity!r}")
    return FallbackUsed(name, severity, why or found.degrades, 1)
