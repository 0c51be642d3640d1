"""The desk as its page reads it: plain facts with their times, folded on the event loop, holding nothing that can act.

The runtime tells the board what happened; the web room reads it. Ages and truth labels are worked out when they are
read, on the engine clock, so that a label turns grey by the silence of its source and not by anybody's message. Changes
are gathered and handed to the pages a few times a second; a page that does not keep up is dropped and begins again.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from interlock.model.account import Truth
from interlock.model.command import RELEASE_PHRASE
from interlock.model.money import SECOND, Nanos

Row: TypeAlias = dict[str, Any]
"""One JSON object."""

BARS_KEPT: Final = 1000                # per instrument
VERDICTS_KEPT: Final = 200
VERDICTS_SHOWN: Final = 60             # in a snapshot; each holds some thirty answers
ORDERS_KEPT: Final = 500               # closed ones; an order that may still fill is never left out
ROWS_KEPT: Final = 500                 # alerts, fills and decisions, each
QUEUE_BOUND: Final = 50                # change messages, five seconds of them
HEARTBEAT: Final = SECOND
PROOF_AGE_MAX: Final = 9 * SECOND + SECOND // 2
"""A label without a proof this recent is unknown; with the push to the page it is grey within ten seconds."""

RESYNC: Final[Row] = {"type": "resync"}


class Account(msgspec.Struct, kw_only=True):
    """What its broker last proved of an account, and the figures that hang on that proof. None means not known."""

    name: str
    mode: str
    truth: str
    ts_proof: Nanos | None
    evidence: str
    enabled: bool
    frozen_by: str | None
    tier: int
    tier_reasons: list[str]
    line: str
    ts_read: Nanos | None
    differences: int | None
    account_id: str | None
    equity: str | None
    cash: str | None
    day_pnl: str | None
    currency: str


class Position(msgspec.Struct, kw_only=True):
    """Ours, signed; `protected` is the quantity of live stops at the venue. Prices and money are decimal strings."""

    account: str
    instrument: str
    quantity: str
    average_price: str
    protected: str
    stop: str | None
    target: str | None
    pnl: str | None
    strategy: str | None
    notional: str | None


class Board:
    """The projection behind the page. `now` reads the engine clock; everything else is told by the methods below."""

    def __init__(self, now: Callable[[], Nanos], *, proof_age_max: Nanos = PROOF_AGE_MAX,
                 monotonic: Callable[[], int] = time.monotonic_ns) -> None:
        self._now = now
        self._monotonic = monotonic
        self._proof_age_max = proof_age_max
        self._identity: Row = {"mode": "unknown", "state_id": "", "clock": "", "version": "", "simulated": False}
        self._instruments: dict[str, Row] = {}
        self._lanes: dict[str, Row] = {}
        self._accounts: dict[str, Account] = {}
        self._quotes: dict[str, tuple[str, str, str, str, Nanos, str]] = {}
        self._bars: dict[str, deque[list[Any]]] = {}
        self._positions: dict[tuple[str, str], Position] = {}
        self._orders: dict[str, Row] = {}
        self._closed: deque[str] = deque()
        self._verdicts: deque[Row] = deque(maxlen=VERDICTS_KEPT)
        self._logs: dict[str, deque[Row]] = {name: deque(maxlen=ROWS_KEPT) for name in ("alerts", "fills", "decisions")}
        self._alarms: dict[str, Row] = {}
        self._killed: dict[str, Row] = {}
        self._feeds: dict[str, Row] = {}
        self._questions: list[Row] = []
        self._flattens: dict[str, Row] = {}
        self._drill: Row | None = None
        self._count = 0                # numbers the rows of the logs, so that a page can tell them apart
        self._seq = 0                  # numbers the change messages
        self._changed: dict[str, None] = {}
        self._changed_quotes: dict[str, None] = {}
        self._changed_orders: dict[str, None] = {}
        self._new_bars: dict[str, deque[list[Any]]] = {}
        self._new_rows: dict[str, deque[Row]] = {}
        self._queues: list[asyncio.Queue[Row]] = []
        self._truths: tuple[str, ...] = ()
        self._ts_pushed = 0
        self.before_read: Callable[[], None] = lambda: None        # brings what is told only when somebody reads

    # What the runtime tells.

    def set_identity(self, mode: str, state_id: str, clock: str, version: str, simulated: bool) -> None:
        """`simulated`: numbers of a simulated market stand on this desk; the page says so wherever it shows them."""
        self._identity = {"mode": mode, "state_id": state_id, "clock": clock, "version": version,
                          "simulated": simulated}
        self._changed["identity"] = None

    def instrument(self, symbol: str, *, tick: str, multiplier: str, exchange: str = "", timeframe: Nanos = 0) -> None:
        """Declare what can be shown, in the order of its tabs. What was not declared appears with its first data."""
        self._instruments[symbol] = {"symbol": symbol, "tick": tick, "multiplier": multiplier, "exchange": exchange,
                                     "timeframe": timeframe}
        self._changed["instruments"] = None

    def lane(self, name: str, mode: str, strategies: Iterable[Mapping[str, Any]], accounts: Iterable[str], *, tier: int = 0,
             tier_reasons: Iterable[str] = ()) -> None:
        """A lane whole: each strategy with name, kind and fires_left (None: it has no budget of fires)."""
        self._lanes[name] = {"name": name, "mode": mode, "strategies": [dict(each) for each in strategies],
                             "accounts": list(accounts), "tier": tier, "tier_reasons": list(tier_reasons)}
        self._changed["lanes"] = None

    def account(self, name: str, *, mode: str, truth: str, ts_proof: Nanos | None, evidence: str, enabled: bool,
                frozen_by: str | None = None, account_id: str | None = None, equity: str | None = None,
                cash: str | None = None, day_pnl: str | None = None, currency: str = "USD", tier: int = 0,
                tier_reasons: Iterable[str] = (), line: str = "up", ts_read: Nanos | None = None,
                differences: int | None = None) -> None:
        """An account whole. `truth` is what the evidence shows; the label fades by itself as `ts_proof` ages.

        `line` is new, connecting, up, failing (it is up and cannot be read) or down. `ts_read` is when the broker's whole
        answer was last compared with our books, and `differences` how many it showed; None: it has not been.
        """
        self._accounts[name] = Account(
            name=name, mode=mode, truth=Truth(truth).value, ts_proof=ts_proof, evidence=evidence, enabled=enabled,
            frozen_by=frozen_by, tier=tier, tier_reasons=list(tier_reasons), line=line, ts_read=ts_read, differences=differences,
            account_id=account_id, equity=equity, cash=cash, day_pnl=day_pnl, currency=currency)
        self._changed["accounts"] = None

    def proof(self, name: str, ts_proof: Nanos) -> None:
        """The account's broker was heard again; cheap enough for every turn."""
        account = self._accounts.get(name)
        if account is not None:
            account.ts_proof = ts_proof

    def bar(self, instrument: str, ts_event_ns: Nanos, o: str, h: str, l: str, c: str, volume: str,  # noqa: E741
            provenance: str) -> None:
        row = [ts_event_ns, o, h, l, c, volume, provenance]
        kept = self._bars.get(instrument)
        if kept is None:
            kept = self._bars[instrument] = deque(maxlen=BARS_KEPT)
            self._appear(instrument)
        kept.append(row)
        if self._queues:
            new = self._new_bars.get(instrument)
            if new is None:
                new = self._new_bars[instrument] = deque(maxlen=BARS_KEPT)
            new.append(row)

    def quote(self, instrument: str, bid: str, ask: str, bid_size: str, ask_size: str, ts_ns: Nanos,
              provenance: str) -> None:
        if instrument not in self._quotes:
            self._appear(instrument)
        self._quotes[instrument] = (bid, ask, bid_size, ask_size, ts_ns, provenance)
        self._changed_quotes[instrument] = None

    def position(self, account: str, instrument: str, quantity: str, average_price: str, protected: str,
                 stop: str | None = None, target: str | None = None, pnl: str | None = None,
                 strategy: str | None = None, notional: str | None = None) -> None:
        """A position whole; quantity "0" takes it off the board."""
        if quantity == "0":
            self._positions.pop((account, instrument), None)
        else:
            self._positions[account, instrument] = Position(
                account=account, instrument=instrument, quantity=quantity, average_price=average_price,
                protected=protected, stop=stop, target=target, pnl=pnl, strategy=strategy, notional=notional)
        self._changed["positions"] = None

    def mark(self, account: str, instrument: str, pnl: str | None, notional: str | None = None) -> None:
        """A position valued anew; nothing else of it changes."""
        held = self._positions.get((account, instrument))
        if held is not None:
            held.pnl, held.notional = pnl, notional
            self._changed["positions"] = None

    def order(self, row: Mapping[str, Any]) -> None:
        """An order as `orders --json` lists it, with its stop or limit price where it has one."""
        key = str(row["client_order_id"])
        before = self._orders.get(key)
        self._orders[key] = dict(row)
        self._changed_orders[key] = None
        if row["state"] == "closed" and (before is None or before["state"] != "closed"):
            self._closed.append(key)
            if len(self._closed) > ORDERS_KEPT:
                oldest = self._closed.popleft()
                self._orders.pop(oldest, None)
                self._changed_orders.pop(oldest, None)

    def verdict(self, row: Mapping[str, Any]) -> None:
        """A judgement of the gate: who asked for what, cleared or refused, and every check's answer."""
        self._append("verdicts", self._verdicts, row)

    def alert(self, row: Mapping[str, Any]) -> None:
        """What came to the hook, and the answer it got."""
        self._append("alerts", self._logs["alerts"], row)

    def fill(self, row: Mapping[str, Any]) -> None:
        """An execution: account, instrument, side, quantity, price, purpose, ts."""
        self._append("fills", self._logs["fills"], row)

    def decision(self, text: str, ts: Nanos | None = None) -> None:
        """What a strategy said, a person decided or a broker answered, as one sentence, and when."""
        self._append("decisions", self._logs["decisions"], {"text": text} if ts is None else {"text": text, "ts": ts})

    def alarm(self, key: str, severity: str, text: str, ts: Nanos | None = None) -> None:
        """Raise; again with the same key changes the text and keeps the time."""
        ts = self._alarms[key]["ts"] if key in self._alarms else self._now() if ts is None else ts
        self._alarms[key] = {"key": key, "severity": severity, "text": text, "ts": ts}
        self._changed["alarms"] = None

    def alarm_cleared(self, key: str) -> None:
        if self._alarms.pop(key, None) is not None:
            self._changed["alarms"] = None

    def killed(self, reach: str | None, why: str = "", ts: Nanos = 0, *, cancelled: int | None = None,
               at_risk: str | None = None, proofs: Iterable[Mapping[str, Any]] = ()) -> None:
        """The latch of one reach ("everything", "lane futures", "account paper-1") is set; None: all are off.

        `proofs` are by account what its broker's own list has shown since: clean (None: nothing yet), the orders that are left,
        the notional that was open then, and when that was.
        """
        if reach is None:
            self._killed.clear()
        else:
            self._killed[reach] = {"reach": reach, "why": why, "ts": ts, "cancelled": cancelled, "at_risk": at_risk,
                                   "proofs": [dict(each) for each in proofs]}
        self._changed["killed"] = None

    def flatten_begun(self, account: str, instrument: str | None, why: str, ts: Nanos) -> None:
        """A person's flatten reaches this account (or one instrument of it); its results follow."""
        self._flattens[account] = {"account": account, "instrument": instrument, "why": why, "ts": ts, "is_over": False,
                                   "results": []}
        self._changed["flattens"] = None

    def flatten_result(self, account: str, instrument: str, result: str, quantity: str, why: str, ts: Nanos, *,
                       is_over: bool) -> None:
        """The broker's word for one instrument: flat, residual, unknown. `instrument` "": the account could not be read."""
        row = self._flattens.get(account)
        if row is None:
            self.flatten_begun(account, None, "", ts)
            row = self._flattens[account]
        told = {"instrument": instrument, "result": result, "quantity": quantity, "why": why, "ts": ts}
        self._flattens[account] = {**row, "is_over": is_over, "results": [
            *(each for each in row["results"] if each["instrument"] != instrument), told]}
        self._changed["flattens"] = None

    def drilled(self, orders: int, cancelled: int, confirmed_ms: float, ts: Nanos) -> None:
        """The last kill drill."""
        self._drill = {"orders": orders, "cancelled": cancelled, "confirmed_ms": confirmed_ms, "ts": ts}
        self._changed["drill"] = None

    def released(self, reach: str) -> None:
        if self._killed.pop(reach, None) is not None:
            self._changed["killed"] = None

    def questions(self, rows: Iterable[Row]) -> None:
        """All that waits for a person: id, kind, scope, account, text, state rows, digest, answers."""
        found = list(rows)
        if found != self._questions:
            self._questions = found
            self._changed["questions"] = None

    def feed(self, source: str, provenance: str, state: str, progress: float | None, rows: int,
             dropped: Mapping[str, int]) -> None:
        """A source of market data; `progress` is 0 to 1 through a recording, None where there is no end."""
        self._feeds[source] = {"source": source, "provenance": provenance, "state": state, "progress": progress,
                               "rows": rows, "dropped": dict(dropped)}
        self._changed["feeds"] = None

    # What the web room reads.

    def snapshot(self) -> Row:
        """The desk now, as JSON values; bars apart (`bars`), and only the newest verdicts."""
        self.before_read()
        now = self._now()
        return {
            "type": "snapshot", "seq": self._seq, "now": now, "release_phrase": RELEASE_PHRASE,
            **{section: self._section(section, now) for section in _SECTIONS},
            "quotes": {instrument: self._quote_row(instrument, now) for instrument in self._quotes},
            "orders": list(self._orders.values()), "verdicts": list(self._verdicts)[-VERDICTS_SHOWN:],
            **{name: list(rows) for name, rows in self._logs.items()},
        }

    def bars(self, instrument: str) -> list[list[Any]] | None:
        """[ts, open, high, low, close, volume, provenance] of the bars kept, oldest first; None: never heard of it."""
        if instrument not in self._instruments:
            return None
        return list(self._bars.get(instrument, ()))

    def verdicts(self) -> list[Row]:
        self.before_read()
        return list(self._verdicts)

    def orders(self) -> list[Row]:
        self.before_read()
        return list(self._orders.values())

    def positions(self) -> list[Row]:
        self.before_read()
        return self._held_rows()

    @property
    def lane_names(self) -> frozenset[str]:
        return frozenset(self._lanes)

    @property
    def account_names(self) -> frozenset[str]:
        return frozenset(self._accounts)

    def subscribe(self) -> asyncio.Queue[Row]:
        """Change messages from here on: a snapshot taken before the next `await` misses nothing and repeats nothing.

        When the queue overflows it is emptied, ends with RESYNC, and gets no more.
        """
        self.publish()
        self._forget_changes()
        queue: asyncio.Queue[Row] = asyncio.Queue(QUEUE_BOUND)
        self._queues.append(queue)
        return queue

    def unsubscribe(self, queue: asyncio.Queue[Row]) -> None:
        if queue in self._queues:
            self._queues.remove(queue)

    def publish(self) -> None:
        """Hand what changed since the last call to every page, and at least each second what time and truth it is."""
        if not self._queues:
            return
        self.before_read()
        change = self._change()
        if change is None:
            return
        for queue in tuple(self._queues):
            if queue.full():
                self._queues.remove(queue)
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(RESYNC)
            else:
                queue.put_nowait(change)

    # How it is put together.

    def _change(self) -> Row | None:
        now, tick = self._now(), self._monotonic()
        truths = tuple(self._truth(account, now)[0] for account in self._accounts.values())
        if tick - self._ts_pushed >= HEARTBEAT or truths != self._truths:
            self._changed["accounts"] = None
        change: Row = {section: self._section(section, now) for section in _SECTIONS if section in self._changed}
        if self._changed_quotes:
            change["quotes"] = {instrument: self._quote_row(instrument, now) for instrument in self._changed_quotes}
        if self._changed_orders:
            change["orders"] = [self._orders[key] for key in self._changed_orders]
        if self._new_bars:
            change["bars"] = {instrument: list(rows) for instrument, rows in self._new_bars.items()}
        for name, rows in self._new_rows.items():
            change[name] = list(rows)
        if not change:
            return None
        self._forget_changes()
        if "accounts" in change:
            self._truths, self._ts_pushed = truths, tick
        self._seq += 1
        return {"type": "change", "seq": self._seq, "now": now, **change}

    def _forget_changes(self) -> None:
        for changes in (self._changed, self._changed_quotes, self._changed_orders, self._new_bars, self._new_rows):
            changes.clear()

    def _section(self, section: str, now: Nanos) -> Any:
        match section:
            case "identity":
                return self._identity
            case "accounts":
                return [self._account_row(account, now) for account in self._accounts.values()]
            case "positions":
                return self._held_rows()
            case "questions":
                return self._questions
            case "drill":
                return self._drill
            case _:
                return list({"instruments": self._instruments, "lanes": self._lanes, "alarms": self._alarms,
                             "killed": self._killed, "feeds": self._feeds, "flattens": self._flattens}[section].values())

    def _held_rows(self) -> list[Row]:
        return [msgspec.structs.asdict(held) for held in self._positions.values()]

    def _account_row(self, account: Account, now: Nanos) -> Row:
        truth, evidence, age = self._truth(account, now)
        return {**msgspec.structs.asdict(account), "truth": truth, "evidence": evidence, "age_ms": age}

    def _truth(self, account: Account, now: Nanos) -> tuple[str, str, int | None]:
        """Label, evidence and the age of the proof in ms. No proof, an old one, or one from the future: unknown."""
        if account.ts_proof is None:
            return Truth.UNKNOWN.value, account.evidence or "no proof yet", None
        age = now - account.ts_proof
        if age > self._proof_age_max:
            return Truth.UNKNOWN.value, f"last proof {age // SECOND} s ago", age // 1_000_000
        if age < -SECOND:
            return Truth.UNKNOWN.value, "last proof lies in the future", age // 1_000_000
        return account.truth, account.evidence, max(age, 0) // 1_000_000

    def _quote_row(self, instrument: str, now: Nanos) -> Row:
        bid, ask, bid_size, ask_size, ts, provenance = self._quotes[instrument]
        return {"bid": bid, "ask": ask, "bid_size": bid_size, "ask_size": ask_size, "ts": ts,
                "age_ms": (now - ts) // 1_000_000, "provenance": provenance}

    def _appear(self, instrument: str) -> None:
        if instrument not in self._instruments:
            self.instrument(instrument, tick="", multiplier="")

    def _append(self, name: str, kept: deque[Row], row: Mapping[str, Any]) -> None:
        self._count += 1
        numbered = {"ts": self._now(), **row, "n": self._count}
        kept.append(numbered)
        if self._queues:
            new = self._new_rows.get(name)
            if new is None:
                new = self._new_rows[name] = deque(maxlen=kept.maxlen)
            new.append(numbered)


_SECTIONS: Final = ("identity", "instruments", "lanes", "accounts", "positions", "alarms", "killed", "feeds", "questions",
                    "flattens", "drill")
"""Parts that are sent whole whenever anything in them changed."""
