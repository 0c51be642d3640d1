"""What an oracle is. Each judges one invariant from the history, and counts the event without which it would judge nothing.

An oracle names in `on` the kinds of event that it wants to hear, one method each. A method yields a sentence for every
violation that the event shows, and nothing otherwise. `at_quiet` is asked when nothing is in flight, every fault has healed
and people have answered. `facts` is what all oracles share: the venue's ledger added up anew, the journal's durable part,
the wire's messages read by a reader of its own. It hears each event before any oracle does.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeAlias

from interlock.simulation.history import Event, History, Nanos
from interlock.simulation.oracles.facts import Facts

Sentences: TypeAlias = Iterable[str]
Handler: TypeAlias = Callable[[Any], Sentences]

NOTHING: tuple[str, ...] = ()


class Oracle:
    """One invariant. Subclasses set `invariant`, `claim` and `witnessed`, and hear events."""

    invariant: ClassVar[str]           # "INV-01"
    claim: ClassVar[str]               # in one line
    witnessed: ClassVar[str]           # what its witness counts

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.terms = facts.terms
        self.witness = 0

    def on(self) -> dict[type[Event], Handler]:
        """The kinds of event that this oracle hears."""
        return {}

    def at_time(self, ts: Nanos) -> Sentences:  # noqa: ARG002
        """Deadlines: called as the world's time passes, at least once between two events of different times."""
        return NOTHING

    def at_quiet(self, ts: Nanos) -> Sentences:  # noqa: ARG002
        return NOTHING


class Court:
    """All oracles of one run, connected to its history."""

    def __init__(self, history: History, kinds: Iterable[type[Oracle]]) -> None:
        self.history = history
        self.facts = Facts(history.terms)
        self.oracles = tuple(kind(self.facts) for kind in kinds)
        for kind, hears in self.facts.on().items():
            history.listen(kind, hears)
        for oracle in self.oracles:
            for event, handler in oracle.on().items():
                history.listen(event, handler, oracle.invariant)
        self._timed = tuple(each for each in self.oracles if type(each).at_time is not Oracle.at_time)
        self._ts: Nanos = -1

    def at_time(self, ts: Nanos) -> None:
        """The world's time is `ts`; deadlines that have passed by then are judged."""
        if ts <= self._ts:
            return
        self._ts = ts
        for oracle in self._timed:
            for text in oracle.at_time(ts) or ():
                self.history.blame(oracle.invariant, ts, text)

    def at_quiet(self, ts: Nanos) -> None:
        self.at_time(ts)
        for oracle in self.oracles:
            for text in oracle.at_quiet(ts) or ():
                self.history.blame(oracle.invariant, ts, text)

    def witnesses(self) -> dict[str, int]:
        """By invariant: how often its witness occurred."""
        counts: dict[str, int] = {}
        for oracle in self.oracles:
            counts[oracle.invariant] = counts.get(oracle.invariant, 0) + oracle.witness
        return counts

