"""One turn: number the input, step the core, append what it produced, commit, then release what waited on it.

Nothing leaves before the batch that holds its cause and itself is durable. A commit that fails, or whose outcome is not
known, closes the outbox for good: what we cannot write down we do not do.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import structlog

from interlock.brokers.safe import SafeBroker
from interlock.engine.step import Engine
from interlock.errors import InterlockError, InvariantBroken, NotCleared, NotSent, OutcomeUnknown, StorageError
from interlock.intake.stage import Intake
from interlock.model.clearance import Clearance
from interlock.model.command import CommandGiven, Reconnecting
from interlock.model.entry import Payload
from interlock.model.ids import AccountName
from interlock.model.market import MarketState, Proof, Quote, Trade
from interlock.model.money import Nanos
from interlock.model.record import Attempt, CancelRequested, LookupRequested, ReadRequested
from interlock.model.report import CancelRejected, LineChanged, ReadFailed, Report, WriteRefused, WriteUnknown
from interlock.model.signal import AlertReceived
from interlock.ports import Batch
from interlock.runtime.clock import WALL, Clock
from interlock.runtime.epochs import EpochRecord
from interlock.runtime.inbox import Inbox, Item
from interlock.storage.committer import Committer
from interlock.storage.journal import Journal

log = structlog.get_logger("interlock.desk")

MARKET: Final = frozenset((Quote, Trade, MarketState, Proof))
ACTS: Final = frozenset((Attempt, CancelRequested, LookupRequested, ReadRequested, Reconnecting))
"""What leaves for a broker once it is durable."""
RELEASED: Final = ACTS | {Clearance}


ANSWER_S: Final = 5.0
"""How long a write may still be under way when the desk stops; then it is left in doubt."""


class Watcher(Protocol):
    """Somebody who is told of what has become durable, in order: the board, the mirrors, a counter."""

    def on_entry(self, seq: int, ts: Nanos, payload: Payload) -> None: ...

    def on_market(self, message: Quote | Trade | MarketState | Proof) -> None: ...


@dataclass(slots=True)
class _Open:
    """What waits on the open batch."""

    entries: list[tuple[int, Nanos, Payload]] = field(default_factory=list)
    replies: list[tuple[asyncio.Future[Any], Any]] = field(default_factory=list)
    is_urgent: bool = False


class Desk:
    """The engine, its journal and its way out. All turns happen on one thread, one after the other."""

    def __init__(self, *, engine: Engine, intake: Intake, journal: Journal, committer: Committer, clock: Clock,
                 epochs: EpochRecord, brokers: Mapping[AccountName, SafeBroker], inbox: Inbox, snapshot_every: int,
                 watchers: tuple[Watcher, ...] = ()) -> None:
        self.engine = engine
        self.intake = intake
        self.journal = journal
        self.clock = clock
        self.inbox = inbox
        self.halted_by: str | None = None
        self.pump: Callable[[], bool] | None = None    # moves the venues to what they have due next; False: nothing is
        self._committer = committer
        self._epochs = epochs
        self._brokers = brokers
        self._watchers = watchers
        self._snapshot_every = snapshot_every
        self._since_snapshot = 0
        self._is_wall = clock.kind == WALL
        self._open = _Open()
        self._tasks: set[asyncio.Task[None]] = set()

    # -- the turn

    def turn(self, message: Any, *, reply: asyncio.Future[Any] | None = None) -> list[Payload]:
        """Step one input at the engine clock and append it with all it produced.

        A turn that breaks halts the desk with nothing of the open batch committed: half a turn is no record, and whoever
        waits for an answer is told that there is none.
        """
        try:
            return self._turn(message, reply)
        except Exception as error:
            if reply is not None:
                self._open.replies.append((reply, None))
            self.halt(f"a turn broke: {error!r}", self._open)
            raise

    def _turn(self, message: Any, reply: asyncio.Future[Any] | None) -> list[Payload]:
        now = self.clock.now()
        kind = type(message)
        if kind in MARKET:
            self.journal.tape(message)
            outputs = self.engine.step(now, message)
            for watcher in self._watchers:
                watcher.on_market(message)
            if not outputs:
                return outputs
            cause = 0
        else:
            if kind is CommandGiven:
                message = CommandGiven(message.command, message.who, message.origin, now)
            cause, digest = self._append(now, message, 0)
            if kind is AlertReceived:
                self.intake.apply(message, now)
                answer = self.intake.react(message, now)
                self.intake.apply(answer, now)
                cause, digest = self._append(now, answer, cause)
                outputs = self.engine.step(now, answer, cause, digest)
                if reply is not None:
                    self._open.replies.append((reply, answer))
                reply = None
            else:
                outputs = self.engine.step(now, message, cause, digest)
        for output in outputs:
            self._append(now, output, cause)
        if self._epochs.kill != self.engine.kill_epoch:
            # At once, not after the commit: an order of an earlier turn that is about to be written must see it.
            self._epochs.kill = self.engine.kill_epoch
        if reply is not None:
            self._open.replies.append((reply, self._outcome(message, outputs)))
        return outputs

    def _append(self, now: Nanos, payload: Payload, cause: int) -> tuple[int, bytes]:
        seq, digest = self.journal.append(now, payload, cause=cause)
        self._open.entries.append((seq, now, payload))
        if type(payload) in ACTS:
            self._open.is_urgent = True
        return seq, digest

    def _outcome(self, message: Any, outputs: list[Payload]) -> Any:
        return self.engine.outcome(message, outputs)

    # -- the commit and what it releases

    @property
    def has_open(self) -> bool:
        return bool(self._open.entries)

    @property
    def open_count(self) -> int:
        return len(self._open.entries)

    @property
    def is_urgent(self) -> bool:
        """Something waits to leave, or somebody for an answer."""
        return self._open.is_urgent or bool(self._open.replies)

    async def settle(self) -> None:
        """Commit the open batch and release everything that waited on it, in order."""
        if not self._open.entries:
            return
        self._since_snapshot += len(self._open.entries)
        batch = self.seal(with_snapshot=self._since_snapshot >= self._snapshot_every)
        closing, self._open = self._open, _Open()
        try:
            if self._is_wall:
                await self._committer.commit(batch)
            else:
                self._committer.commit_now(batch)
        except StorageError as error:
            self.halt(f"the journal cannot be written: {error}", closing)
            raise
        for reply, answer in closing.replies:
            if not reply.done():
                reply.set_result(answer)
        if closing.is_urgent:
            await self._release(closing.entries)
            if self._is_wall:
                await asyncio.sleep(0)     # the orders leave before anybody is told of them
        for watcher in self._watchers:
            for seq, ts, payload in closing.entries:
                watcher.on_entry(seq, ts, payload)

    async def _release(self, entries: list[tuple[int, Nanos, Payload]]) -> None:
        clearances: dict[tuple[str, int], Clearance] = {}
        acts: list[Callable[[], Coroutine[Any, Any, None]]] = []
        for _, _, payload in entries:
            if type(payload) not in RELEASED:
                continue
            if isinstance(payload, Clearance):
                clearances[payload.content.nonce] = payload
            elif isinstance(payload, Attempt):
                clearance = clearances.pop((payload.client_order_id, payload.attempt), None)
                if clearance is None:
                    raise InvariantBroken(f"{payload.client_order_id}: an attempt without its clearance")
                acts.append(_bind(self._place, payload, clearance))
            elif isinstance(payload, CancelRequested):
                acts.append(_bind(self._cancel, payload))
            elif isinstance(payload, LookupRequested):
                acts.append(_bind(self._lookup, payload))
            elif isinstance(payload, ReadRequested):
                acts.append(_bind(self._read, payload))
            elif isinstance(payload, Reconnecting):
                acts.append(_bind(self._reconnect, payload))
        for act in acts:
            if not self._is_wall:
                await self._stand(act())   # the clock stands until the answer is there
            else:
                # A task each: a venue that hangs holds up its own order and no other.
                task = asyncio.get_running_loop().create_task(act())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _stand(self, act: Coroutine[Any, Any, None]) -> None:
        """Wait for an answer with the clock standing; it moves only as far as the venue needs in order to give it."""
        task = asyncio.get_running_loop().create_task(act)
        await asyncio.sleep(0)
        while not task.done():
            if self.pump is None or not self.pump():
                await asyncio.wait({task}, timeout=ANSWER_S)
                if not task.done():
                    task.cancel()
                    raise InvariantBroken(f"a venue in this process has not answered within {ANSWER_S:g} s")
            await asyncio.sleep(0)
        task.result()

    async def _place(self, attempt: Attempt, clearance: Clearance) -> None:
        account, key, number = attempt.order.account, attempt.client_order_id, attempt.attempt
        why = self.engine.withdrawn(attempt.order)     # other turns have passed since it was cleared
        if why is not None:
            self.inbox.put(WriteRefused(account, key, number, "order.withdrawn", why))
            return
        try:
            await self._brokers[account].place(attempt.order, clearance)
        except NotCleared as error:
            log.error("safebroker refused", order=key, code=error.code, reason=str(error))
            self.inbox.put(WriteRefused(account, key, number, error.code, str(error)))
        except NotSent as error:
            self.inbox.put(WriteRefused(account, key, number, "wire.not_sent", str(error)))
        except OutcomeUnknown as error:
            self.inbox.put(WriteUnknown(account, key, number, str(error)))
        except Exception as error:
            # The top of the runtime: whatever broke, it may have left. In doubt is the only honest state.
            log.exception("an order write broke", order=key)
            self.inbox.put(WriteUnknown(account, key, number, repr(error)))

    async def _cancel(self, request: CancelRequested) -> None:
        try:
            await self._brokers[request.account].cancel(request.account, request.client_order_id, request.permit)
        except NotCleared as error:
            log.error("safebroker refused a cancel", order=request.client_order_id, code=error.code, reason=str(error))
            self.inbox.put(CancelRejected(request.account, request.client_order_id, f"[{error.code}] {error}", self.clock.now()))
        except (NotSent, OutcomeUnknown) as error:
            self.inbox.put(WriteUnknown(request.account, request.client_order_id, 0, f"cancel: {error}"))

    async def _lookup(self, request: LookupRequested) -> None:
        try:
            self.inbox.put(await self._brokers[request.account].lookup(request.account, request.client_order_id))
        except InterlockError as error:
            self.inbox.put(WriteUnknown(request.account, request.client_order_id, 0, f"look-up: {error}"))

    async def _read(self, request: ReadRequested) -> None:
        try:
            self.inbox.put(await self._brokers[request.account].read(request.account))
        except InterlockError as error:
            self.inbox.put(ReadFailed(request.account, str(error)))

    async def _reconnect(self, request: Reconnecting) -> None:
        """The new line tells of itself; one that stays down is said here."""
        try:
            await self._brokers[request.account].reconnect()
        except InterlockError as error:
            line = self.engine.latches.lines[request.account]
            self.inbox.put(LineChanged(request.account, False, line.connection, str(error)))
        self.inbox.wake()

    # -- the inbox

    def take(self, limit: int) -> int:
        """Turn at most `limit` waiting messages; returns how many."""
        for count in range(limit):
            item: Item | None = self.inbox.take()
            if item is None:
                return count
            self.turn(item.message, reply=item.reply)
        return limit

    def on_report(self, report: Report) -> None:
        self.inbox.put(report)

    # -- stopping

    def seal(self, *, with_snapshot: bool) -> Batch:
        """Close the open batch, with a snapshot of every room if asked for."""
        if with_snapshot:
            self._since_snapshot = 0
            return self.journal.seal(self.engine.snapshot(self.intake.snapshot()))
        return self.journal.seal()

    def halt(self, why: str, closing: _Open) -> None:
        """Everything that waits is refused; nothing is written or sent from here on."""
        self.halted_by = why
        for reply, _ in closing.replies:
            if not reply.done():
                reply.set_exception(StorageError(why))
        self.inbox.close(why)

    async def finish(self) -> None:
        """Wait a moment for the writes that are under way; what has no answer by then is in doubt, as the record says."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=ANSWER_S)
            for task in late:
                task.cancel()


def _bind(act: Callable[..., Awaitable[None]], *arguments: Any) -> Callable[[], Coroutine[Any, Any, None]]:
    async def run() -> None:
        await act(*arguments)

    return run
