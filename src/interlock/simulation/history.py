"""What outside observers recorded of a run: bytes on the wire, the venue's own ledger, what the disk would keep, what people
did and saw, and what happened to the processes. Oracles judge by this and by nothing else; the platform writes none of it.

Every event carries `ts`, the world's own time (not the clock of any process). Whoever records calls `History.add`, which
hands the event to the listeners at once; the first violation that one of them reports stands in `violation`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, TypeVar

from msgspec import Struct

from interlock.model.entry import Payload
from interlock.model.market import Bar, MarketState, Quote, Trade

Nanos = int


# -- what the run is about

class Contract(Struct, frozen=True, kw_only=True):
    """An instrument by the exchange's own word, for oracles: numbers as exact fractions of text."""

    symbol: str
    tick: Fraction
    lot: Fraction
    multiplier: Fraction
    fee: Fraction                      # per side and lot
    parent: str
    group: str
    zone: str = "America/Chicago"
    increment: Fraction = Fraction(1)


class AccountTerms(Struct, frozen=True, kw_only=True):
    """What was agreed for one account."""

    account: str
    cash: Fraction
    has_native_brackets: bool = True
    pair_may_rest: bool = False
    position_max: Fraction = Fraction(20)          # lots per instrument
    notional_max: Fraction = Fraction(50_000)      # per order
    orders_per_minute: int = 60
    daily_loss: Fraction = Fraction(5_000)         # the venue-side hard limit
    symbols: tuple[str, ...] = ()
    number: str = ""                   # what the venue calls it, for those who confirm a live one


class Terms(Struct, frozen=True, kw_only=True):
    """The agreed numbers of a scene: bounds in nanoseconds, limits as configured. Oracles compare with these."""

    contracts: dict[str, Contract]
    accounts: dict[str, AccountTerms]
    lanes: dict[str, tuple[str, ...]]              # accounts by lane
    checks: dict[str, tuple[str, ...]] = {}        # "profile|source" -> names that a clearance must show, by the manual
    sessions: tuple[tuple[Nanos, Nanos, Nanos], ...] = ()   # open, close, entry cut-off, by the exchange's announcement
    hard_close: Nanos = 0                          # before the close: flat, or alarmed; 0: no hard close is promised
    is_live: bool = False
    kill: Nanos = 50_000_000                       # how long after a kill a message may still leave
    cancel: Nanos = 5_000_000_000                  # within which a kill's cancels have been requested
    protect: Nanos = 2_000_000_000
    orphan: Nanos = 5_000_000_000
    inflight: Nanos = 5_000_000_000
    drift: Nanos = 60_000_000_000
    flatten: Nanos = 1_000_000_000
    live: Nanos = 120_000_000_000
    visibility: Nanos = 1_500_000_000              # how long the venue's look-ups may miss an order, as documented
    ping: Nanos = 5_000_000_000                    # how old the last proof of the line may be for an entry
    heartbeat: Nanos = 10_000_000_000
    quote_age: Nanos = 2_000_000_000
    spread_ticks: int = 2
    collar: Fraction = Fraction(1, 100)
    wide_collar: Fraction = Fraction(1, 4)
    cooldown: Nanos = 900_000_000_000
    opposite_wait: Nanos = 60_000_000_000
    entries_per_day: int = 20
    losses_in_a_row: int = 6
    daily_loss_share: Fraction = Fraction(2, 100)
    risk_share: Fraction = Fraction(2, 100)
    positions: int = 4
    all_orders_per_minute: int = 600
    numbers: dict[str, int] = {}                   # further numbers of one scene


# -- what happened

class Event(Struct, frozen=True, kw_only=True):
    """One thing that an observer saw."""

    ts: Nanos


class Wire(Event, frozen=True, kw_only=True, tag="wire"):
    """Bytes of one message between a process and a venue.

    `direction` is "out" (to the venue) or "in". `kind` is place, modify, cancel, lookup, read or ping for requests, the same
    with `is_answer` for their answers, and "report" for the venue's own stream. `arrived` tells whether the far end got it;
    an "out" message counts as written even where it did not arrive. `node` is the process that wrote or heard it.
    """

    node: str
    direction: str
    kind: str
    account: str
    body: bytes
    connection: int = 1
    is_answer: bool = False
    arrived: bool = True
    epoch: int = 0                     # of the process: how often the node has been started
    venue: str = "paper"
    clock: Nanos = 0                   # of the process that wrote, by its own engine clock; 0: the world's time


class VenueOrder(Event, frozen=True, kw_only=True, tag="venue_order"):
    """The venue's ledger: an order changed. `what` is accepted, live, resized, cancelled, rejected, expired, filled or
    replaced; `role` the purpose that its message named; `by` the platform, a person at the venue, or the venue."""

    account: str
    id: str
    symbol: str
    what: str
    side: int                          # 1 buys, -1 sells
    quantity: Fraction
    filled: Fraction
    kind: str                          # market, limit, stop
    price: Fraction | None
    role: str
    group: str                         # orders of one group: the venue lets only one of them fill (OCO)
    parent: str = ""                   # the id of the order whose fill makes this one live; "" for none
    is_reduce_only: bool = False
    by: str = "platform"
    reason: str = ""


class VenueFill(Event, frozen=True, kw_only=True, tag="venue_fill"):
    """The venue's ledger: one execution, whoever has ordered it."""

    account: str
    id: str
    execution: str
    symbol: str
    side: int
    quantity: Fraction
    price: Fraction
    fee: Fraction
    by: str = "platform"               # platform, person, venue


class VenueLine(Event, frozen=True, kw_only=True, tag="venue_line"):
    """The line between a process and a venue came up or broke."""

    node: str
    accounts: tuple[str, ...]
    connection: int
    is_up: bool
    venue: str = "paper"
    is_live: bool = False              # whether the venue calls itself live


class Kept(Struct, frozen=True):
    """One journal entry that would survive a power cut."""

    seq: int
    ts: Nanos                          # engine time of the entry
    cause: int
    payload: Payload


class Durable(Event, frozen=True, kw_only=True, tag="durable"):
    """These entries are on the disk from now on. `node` is the process whose journal it is ("engine", "kill")."""

    node: str
    entries: tuple[Kept, ...]


class Lost(Event, frozen=True, kw_only=True, tag="lost"):
    """A crash or a failed commit: entries that had been made and will never be durable. `payloads` are they, for witnesses."""

    node: str
    payloads: tuple[Payload, ...]
    why: str = "crash"


class Recovered(Event, frozen=True, kw_only=True, tag="recovered"):
    """A process read its journal after a start: up to which entry, and whether it agreed to trade on it.

    `last_seq` is the last entry that it found; `state` and `replayed` are digests of the live state before the crash at
    that entry and of the folded one ("" where there is nothing to compare); `refused` says why it would not start.
    """

    node: str
    last_seq: int
    state: str = ""
    replayed: str = ""
    refused: str = ""


class Disk(Event, frozen=True, kw_only=True, tag="disk"):
    """An operation on a simulated disk, or a fault of it: write, sync, rename, flip, enospc, eio ..."""

    node: str
    what: str
    path: str = ""
    ok: bool = True
    detail: str = ""


class Node(Event, frozen=True, kw_only=True, tag="node"):
    """A process: `what` is start, ready, crash, exit, pause, resume, stop (asked to), halted, hang, block, slow."""

    node: str
    what: str
    epoch: int = 0
    build: str = ""
    config: str = ""
    detail: str = ""


class Opened(Event, frozen=True, kw_only=True, tag="opened"):
    """How somebody started a process: the mode of its configuration, the phrase that was given, the terminal that they sit at
    ("": nobody does), whether they only want to look on, and the configuration that they approved."""

    node: str
    epoch: int
    mode: str
    who: str = ""
    where: str = ""
    phrase: str = ""
    wants_watch: bool = False
    approved: str = ""


class Lease(Event, frozen=True, kw_only=True, tag="lease"):
    """The lease of a state directory, as the file says: who holds which epoch from now on."""

    node: str
    epoch: int
    what: str = "taken"                # taken, lost, expired, released


class Beat(Event, frozen=True, kw_only=True, tag="beat"):
    """A heartbeat that a watcher outside the process received."""

    node: str
    epoch: int
    number: int                        # of the pass of the decision loop that it names


class Seen(Event, frozen=True, kw_only=True, tag="seen"):
    """A market message as it was delivered to a process. `is_taken`: to its decision loop, not to its last room alone."""

    node: str
    message: Quote | Trade | MarketState | Bar
    is_taken: bool = True


class Act(Event, frozen=True, kw_only=True, tag="act"):
    """A person did something: `command` as it was given, `seen` the digest on their screen, `shown` when that screen was
    made, `answer` what they were told ("" while it is not known), `ok` False for a refusal."""

    who: str
    command: Any
    seen: str = ""
    shown: Nanos = 0
    answer: str = ""
    ok: bool | None = None
    node: str = "engine"


class Shown(Event, frozen=True, kw_only=True, tag="shown"):
    """What people could see from now on. `what` is "question", "alarm", "label", "clean", "flatten", "drill" ..., `key` names
    the thing, `text` what it said; "" means that it is gone."""

    what: str
    key: str
    text: str
    node: str = "engine"


class Notified(Event, frozen=True, kw_only=True, tag="notified"):
    """An alert was delivered to a person through a channel of its own."""

    key: str
    severity: str
    text: str
    by: str = "engine"


class Signal(Event, frozen=True, kw_only=True, tag="signal"):
    """An alert arrived at the hook. `code` is what its sender was answered."""

    lane: str
    body: dict[str, Any]
    code: str = ""


class Task(Event, frozen=True, kw_only=True, tag="task"):
    """A task of a process: `what` is died (unobserved), leaked, waits (longer than its bound), or a queue that is "full"."""

    node: str
    name: str
    what: str
    detail: str = ""


class FaultDone(Event, frozen=True, kw_only=True, tag="fault"):
    """A fault of the plan struck, in which state (for the matrix), and what it hit."""

    verb: str
    state: str = ""
    what: str = ""


class Phase(Event, frozen=True, kw_only=True, tag="phase"):
    """The run itself: begun, healed (from now on nothing breaks and people answer), quiet (nothing is in flight), ended."""

    what: str


class Violation(Struct, frozen=True):
    """What was not true: which invariant, when, and the story in a sentence."""

    invariant: str
    ts: Nanos
    text: str


E = TypeVar("E", bound=Event)


class History:
    """The events of one run, in order, and whoever listens to them."""

    def __init__(self, terms: Terms, *, begins: Nanos = 0, keeps: bool = True) -> None:
        self.terms = terms
        self.begins = begins
        self.events: list[Event] = []
        self.violation: Violation | None = None
        self._keeps = keeps
        self._listeners: dict[type, list[tuple[str, Callable[[Any], Iterable[str] | None]]]] = {}

    def listen(self, kind: type[E], listener: Callable[[E], Iterable[str] | None], invariant: str = "") -> None:
        """Call `listener` with every event of a kind; each sentence that it gives back is a violation of `invariant`."""
        self._listeners.setdefault(kind, []).append((invariant, listener))

    def add(self, event: Event) -> None:
        """Record an event. What comes after the first violation is recorded and not judged."""
        if self._keeps:
            self.events.append(event)
        for invariant, listener in self._listeners.get(type(event), ()):
            found = listener(event)
            if found:
                for text in found:
                    if self.violation is None:
                        self.violation = Violation(invariant, event.ts, text)

    def blame(self, invariant: str, ts: Nanos, text: str) -> None:
        """Report a violation that no single event shows."""
        if self.violation is None:
            self.violation = Violation(invariant, ts, text)

    def of(self, kind: type[E]) -> Iterator[E]:
        """The recorded events of a kind."""
        return (event for event in self.events if type(event) is kind)


Witnesses = Mapping[str, int]
