"""What a desk leaves behind, read from outside: its journal, the venues' own books, and the notes of its victims."""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from tests.process.desk import ACCOUNTS

from interlock.model.command import Killed, Released
from interlock.model.record import AccountFrozen, AccountThawed, Attempt, IntentAbandoned
from interlock.model.report import OrderRejected
from interlock.model.verdict import Cleared, Verdict
from interlock.records import Records

T_PROTECT_S = 2.0
"""For so long after a fill the stop may differ from the position."""


class Evidence:
    """Reads a state directory again and again; the journal only from where it had come to."""

    def __init__(self, state: Path, notes: Path) -> None:
        self.is_killed = False
        self._state = state
        self._notes = notes
        self._next_seq = 1
        self._judged: set[tuple[str, str]] = set()           # (signal, account) with a verdict
        self._attempted: dict[tuple[str, str], str] = {}     # (account, client order id of a leg) -> signal
        self._abandoned: set[str] = set()                    # signals that conversion answered for all accounts at once
        self._frozen: dict[tuple[str, str], str] = {}
        self._cleared = self._cleared_told = 0
        self._orders = self._orders_told = self._abandoned_told = 0

    def look(self, acknowledged: Iterable[str]) -> list[str]:
        """Everything that is wrong now, in words."""
        # The books first: what stands there was attempted before, and must be in a journal that is read afterwards.
        books = {book: _rows(book, "SELECT account, client_order_id, purpose, tag FROM orders")
                 for book in sorted(self._state.glob("*-book.db"))}
        found = self._read_journal()
        found += [f"LOST: {signal} was accepted and has no verdict for {account}"
                  for signal in acknowledged if signal not in self._abandoned
                  for account in ACCOUNTS if (signal, account) not in self._judged]
        found += self._resent()
        self._orders = sum(map(len, books.values()))
        for book, rows in books.items():
            found += self._doubled(book, rows)
            found += self._unprotected(book)
        return found

    def held(self, symbol: str) -> Decimal:
        """What the venues' books hold of a symbol on the first account that holds any."""
        for book in sorted(self._state.glob("*-book.db")):
            for (quantity,) in _rows(book, f"SELECT quantity FROM positions WHERE symbol = '{symbol}'"):
                if Decimal(quantity):
                    return Decimal(quantity)
        return Decimal(0)

    def take_cleared(self) -> int:
        new, self._cleared_told = self._cleared - self._cleared_told, self._cleared
        return new

    def take_abandoned(self) -> int:
        new, self._abandoned_told = len(self._abandoned) - self._abandoned_told, len(self._abandoned)
        return new

    def take_orders(self) -> int:
        new, self._orders_told = self._orders - self._orders_told, self._orders
        return new

    def _read_journal(self) -> list[str]:
        found = []
        with Records.open(self._state) as records:
            for entry in records.entries(self._next_seq):
                self._next_seq = entry.seq + 1
                match entry.payload:
                    case Verdict() as verdict:
                        self._judged.add((verdict.signal_id, verdict.account))
                        self._cleared += isinstance(verdict.result, Cleared) and verdict.profile.value == "enter"
                    case Attempt(order=order):
                        for leg in order.legs:
                            name = order.account, leg.client_order_id
                            if name in self._attempted:
                                found.append(f"RE-SENT: entry {entry.seq} attempts {name} again")
                            self._attempted[name] = order.signal_id
                    case OrderRejected() as report:
                        found.append(f"REJECTED: {report.account} {report.client_order_id}: {report.reason}")
                    case IntentAbandoned(account=None) as abandoned:
                        self._abandoned.add(abandoned.signal_id)
                    case AccountFrozen() as frozen:
                        key = frozen.account, frozen.code
                        self._frozen[key] = f"FROZEN: {frozen.account} since entry {entry.seq}: {frozen.why}"
                    case AccountThawed() as thawed:
                        self._frozen.pop((thawed.account, thawed.code), None)
                    case Killed():
                        self.is_killed = True
                    case Released():
                        self.is_killed = False
                    case _:
                        pass
        return found + list(self._frozen.values())

    def _resent(self) -> list[str]:
        """Order messages that victims wrote: no leg may stand in two of them."""
        if not self._notes.exists():
            return []
        written: Counter[tuple[str, str]] = Counter()
        for line in self._notes.read_text().splitlines():
            _, what, *rest = line.split()
            if what == "wire":
                written.update((rest[0], leg) for leg in rest[1:])
        return [f"RE-SENT: {key} was written {count} times" for key, count in written.items() if count > 1]

    def _doubled(self, book: Path, rows: Iterable[tuple[str, ...]]) -> list[str]:
        found, entries = [], Counter[tuple[str, str]]()
        for account, name, purpose, tag in rows:
            signal = self._attempted.get((account, name))
            if signal is None:
                found.append(f"UNRECORDED: the venue has {name} of {account} ({purpose}, {tag}), the journal never attempted it")
            elif purpose == "enter":
                entries[signal, account] += 1
        return found + [f"DOUBLED: {count} entries of {key} in {book.name}" for key, count in entries.items() if count > 1]

    def _unprotected(self, book: Path) -> list[str]:
        """At rest the two are equal. A fill of the last two seconds may still be on its way to its stop."""
        until = time.monotonic() + T_PROTECT_S + 1.0
        while found := _differences(book):
            last = _rows(book, "SELECT max(ts) FROM executions")[0][0] or 0
            if time.time() - int(last) / 1e9 > T_PROTECT_S or time.monotonic() > until:
                break
            time.sleep(0.05)
        return found


def _differences(book: Path) -> list[str]:
    held = {(account, symbol): Decimal(quantity)
            for account, symbol, quantity in _rows(book, "SELECT account, symbol, quantity FROM positions")}
    stops: dict[tuple[str, str], Decimal] = {}
    for account, symbol, side, size, filled in _rows(book, "SELECT account, symbol, side, size, filled FROM orders "
                                                           "WHERE purpose = 'protect' AND state IN ('live', 'taking')"):
        key, sign = (account, symbol), 1 if side == "sell" else -1
        stops[key] = stops.get(key, Decimal(0)) + sign * (Decimal(size) - Decimal(filled))
    return [f"UNPROTECTED: {key} holds {held.get(key, Decimal(0))}, live stops cover {stops.get(key, Decimal(0))} ({book.name})"
            for key in sorted(held.keys() | stops.keys()) if held.get(key, Decimal(0)) != stops.get(key, Decimal(0))]


def _rows(book: Path, sql: str) -> list[tuple[str, ...]]:
    connection = sqlite3.connect(f"file:{book}?mode=ro", uri=True, timeout=5)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()
