"""The paper venue behind `ports.Broker`: joins translation and wire, and knows nothing else of the venue."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from interlock.brokers.paper import frames, translate
from interlock.brokers.paper.frames import (
    AccountFrame,
    Answer,
    CancelFrame,
    Found,
    LookupFrame,
    Missing,
    PingFrame,
    Pong,
    ReadFrame,
    Taken,
)
from interlock.brokers.paper.wire import AnswerLost, ConnectFailed, Line
from interlock.errors import InvariantBroken, MalformedMessage, NotSent, OutcomeUnknown, Unsupported
from interlock.model.ids import AccountName, ClientOrderId
from interlock.model.instrument import Instrument
from interlock.model.market import Proof
from interlock.model.money import Nanos
from interlock.model.order import Order
from interlock.model.report import AccountRead, LineChanged, OrderFound, OrderMissing, Report
from interlock.ports import Capabilities, Encoded

QUEUE_MAX = 100_000
"""Reports that may wait unread; more means that nobody is listening."""


class PaperBroker:
    """One connection to the paper venue, for the accounts it was given.

    No method suspends unless a latency fault holds its bytes back, so a driver without an event loop may run a call by
    `coroutine.send(None)` and take the reports with `drain`.
    """

    def __init__(self, line: Line, instruments: Mapping[str, Instrument], accounts: Sequence[AccountName],
                 capabilities: Capabilities, defined: Collection[str] | None = None) -> None:
        self._line = line
        self._instruments = {symbol: instrument.symbol for symbol, instrument in instruments.items()}
        self._accounts = tuple(accounts)
        self._capabilities = capabilities
        self._defined = None if defined is None else frozenset(defined)
        self._queue: deque[bytes | LineChanged] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_closed = False
        line.listen(self._enqueue, self.tell_line)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def accounts(self) -> tuple[AccountName, ...]:
        return self._accounts

    def encode(self, order: Order) -> Encoded:
        if len(order.legs) > 1 and not self._capabilities.has_native_brackets:
            raise Unsupported(f"paper: {order.client_order_id} has {len(order.legs)} legs; this venue takes one each")
        if order.replaces is not None and not self._capabilities.has_replace:
            raise Unsupported(f"paper: {order.client_order_id} replaces {order.replaces}; this venue cannot replace")
        if order.replaces is not None and len(order.legs) > 1:
            raise Unsupported(f"paper: {order.client_order_id} would replace one order by {len(order.legs)} legs")
        return Encoded(order.account, order.client_order_id, translate.order_bytes(order))

    def read_back(self, body: bytes) -> tuple[str, str, tuple[tuple[str, ...], ...], str]:
        return translate.read_back(body)

    async def place(self, order: Encoded) -> None:
        await self._write("place", order.body, order.client_order_id)

    async def modify(self, order: Encoded) -> None:
        await self._write("modify", order.body, order.client_order_id)

    async def cancel(self, account: AccountName, client_order_id: ClientOrderId) -> None:
        await self._write("cancel", frames.encode(CancelFrame(account, client_order_id)), client_order_id)

    async def lookup(self, account: AccountName, client_order_id: ClientOrderId) -> OrderFound | OrderMissing:
        answer = await self._ask("lookup", frames.encode(LookupFrame(account, client_order_id)), client_order_id)
        if not isinstance(answer, Found | Missing) or (answer.account, answer.id) != (account, client_order_id):
            raise OutcomeUnknown(f"paper: asked for {client_order_id} of {account}, found {answer!r}")
        return translate.found(answer)

    async def read(self, account: AccountName) -> AccountRead:
        connection = self._line.connection
        answer = await self._ask("read", frames.encode(ReadFrame(account)), account)
        if not isinstance(answer, AccountFrame) or answer.account != account:
            raise OutcomeUnknown(f"paper: asked for account {account}, found {answer!r}")
        try:
            return translate.account_read(answer, connection, self._instruments, self._defined)
        except MalformedMessage as e:
            raise OutcomeUnknown(f"paper: account {account} cannot be read: {e}") from e

    async def reports(self) -> AsyncIterator[Report]:
        """Reports as they arrive, until the broker is closed. One reader only."""
        while not self._is_closed:
            if self._queue:
                yield self._decode(self._queue.popleft())
                continue
            if self._waiter is not None:
                raise InvariantBroken("paper: the reports have one reader, found a second")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def drain(self) -> list[Report]:
        """All reports that have arrived, without an event loop."""
        queue = self._queue
        return [self._decode(queue.popleft()) for _ in range(len(queue))] if queue else []

    def ping(self, ts: Nanos) -> list[Proof]:
        """Ask the venue for a sign of life per account; nothing for an account where none came back."""
        proofs = []
        for account in self._accounts:
            try:
                answer = translate.answer(self._line.exchange("ping", frames.encode(PingFrame(account))))
            except (ConnectFailed, AnswerLost, MalformedMessage):
                continue                           # no proof: what depends on it goes stale by itself
            if isinstance(answer, Pong) and answer.account == account:
                proofs.append(Proof(account, answer.sequence, ts, answer.ts))
        return proofs

    async def reconnect(self) -> None:
        """Connect anew after the line was lost; a person asks for it. Raises NotSent while it stays down."""
        try:
            await self._line.reconnect()
        except ConnectFailed as e:
            raise NotSent(f"paper: {e}") from e

    async def close(self) -> None:
        self._is_closed = True
        self._line.close()
        self._wake()

    async def _write(self, kind: str, body: bytes, what: str) -> None:
        try:
            raw = await self._line.request(kind, body)
        except ConnectFailed as e:
            raise NotSent(f"paper: {kind} of {what} never left: {e}") from e
        except AnswerLost as e:
            raise OutcomeUnknown(f"paper: no answer to {kind} of {what}: {e}") from e
        answer = self._read_answer(raw, kind, what)
        if not isinstance(answer, Taken):
            raise OutcomeUnknown(f"paper: {kind} of {what} was answered {answer!r}")

    async def _ask(self, kind: str, body: bytes, what: str) -> Answer:
        try:
            raw = await self._line.request(kind, body)
        except (ConnectFailed, AnswerLost) as e:
            raise OutcomeUnknown(f"paper: no answer to {kind} of {what}: {e}") from e
        return self._read_answer(raw, kind, what)

    @staticmethod
    def _read_answer(raw: bytes, kind: str, what: str) -> Answer:
        try:
            return translate.answer(raw)
        except MalformedMessage as e:
            raise OutcomeUnknown(f"paper: {kind} of {what}: {e}") from e

    def _decode(self, item: bytes | LineChanged) -> Report:
        return item if isinstance(item, LineChanged) else translate.report(item, self._instruments)

    def _enqueue(self, body: bytes) -> None:
        if len(self._queue) >= QUEUE_MAX:
            raise InvariantBroken(f"paper: {QUEUE_MAX} reports wait and nobody reads them")
        self._queue.append(body)
        self._wake()

    def tell_line(self, is_up: bool, reason: str) -> None:
        """Report how the line stands, for each account."""
        for account in self._accounts:
            self._queue.append(LineChanged(account, is_up, self._line.connection, reason))
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
