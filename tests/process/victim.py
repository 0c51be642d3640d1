"""Runs the real `interlock` command in this process and ends it by SIGKILL when a named point is passed for the n-th time.

The product knows nothing of it: its functions are wrapped here, from outside. Every order message that reaches the venue is
noted in a file of our own before the process may die, so that a second writing of the same order can be found afterwards.

    python -m tests.process.victim POINT NTH LOG -- run --state DIR --port P --hook-port H
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from interlock.brokers.paper import translate
from interlock.brokers.paper.adapter import PaperBroker
from interlock.brokers.paper.book import SqliteBook
from interlock.brokers.paper.rows import ExecutionRow
from interlock.brokers.paper.wire import Wire
from interlock.brokers.safe import SafeBroker
from interlock.engine.step import Engine
from interlock.model.command import CommandGiven, Killed
from interlock.model.record import Started
from interlock.model.report import OrderAccepted, OrderCancelled, OrderFilled
from interlock.model.signal import AlertReceived, Purpose
from interlock.runtime import wiring
from interlock.runtime.desk import Desk
from interlock.runtime.inbox import Inbox
from interlock.storage.lease import Lease
from interlock.storage.sqlite.store import SqliteStore

BEFORE = "before the commit"
GAP = "between commit and wire, or wire and answer"
AFTER = "after the answer"
START = "during start and recovery"


@dataclass(frozen=True)
class Point:
    """Where a process dies: `when` says which stretch of the turn it is, `needs` what has to be sent for it to be passed."""

    name: str
    when: str
    needs: str = "buy"                 # buy, close, kill; start: an order left open by an earlier kill
    nth_max: int = 3


POINTS = {point.name: point for point in (
    Point("alert.numbered", BEFORE), Point("turn.decided", BEFORE), Point("commit.begun", BEFORE, nth_max=2),
    Point("commit.before_sqlite_commit", BEFORE, nth_max=2),
    Point("commit.done", GAP, nth_max=2), Point("place.entered", GAP, nth_max=4), Point("place.protect", GAP, nth_max=2),
    Point("place.reduce", GAP, "close", 2), Point("safe.checked", GAP, nth_max=4), Point("wire.before", GAP, nth_max=4),
    Point("venue.before_commit", GAP, nth_max=2), Point("venue.after_commit", GAP, nth_max=4),
    Point("wire.answered", GAP, nth_max=4), Point("wire.protect_answered", GAP, nth_max=2),
    Point("wire.reduce_answered", GAP, "close", 2),
    Point("accepted.unread", AFTER, nth_max=4), Point("accepted.turned", AFTER, nth_max=4),
    Point("venue.filling", AFTER, nth_max=4), Point("venue.before_fill_commit", AFTER, nth_max=4),
    Point("venue.after_fill_commit", AFTER, nth_max=4), Point("fill.unread", AFTER, nth_max=4),
    Point("fill.turned", AFTER, nth_max=4),
    Point("exit_fill.unread", AFTER, "close", 2),
    Point("cancel.before", GAP, "close", 3), Point("cancel.written", GAP, "close", 3),
    Point("cancelled.unread", AFTER, "close", 3),
    Point("snapshot.taken", BEFORE, nth_max=1), Point("snapshot.stored", BEFORE, nth_max=1),
    Point("snapshot.committed", AFTER, nth_max=1),
    Point("kill.numbered", BEFORE, "kill", 1), Point("kill.decided", BEFORE, "kill", 1),
    Point("kill.committed", AFTER, "kill", 1),
    Point("start.leased", START, "start", 1), Point("start.opened", START, "start", 1), Point("start.folded", START, "start", 1),
    Point("start.numbered", START, "start", 1), Point("start.before_commit", START, "start", 2),
    Point("start.committed", START, "start", 3), Point("start.before_lookup", START, "start", 1),
    Point("start.looked_up", START, "start", 1), Point("start.before_read", START, "start", 2),
    Point("start.read", START, "start", 2),
)}


class Victim:
    """Counts the passes of one point. Points of a turn count from the first alert or command on."""

    def __init__(self, point: str, nth: int, log: Path) -> None:
        self.point, self.left = point, nth
        self.is_armed = bool(point) and POINTS[point].when == START
        self.is_placing = False        # an order message is with the venue
        self.entries: set[str] = set() # client ids of the entries written by this process
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.Lock()

    def arm(self) -> None:
        self.is_armed = True

    def at(self, name: str) -> None:
        if name != self.point or not self.is_armed:
            return
        with self._lock:
            self.left -= 1
            if not self.left:
                self.note(f"point {name}")
                die()

    def note(self, text: str) -> None:
        os.write(self._log, f"{os.getpid()} {text}\n".encode())


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    while True:
        signal.pause()


def wrap(owner: Any, name: str, *, before: Callable[..., None] | None = None, after: Callable[..., None] | None = None) -> None:
    """`before` and `after` see the arguments of each call; `after` only when it has returned."""
    inner, is_classmethod = getattr(owner, name), isinstance(vars(owner)[name], classmethod)
    if is_classmethod:
        inner = inner.__func__

    def outer(*given: Any, **named: Any) -> Any:
        if before is not None:
            before(*given, **named)
        answer = inner(*given, **named)
        if after is not None:
            after(*given, **named)
        return answer

    setattr(owner, name, classmethod(outer) if is_classmethod else outer)


def wrap_async(owner: type, name: str, *, before: Callable[..., None] | None = None,
               after: Callable[..., None] | None = None) -> None:
    inner = getattr(owner, name)

    async def outer(*given: Any, **named: Any) -> Any:
        if before is not None:
            before(*given, **named)
        answer = await inner(*given, **named)
        if after is not None:
            after(*given, **named)
        return answer

    setattr(owner, name, outer)


def plant(victim: Victim) -> None:
    """Wrap every function of the turn at which a process may die."""
    at = victim.at
    _plant_turn(victim)
    _plant_store(victim)

    def placing(_safe: Any, order: Any, _clearance: Any) -> None:
        if order.purpose is Purpose.ENTER:
            at("place.entered")
        elif order.purpose is Purpose.PROTECT:
            at("place.protect")
        else:
            at("place.reduce")

    wrap_async(SafeBroker, "place", before=placing)
    wrap(SafeBroker, "_charge", after=lambda *_: at("safe.checked"))
    wrap_async(SafeBroker, "cancel", before=lambda *_: at("cancel.before"))
    wrap_async(PaperBroker, "cancel", after=lambda *_: at("cancel.written"))
    wrap_async(SafeBroker, "lookup", before=lambda *_: at("start.before_lookup"), after=lambda *_: at("start.looked_up"))
    wrap_async(SafeBroker, "read", before=lambda *_: at("start.before_read"), after=lambda *_: at("start.read"))

    def carrying(_wire: Any, kind: str, body: bytes, _faults: Any) -> None:
        if kind in ("place", "modify"):
            at("wire.before")
            account, _, legs, _ = translate.read_back(body)
            victim.note(f"wire {account} {' '.join(leg[0] for leg in legs)}")
            victim.is_placing = True
            if legs[0][2] == Purpose.ENTER.value:
                victim.entries.add(legs[0][0])

    def carried(_wire: Any, kind: str, body: bytes, _faults: Any) -> None:
        if kind in ("place", "modify"):
            victim.is_placing = False
            purpose = translate.read_back(body)[2][0][2]
            at({"enter": "wire.answered", "protect": "wire.protect_answered"}.get(purpose, "wire.reduce_answered"))

    wrap(Wire, "_carry", before=carrying, after=carried)

    def booked(_book: Any, row: Any) -> None:
        if isinstance(row, ExecutionRow):
            at("venue.filling")

    was_open = [False]

    def keeping(book: SqliteBook) -> None:
        was_open[0] = book._is_open
        if was_open[0]:
            at("venue.before_commit" if victim.is_placing else "venue.before_fill_commit")

    def kept(_book: SqliteBook) -> None:
        if was_open[0]:
            at("venue.after_commit" if victim.is_placing else "venue.after_fill_commit")

    wrap(SqliteBook, "save", after=booked)
    wrap(SqliteBook, "commit", before=keeping, after=kept)

    def arriving(_inbox: Any, message: Any) -> None:
        match message:
            case OrderAccepted():
                at("accepted.unread")
            case OrderFilled():
                at("fill.unread" if message.client_order_id in victim.entries else "exit_fill.unread")
            case OrderCancelled():
                at("cancelled.unread")

    wrap(Inbox, "put", before=arriving)


def _plant_turn(victim: Victim) -> None:
    at = victim.at

    def turning(_desk: Any, message: Any, **_: Any) -> None:
        if isinstance(message, AlertReceived | CommandGiven):
            victim.arm()

    def appended(_desk: Any, _now: int, payload: Any, _cause: int) -> None:
        match payload:
            case AlertReceived():
                at("alert.numbered")
            case CommandGiven():
                at("kill.numbered")
            case Killed():
                at("kill.decided")
            case Started():
                at("start.numbered")
            case _:
                pass

    def turned(desk: Any, message: Any, **_: Any) -> None:
        match message:
            case AlertReceived():
                at("turn.decided")
            case OrderAccepted():
                at("accepted.turned")
            case OrderFilled():
                at("fill.turned")
            case _:
                pass

    wrap(Desk, "_append", after=appended)
    wrap(Desk, "turn", before=turning, after=turned)
    wrap(Engine, "snapshot", after=lambda *_: at("snapshot.taken"))


def _plant_store(victim: Victim) -> None:
    """Inside and around the one transaction of a batch; they act on batches that hold what leaves, or a snapshot."""
    at, batches = victim.at, []

    def acts(batch: Any) -> bool:
        return b"attempt" in batch.records or b"cancel_requested" in batch.records

    def writing(_store: Any, batch: Any, _rows: int) -> None:
        batches.append(batch)
        at("start.before_commit")
        if acts(batch):
            at("commit.begun")

    def moved(_store: Any, _head: Any) -> None:
        if batches and acts(batches[-1]):
            at("commit.before_sqlite_commit")
        if batches and batches[-1].snapshot is not None:
            at("snapshot.stored")

    def committed(_store: Any, batch: Any) -> None:
        batches.clear()
        at("start.committed")
        if acts(batch):
            at("commit.done")
        if batch.snapshot is not None:
            at("snapshot.committed")
        if b"\xa6killed" in batch.records:
            at("kill.committed")

    wrap(SqliteStore, "_write", before=writing)
    wrap(SqliteStore, "_move_head", after=moved)
    wrap(SqliteStore, "commit", after=committed)
    wrap(Lease, "take", after=lambda *_: at("start.leased"))
    wrap(wiring, "open_journal", after=lambda *_, **__: at("start.opened"))
    wrap(wiring, "_restore", after=lambda *_: at("start.folded"))


def main() -> None:
    point, nth, log, _, *command = sys.argv[1:]
    plant(Victim("" if point == "none" else point, int(nth), Path(log)))
    sys.argv = ["interlock", *command]
    from interlock.cli.main import main as interlock

    interlock()


if __name__ == "__main__":
    main()
