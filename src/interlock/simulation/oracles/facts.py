"""What follows from the history by plain addition: the venue's book, what was told over the wire, what the disk holds.

All arithmetic is in exact fractions and written for the oracles alone. Three views are kept apart:

* `truth`: the venue's ledger, which no process can see at once;
* `told`: what has been delivered to the engine in messages that it could read, so what it may be expected to know;
* `record`: the entries that would survive a power cut.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

from interlock.model.clearance import Clearance
from interlock.model.command import (
    CommandGiven,
    Decided,
    Enabled,
    FlattenBegun,
    Killed,
    KillProved,
    PositionAdopted,
    QuestionOpened,
    Released,
)
from interlock.model.market import Bar, MarketState, Quote
from interlock.model.record import (
    AccountFrozen,
    AccountThawed,
    Alarm,
    AlarmCleared,
    Attempt,
    CancelRequested,
    ConfigRead,
    ExitBegun,
    ReadRequested,
    Started,
    TierChanged,
)
from interlock.model.report import AccountRead, LineChanged, OrderAccepted, OrderFilled
from interlock.model.signal import AlertAccepted, Intent
from interlock.model.verdict import Verdict
from interlock.simulation.history import (
    Durable,
    Event,
    FaultDone,
    Kept,
    Lost,
    Nanos,
    Node,
    Phase,
    Seen,
    Shown,
    Terms,
    VenueFill,
    VenueLine,
    VenueOrder,
    Wire,
)
from interlock.simulation.oracles import frames
from interlock.simulation.oracles.frames import OrderMessage, Unreadable

ZERO = Fraction(0)
Key = tuple[str, str]
"""An account and an instrument, or an account and an order's id."""

ENDED = frozenset(("cancelled", "rejected", "expired", "filled", "replaced"))


class Resting:
    """An order in the venue's own book."""

    __slots__ = ("account", "by", "filled", "group", "id", "is_live", "is_open", "is_reduce_only", "kind", "parent", "price",
                 "quantity", "role", "side", "symbol", "ts", "ts_closed", "why")

    def __init__(self, event: VenueOrder) -> None:
        self.account, self.id, self.symbol, self.side = event.account, event.id, event.symbol, event.side
        self.role, self.kind, self.group, self.parent, self.by = event.role, event.kind, event.group, event.parent, event.by
        self.is_reduce_only = event.is_reduce_only
        self.ts = event.ts
        self.ts_closed: Nanos = 0
        self.is_open, self.is_live, self.why = True, not event.parent, ""
        self.change(event)

    def change(self, event: VenueOrder) -> None:
        self.quantity, self.filled, self.price = event.quantity, event.filled, event.price
        if event.what in ENDED:
            self.is_open, self.is_live, self.ts_closed, self.why = False, False, event.ts, event.what
        elif event.what in ("live", "resized"):
            self.is_live = self.is_open = True

    @property
    def remaining(self) -> Fraction:
        return self.quantity - self.filled

    @property
    def is_stop(self) -> bool:
        return self.kind == "stop" and self.role != "enter"


class Told:
    """One leg that was written, and what the engine has been told of it since."""

    __slots__ = ("account", "filled", "group", "id", "is_acknowledged", "is_reduce_only", "leg", "message", "outcome", "parent",
                 "quantity", "recorded", "replaces", "symbol", "ts", "ts_answered", "ts_ended", "wire")

    def __init__(self, message: OrderMessage, index: int, ts: Nanos, wire: Wire, *, is_native: bool) -> None:
        leg = message.legs[index]
        self.message, self.leg, self.wire, self.ts = message, leg, wire, ts
        self.account, self.symbol, self.id = message.account, message.symbol, leg.id
        self.parent = message.id if index else ""
        self.group = message.id if is_native and index else leg.id     # the venue lets one exit of a bracket fill
        self.quantity, self.filled = leg.quantity, ZERO
        self.recorded = leg.quantity       # as the record has it: what outlives the process that was told another
        self.is_reduce_only = leg.is_reduce_only
        self.replaces = message.replaces
        self.is_acknowledged = False
        self.outcome = ""                  # as told: "" while it may still fill
        self.ts_answered: Nanos = 0
        self.ts_ended: Nanos = 0

    @property
    def remaining(self) -> Fraction:
        return max(self.quantity - self.filled, ZERO)


class Killing:
    """A kill in force, or one that was."""

    __slots__ = ("account", "epoch", "lane", "scope", "ts", "ts_released")

    def __init__(self, killed: Killed, ts: Nanos) -> None:
        self.lane, self.account, self.scope, self.epoch, self.ts = killed.lane, killed.account, killed.scope, killed.epoch, ts
        self.ts_released: Nanos = 0


class Facts:
    """Kept up to date event by event; oracles read it."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        # the venue's own book
        self.positions: dict[Key, Fraction] = {}
        self.book: dict[Key, Resting] = {}
        self.executions: dict[tuple[str, str], VenueFill] = {}
        self.filled: dict[Key, Fraction] = {}              # by order, all distinct executions
        self.ts_moved: dict[Key, Nanos] = {}               # when the position last changed at the venue
        self.foreign: set[Key] = set()                     # positions that somebody else has traded in
        self.result: dict[str, Fraction] = {}              # realised, less fees, by account since the run began
        self.lots: dict[Key, list[tuple[Fraction, Fraction]]] = {}     # open lots: quantity, price
        # what has been told over the wire
        self.ts_started: Nanos = 0
        self.version = 0                   # moves when something of the following may have
        self.told: dict[Key, Told] = {}
        self.told_positions: dict[Key, Fraction] = {}
        self.told_executions: dict[tuple[str, str], dict[str, Any]] = {}
        self.ts_told: dict[Key, Nanos] = {}
        self.reads: dict[str, tuple[Nanos, dict[str, Any], int]] = {}  # by account: when told, what, on which connection
        self.connections: dict[str, tuple[int, bool, Nanos]] = {}      # by account: number, is up, since
        self.writes: list[tuple[Wire, OrderMessage]] = []
        self.by_id: dict[str, list[tuple[Wire, OrderMessage]]] = {}
        self.cancels: dict[Key, list[Nanos]] = {}
        # the market
        self.quotes: dict[str, tuple[Nanos, Quote]] = {}   # as the engine has taken them in
        self.heard: dict[str, Quote] = {}                  # as they were delivered to its process
        self.states: dict[str, MarketState] = {}
        self.bars: dict[str, Bar] = {}
        self.ts_bars: dict[str, Nanos] = {}                # when the last one was delivered
        # the record
        self.entries: list[Kept] = []
        self.by_seq: dict[int, Kept] = {}
        self.attempts: dict[tuple[str, int], list[tuple[Nanos, Attempt]]] = {}
        self.clearances: dict[tuple[str, int], list[tuple[Nanos, Clearance]]] = {}
        self.verdicts: dict[tuple[str, str], Verdict] = {}
        self.signals: dict[str, AlertAccepted] = {}
        self.keys: dict[str, str] = {}
        self.lease_epoch = 0
        self.config_epoch = 0
        self.kill_epoch = 0
        self.kills: list[Killing] = []
        self.epochs: dict[str, int] = {}
        self.alarms: dict[str, Alarm] = {}
        self.frozen: dict[str, dict[str, Nanos]] = {}      # by account: code -> when it became durable
        self.questions: dict[str, tuple[Nanos, QuestionOpened]] = {}
        self.answered: dict[str, Nanos] = {}
        self.alarmed: dict[str, Nanos] = {}                # every key that was ever raised, and when last
        self.commands: list[tuple[Nanos, CommandGiven]] = []
        self.flattens: list[tuple[Nanos, FlattenBegun]] = []
        self.proofs: list[tuple[Nanos, KillProved]] = []
        self.adopted: list[tuple[Nanos, PositionAdopted]] = []
        self.cancel_requests: dict[Key, list[Nanos]] = {}
        self.read_requests: dict[str, Nanos] = {}
        self.booked: dict[tuple[str, str], OrderFilled] = {}           # executions as the record has them
        self.booked_positions: dict[Key, Fraction] = {}
        self.recorded_reads: dict[str, tuple[Nanos, AccountRead]] = {}
        self.is_up: dict[str, str] = {}                    # by node: start, ready, crash, pause ...
        self.ts_node: dict[str, Nanos] = {}
        self.lost: list[tuple[Nanos, Lost]] = []
        # what was struck, and when things were whole
        self.faults: dict[str, Nanos] = {}                 # verb -> when last
        self.missed: dict[Key, list[tuple[Nanos, Nanos]]] = {}         # look-ups without a find: when asked; the venue's answer
        self._asked: dict[Key, Nanos] = {}                 # when an order was last looked up
        self.ts_whole: Nanos = 0                           # since when process and line are up without a break
        self.is_whole = False
        self.is_ready = False
        self.is_stalled = False            # a commit is kept waiting by its disk; nothing is decided meanwhile
        self.cash: dict[str, Fraction] = {}                # told: money that executions moved, less fees
        self.is_healed = False
        self.tiers: dict[str, int] = {}
        self.shown: dict[tuple[str, str], tuple[Nanos, str]] = {}
        self.intents: dict[str, Intent] = {}
        self._before_batch: dict[Key, Fraction] = {}
        self._batch: list[tuple[int, Key, Fraction, bool]] = []

    def on(self) -> dict[type[Event], Callable[[Any], None]]:
        return {Wire: self._on_wire, VenueOrder: self._on_order, VenueFill: self._on_fill, VenueLine: self._on_line,
                Seen: self._on_seen, Durable: self._on_durable, Node: self._on_node, Lost: self._on_lost,
                FaultDone: self._on_fault, Phase: self._on_phase, Shown: self._on_shown}

    # -- questions that several oracles ask

    def live(self, account: str, symbol: str) -> Iterator[Resting]:
        """Orders that the venue holds."""
        return (order for order in self.book.values()
                if order.is_open and order.account == account and order.symbol == symbol)

    def may_fill(self, account: str, symbol: str) -> Iterator[Told]:
        """Legs that were written and of which nothing that was told excludes that they fill."""
        return (leg for leg in self.told.values()
                if not leg.outcome and leg.account == account and leg.symbol == symbol and leg.remaining > 0)

    def is_proven_missing(self, leg: Told) -> bool:
        """A look-up was asked after the venue must have shown the order, and answered that there is none."""
        if leg.is_acknowledged:
            return False                       # it has turned up since
        parent = self.told.get((leg.account, leg.parent)) if leg.parent else None
        if parent is not None and self.is_proven_missing(parent):
            return True                        # a message arrives whole or not at all
        missed = [each for each in self.missed.get((leg.account, leg.id), ()) if each[0] >= leg.ts]
        if not missed:
            return False
        # It may have been long on its way, but not behind the first question that the venue answered.
        shown = missed[0][1] + self.terms.visibility
        return any(asked >= leg.ts + self.terms.visibility and answered >= shown for asked, answered in missed)

    def never_sent(self, leg: Told, ts: Nanos) -> bool:  # noqa: ARG002
        """The bytes are known never to have left; nothing on the wire is so."""
        return False

    def pnl(self, account: str) -> Fraction | None:
        """What the account has made by all that was told, open positions at the delivered mids; None without a price."""
        total = self.cash.get(account, ZERO)
        for (name, symbol), quantity in self.told_positions.items():
            if name == account and quantity:
                mid = self.mid(symbol)
                if mid is None:
                    return None
                total += quantity * mid * self.terms.contracts[symbol].multiplier
        return total

    def booked_at(self, seq: int, key: Key) -> Fraction:
        """What the record's executions make, by its entries up to this one (of the batch that became durable last)."""
        total = self._before_batch.get(key, ZERO)
        for number, moved, change, is_set in self._batch:
            if number <= seq and moved == key:
                total = change if is_set else total + change
        return total

    def told_differs(self, account: str) -> bool:
        """Whether something that was told is not in the record yet, or the other way round."""
        told = sum(1 for name, _ in self.told_executions if name == account)
        booked = sum(1 for name, _ in self.booked if name == account)
        return told != booked or any(each.account == account for _, each in self.adopted)

    def is_booked_after(self, seq: int, account: str) -> bool:
        """Whether the batch that became durable last moves a position of the account after this entry."""
        return any(number > seq and key[0] == account for number, key, _, _ in self._batch)

    def is_open_question(self, account: str) -> bool:
        return any(question.account == account for _, question in self.questions.values())

    def listed(self, key: Key) -> Fraction:
        """What the venue's last whole answer says is held, and the executions that it tells to be of later."""
        read = self.reads.get(key[0])
        if read is None:
            return ZERO
        total = sum((frames.number(each["quantity"]) for each in read[1]["positions"] if each["symbol"] == key[1]), ZERO)
        known = {fill["execution"] for fill in read[1]["fills"]}
        for (account, execution), found in self.told_executions.items():
            if account == key[0] and found["symbol"] == key[1] and execution not in known and found["ts"] > read[1]["ts"]:
                total += frames.number(found["quantity"]) * {"buy": 1, "sell": -1}[found["side"]]
        return total

    def was_accepted(self, account: str) -> bool:
        """A person has said that a difference of this account may stand."""
        return any(name.startswith(f"drift.{account}") for name in self.answered)

    def is_flattening(self, account: str) -> bool:
        return any(account in begun.accounts for _, begun in self.flattens)

    def is_alarmed(self, account: str, symbol: str) -> bool:
        """Whether an alarm stands that names the account and the instrument."""
        return any(account in key + alarm.text and symbol in key + alarm.text for key, alarm in self.alarms.items())

    def is_priced_by_bar(self, account: str) -> bool:
        """Whether something that the account holds was last priced by a bar, whose closing quote is the product's to imply, or
        by a quote that only an earlier process has seen."""
        for (name, symbol), quantity in self.told_positions.items():
            if name == account and quantity:
                at = self.quotes.get(symbol, (0, None))[0]
                if at < self.ts_started or self.ts_bars.get(symbol, -1) >= at:
                    return True
        return False

    def attempt(self, client_order_id: str) -> Attempt | None:
        """The last recorded attempt of an order."""
        for number in (1, 2, 3):
            found = self.attempts.get((client_order_id, number))
            if found:
                return found[-1][1]
        return None

    def killing(self, ts: Nanos, account: str, lane: str | None = None) -> Killing | None:
        """The kill that stands at `ts` and reaches this account (and lane, where it is known)."""
        for kill in self.kills:
            is_in_force = kill.ts <= ts and (not kill.ts_released or ts < kill.ts_released)
            if is_in_force and kill.account in (None, account) and kill.lane in (None, lane):
                return kill
        return None

    def lane_of(self, client_order_id: str) -> str | None:
        for _, attempt in self.attempts.get((client_order_id, 1), ()):
            return attempt.order.lane
        return None

    def equity(self, account: str) -> Fraction | None:
        """Cash and open lots at the delivered mids; None where there is no price."""
        total = self.terms.accounts[account].cash + self.result.get(account, ZERO)
        for (name, symbol), lots in self.lots.items():
            if name == account and lots:
                mid = self.mid(symbol)
                if mid is None:
                    return None
                contract = self.terms.contracts[symbol]
                total += sum(((mid - price) * quantity for quantity, price in lots), ZERO) * contract.multiplier
        return total

    def mid(self, symbol: str) -> Fraction | None:
        found = self.quotes.get(symbol)
        if found is None:
            return None
        quote, contract = found[1], self.terms.contracts[symbol]
        return (quote.bid + quote.ask) * contract.increment / 2

    # -- the venue's ledger

    def _on_order(self, event: VenueOrder) -> None:
        key = event.account, event.id
        known = self.book.get(key)
        if known is None:
            self.book[key] = Resting(event)
        else:
            known.change(event)

    def _on_fill(self, event: VenueFill) -> None:
        if (event.account, event.execution) in self.executions:
            return
        self.executions[event.account, event.execution] = event
        key = event.account, event.symbol
        self.positions[key] = self.positions.get(key, ZERO) + event.side * event.quantity
        self.ts_moved[key] = event.ts
        self.filled[event.account, event.id] = self.filled.get((event.account, event.id), ZERO) + event.quantity
        if event.by != "platform":
            self.foreign.add(key)
        self._realise(event)

    def _realise(self, fill: VenueFill) -> None:
        """First in, first out."""
        contract = self.terms.contracts[fill.symbol]
        lots = self.lots.setdefault((fill.account, fill.symbol), [])
        left, gained = fill.side * fill.quantity, -fill.fee
        while left and lots and lots[0][0] * left < 0:
            quantity, price = lots[0]
            closed = -quantity if abs(quantity) <= abs(left) else left
            gained += (fill.price - price) * -closed * contract.multiplier
            left -= closed
            if quantity + closed:
                lots[0] = quantity + closed, price
            else:
                lots.pop(0)
        if left:
            lots.append((left, fill.price))
        self.result[fill.account] = self.result.get(fill.account, ZERO) + gained

    # -- the wire

    def _on_line(self, event: VenueLine) -> None:
        for account in event.accounts:
            self.connections[account] = event.connection, event.is_up, event.ts
        self._look(event.ts)

    def _on_wire(self, event: Wire) -> None:
        if event.kind == "report" or event.is_answer or event.kind in ("place", "modify", "cancel"):
            self.version += 1
        if event.direction == "out":
            self._on_out(event)
        elif event.arrived:
            self._on_in(event)

    def _on_out(self, event: Wire) -> None:
        if event.kind in ("place", "modify"):
            try:
                message = frames.order(event.body)
            except Unreadable:
                return                         # the oracle of sane payloads says so
            self.writes.append((event, message))
            self.by_id.setdefault(message.id, []).append((event, message))
            account = self.terms.accounts.get(message.account)
            for index, leg in enumerate(message.legs):
                known = self.told.get((message.account, leg.id))
                if known is None or known.outcome:
                    self.told[message.account, leg.id] = Told(message, index, event.ts, event,
                                                              is_native=account is None or account.has_native_brackets)
        elif event.kind == "lookup":
            found = frames.message(event.body)
            self._asked[str(found["account"]), str(found["id"])] = event.ts
        elif event.kind == "cancel":
            found = frames.message(event.body)
            self.cancels.setdefault((str(found["account"]), str(found["id"])), []).append(event.ts)

    def _on_in(self, event: Wire) -> None:
        try:
            found = frames.message(event.body)
            kind = found.get("event") or found.get("is")
            if kind == "account":
                self._on_read(event, found)
            elif kind == "fill":
                self._on_told_fill(event, found)
            elif kind == "missing":
                key = found["account"], found["id"]
                asked = self._asked.get(key)
                if asked is not None:
                    self.missed.setdefault(key, []).append((asked, found["ts"]))
            elif kind in ("accepted", "cancelled", "rejected", "expired", "found", "status"):
                self._on_told(event, found, kind)
        except (Unreadable, KeyError, TypeError, AttributeError):
            return                             # what cannot be read tells nothing

    def _on_told(self, event: Wire, found: dict[str, Any], kind: str) -> None:
        leg = self.told.get((found["account"], found["id"]))
        if leg is None:
            return
        leg.is_acknowledged, leg.ts_answered = True, event.ts
        self.ts_told[leg.account, leg.symbol] = event.ts
        if kind == "accepted":
            if found.get("quantity") is not None:
                leg.quantity = frames.number(found["quantity"])
            if leg.replaces:
                old = self.told.get((leg.account, leg.replaces))
                if old is not None and not old.outcome:
                    old.outcome, old.ts_ended = "cancelled", event.ts
            return
        outcome = found["outcome"] if kind in ("found", "status") else kind
        if outcome is not None:
            leg.outcome, leg.ts_ended = outcome, event.ts

    def _on_told_fill(self, event: Wire, found: dict[str, Any]) -> None:
        account, execution = found["account"], found["execution"]
        quantity, side = frames.number(found["quantity"]), {"buy": 1, "sell": -1}[found["side"]]
        if (account, execution) in self.told_executions:
            return
        self.told_executions[account, execution] = found
        self._tell(event, found, quantity, side)

    def _forget(self, ts: Nanos) -> None:
        """A process has begun: what was told to the one before, and did not become durable, nobody knows any more."""
        for (account, execution), found in tuple(self.told_executions.items()):
            if (account, execution) not in self.booked:
                del self.told_executions[account, execution]
                self._untell(found, ts)
        for leg in self.told.values():
            leg.quantity = leg.recorded

    def _untell(self, found: dict[str, Any], ts: Nanos) -> None:
        account, quantity, side = found["account"], frames.number(found["quantity"]), {"buy": 1, "sell": -1}[found["side"]]
        key = account, found["symbol"]
        self.told_positions[key] -= side * quantity
        self.cash[account] += side * quantity * frames.number(found["price"]) * self.terms.contracts[key[1]].multiplier \
            + frames.number(found["fee"])
        leg = self.told.get((account, found["id"]))
        if leg is not None:
            leg.filled -= quantity
            if leg.outcome == "filled":
                leg.outcome = ""
            leg.ts_answered = ts

    def _tell(self, event: Wire, found: dict[str, Any], quantity: Fraction, side: int) -> None:
        account = found["account"]
        key = account, found["symbol"]
        self.told_positions[key] = self.told_positions.get(key, ZERO) + side * quantity
        self.ts_told[key] = event.ts
        contract = self.terms.contracts[found["symbol"]]
        self.cash[account] = self.cash.get(account, ZERO) - side * quantity * frames.number(found["price"]) \
            * contract.multiplier - frames.number(found["fee"])
        leg = self.told.get((account, found["id"]))
        if leg is not None:
            leg.filled += quantity
            leg.is_acknowledged = True
            if leg.filled >= leg.quantity:
                leg.outcome, leg.ts_ended = "filled", event.ts

    def _on_read(self, event: Wire, found: dict[str, Any]) -> None:
        for fill in found["fills"]:
            self._on_told_fill(event, fill)
        before = self.reads.get(found["account"])
        if before is None or before[2] != event.connection or found["ts"] >= before[1]["ts"]:
            self.reads[found["account"]] = event.ts, found, event.connection

    # -- the market

    def _on_seen(self, event: Seen) -> None:
        message = event.message
        if isinstance(message, Quote):
            self.heard[message.instrument] = message
            if event.is_taken:
                self.quotes[message.instrument] = event.ts, message
        elif isinstance(message, MarketState):
            self.states[message.instrument] = message
        elif isinstance(message, Bar) and event.is_taken:
            self.bars[message.instrument], self.ts_bars[message.instrument] = message, event.ts

    # -- processes

    def _on_node(self, event: Node) -> None:
        self.is_up[event.node], self.ts_node[event.node] = event.what, event.ts
        self.epochs[event.node] = event.epoch
        if event.node == "engine":
            self.is_stalled = self.is_stalled and event.what not in ("start", "crash", "exit")
            if event.what == "start":
                self._forget(event.ts)
                self.ts_started = event.ts
            self.is_ready = event.what in ("ready", "resume") or (self.is_ready and event.what == "start")
            self._look(event.ts)

    def _look(self, ts: Nanos) -> None:
        """Whole: the process runs, its disk answers and every line is up; deadlines count from when that began."""
        is_whole = self.is_ready and not self.is_stalled and all(is_up for _, is_up, _ in self.connections.values())
        if is_whole and not self.is_whole:
            self.ts_whole = ts
        self.is_whole = is_whole

    def has_time(self, since: Nanos, bound: Nanos, ts: Nanos) -> bool:
        """Whether something that began at `since` may still take its time: the bound runs while everything is whole."""
        return not self.is_whole or ts < max(since, self.ts_whole) + bound

    def has_time_at(self, account: str, since: Nanos, bound: Nanos, ts: Nanos) -> bool:
        """As `has_time`, where the line of another account is no excuse."""
        _, is_up, up_since = self.connections.get(account, (0, False, 0))
        started = self.ts_node.get("engine", 0)
        return not self.is_ready or self.is_stalled or not is_up or ts < max(since, up_since, started) + bound

    def _on_fault(self, event: FaultDone) -> None:
        self.faults[event.verb] = event.ts
        if event.verb in ("disk.slow", "disk.lock"):
            self._stall(True, event.ts)

    def _stall(self, is_stalled: bool, ts: Nanos) -> None:
        if is_stalled is not self.is_stalled:
            self.is_stalled = is_stalled
            self._look(ts)

    def _on_phase(self, event: Phase) -> None:
        if event.what == "healed":
            self.is_healed = True

    def _on_shown(self, event: Shown) -> None:
        self.shown[event.what, event.key] = event.ts, event.text

    def _on_lost(self, event: Lost) -> None:
        self.lost.append((event.ts, event))

    # -- the record

    def _on_durable(self, event: Durable) -> None:
        self._stall(False, event.ts)
        self._before_batch, self._batch = dict(self.booked_positions), []
        for kept in event.entries:
            self.entries.append(kept)
            self.by_seq[kept.seq] = kept
            self._on_entry(kept, event.ts)

    def _on_entry(self, kept: Kept, ts: Nanos) -> None:
        match kept.payload:
            case Attempt() as attempt:
                self.attempts.setdefault((attempt.client_order_id, attempt.attempt), []).append((ts, attempt))
            case Clearance() as clearance:
                self.clearances.setdefault(clearance.content.nonce, []).append((ts, clearance))
            case Verdict() as verdict:
                self.verdicts[verdict.signal_id, verdict.account] = verdict
            case AlertAccepted() as accepted:
                self.signals[accepted.signal_id] = accepted
            case Started() as started:
                self.keys, self.lease_epoch = dict(started.keys), started.lease_epoch
            case ConfigRead() as read:
                self.config_epoch = read.epoch
            case Killed() as killed:
                self.kill_epoch = killed.epoch
                for earlier in self.kills:
                    if (earlier.lane, earlier.account) == (killed.lane, killed.account) and not earlier.ts_released:
                        earlier.ts_released = ts
                self.kills.append(Killing(killed, ts))
            case Released() as released:
                self.kill_epoch = released.epoch
                for kill in self.kills:
                    if (kill.lane, kill.account) == (released.lane, released.account) and not kill.ts_released:
                        kill.ts_released = ts
            case Alarm() as alarm:
                self.alarms[alarm.key], self.alarmed[alarm.key] = alarm, ts
            case AlarmCleared() as cleared:
                self.alarms.pop(cleared.key, None)
            case AccountFrozen() as frozen:
                self.frozen.setdefault(frozen.account, {}).setdefault(frozen.code, ts)
            case AccountThawed() as thawed:
                self.frozen.get(thawed.account, {}).pop(thawed.code, None)
            case QuestionOpened() as question:
                self.questions[question.question] = ts, question
            case Decided() as decided:
                self.questions.pop(decided.question, None)
                self.answered[decided.question] = ts
            case Enabled() as enabled:
                self.answered[enabled.latch] = ts
            case CommandGiven() as given:
                self.commands.append((ts, given))
            case FlattenBegun() as begun:
                self.flattens.append((ts, begun))
            case KillProved() as proved:
                self.proofs.append((ts, proved))
            case PositionAdopted() as adopted:
                self.adopted.append((ts, adopted))
                key = adopted.account, adopted.instrument
                self.booked_positions[key] = Fraction(adopted.quantity)
                self._batch.append((kept.seq, key, Fraction(adopted.quantity), True))
                self.told_positions[key] = Fraction(adopted.quantity)      # the broker is right, a person has said
                self.version += 1
            case CancelRequested() as request:
                self.cancel_requests.setdefault((request.account, request.client_order_id), []).append(ts)
            case ReadRequested() as request:
                self.read_requests[request.account] = ts
            case AccountRead() as account_read:
                before = self.recorded_reads.get(account_read.account)
                if before is None or before[1].connection != account_read.connection \
                        or account_read.ts_event >= before[1].ts_event:      # else a later answer came before it
                    self.recorded_reads[account_read.account] = ts, account_read
            case OrderFilled() as fill:
                self._book(fill, kept.seq)
            case OrderAccepted(quantity=quantity) as accepted if quantity is not None:
                leg = self.told.get((accepted.account, accepted.client_order_id))
                if leg is not None:
                    leg.recorded = Fraction(quantity)
            case Intent() as intent:
                self.intents[intent.signal_id] = intent
            case ExitBegun() as begun:
                self.intents.setdefault(begun.asked.intent.signal_id, begun.asked.intent)
            case TierChanged() as tier:
                self.tiers[tier.scope] = tier.tier
            case LineChanged():
                pass
            case _:
                pass

    def _book(self, fill: OrderFilled, seq: int) -> None:
        if (fill.account, fill.execution_id) in self.booked:
            return
        self.booked[fill.account, fill.execution_id] = fill
        key = fill.account, fill.instrument
        change = fill.side.sign * Fraction(fill.quantity)
        self.booked_positions[key] = self.booked_positions.get(key, ZERO) + change
        self._batch.append((seq, key, change, False))
