"""What the rescue does at the brokers: list, cancel what could add risk, prove it by the broker's own list, and, where a person
has confirmed it, close and verify flat. Every broker at once; none waits for another.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from msgspec import Struct

from interlock.brokers.safe import SafeBroker
from interlock.errors import InterlockError, NotCleared, NotSent, OutcomeUnknown, StorageError
from interlock.gate.clearance import Signer
from interlock.model.command import FlattenBegun, FlattenEnded, KillProved
from interlock.model.entry import Payload
from interlock.model.ids import AccountName, ClientOrderId, LaneName, SignalId, StrategyName, client_order_id, identify
from interlock.model.instrument import Instrument
from interlock.model.money import Nanos
from interlock.model.order import Leg, Order, OrderType, Profile, TimeInForce
from interlock.model.record import Attempt, CancelRequested
from interlock.model.report import (
    AccountRead,
    BrokerOrder,
    BrokerPosition,
    OrderMissing,
    ReadFailed,
    WriteRefused,
    WriteUnknown,
)
from interlock.model.signal import Purpose, Side
from interlock.rescue.fence import Fence
from interlock.rescue.gate import Sight, judge
from interlock.rescue.record import RescueRecord

CANCEL_S: Final = 10.0
"""How long the rescue goes on asking and looking before it says what is left."""
SETTLE_S: Final = 0.6
"""How long after the last cancel an empty list is not yet believed; the venue's visibility delay comes on top."""
AGAIN_S: Final = 1.0
FLATTEN_S: Final = 15.0
GENERATIONS_MAX: Final = 5
LOOK_S: Final = 0.05
RESCUE: Final = "rescue"
ZERO: Final = Decimal(0)


class Why(Struct, frozen=True):
    """Why something was not done, or is not known."""

    code: str
    reason: str


@dataclass
class AccountResult:
    """What became of one account. `result` is set where flattening was asked: flat, residual or unknown."""

    account: AccountName
    broker: str
    account_id: str | None = None
    cancelled: list[str] = field(default_factory=list)     # that were asked for and are gone from the broker's list
    left: list[str] = field(default_factory=list)          # that could still add risk
    is_clean: bool = False             # the broker's own list shows none
    positions: list[BrokerPosition] = field(default_factory=list)
    notional: Decimal | None = None    # of the positions, at the broker's average price
    result: str | None = None
    why: list[Why] = field(default_factory=list)


@dataclass
class Connected:
    """One broker that the rescue holds."""

    name: str
    accounts: tuple[AccountName, ...]
    safe: SafeBroker
    visibility: float                  # seconds


class Act:
    """One rescue. `record` None: nothing can be written down; `fence` None: an engine could still write. Without either it
    cancels and closes nothing."""

    def __init__(self, connected: Sequence[Connected], instruments: Mapping[str, Instrument], *, fence: Fence | None,
                 record: RescueRecord | None, signer: Signer, cancels_all: bool, who: str,
                 monotonic: Callable[[], float] = time.monotonic, now: Callable[[], Nanos] = time.time_ns) -> None:
        self._connected, self._instruments = tuple(connected), instruments
        self._fence, self._record, self._signer = fence, record, signer
        self._cancels_all, self._who = cancels_all, who
        self._monotonic, self._now = monotonic, now
        self.results = {account: AccountResult(account, broker.name) for broker in connected for account in broker.accounts}

    async def cancel(self) -> None:
        """Cancel at every broker at once, and prove it."""
        await self._everywhere(lambda broker, account: self._cancel(broker, account, is_all=self._cancels_all))

    async def flatten(self, shown: Mapping[AccountName, str]) -> None:
        """Close the positions of the accounts that were shown and confirmed, by the ids that were shown."""
        for account in shown:
            self.results[account].result = "unknown"
        await self._everywhere(lambda broker, account: self._flatten(broker, account, shown[account]), only=frozenset(shown))

    async def _everywhere(self, act: Callable[[Connected, AccountName], Awaitable[None]],
                          only: frozenset[AccountName] | None = None) -> None:
        async def one(broker: Connected, account: AccountName) -> None:
            try:
                await act(broker, account)
            except InterlockError as error:
                code = "rescue.no_fence" if isinstance(error, StorageError) else "rescue.unreachable"
                self.results[account].why.append(Why(code, str(error)))

        await asyncio.gather(*(one(broker, account) for broker in self._connected for account in broker.accounts
                               if only is None or account in only))

    # -- cancels

    async def _cancel(self, broker: Connected, account: AccountName, *, is_all: bool) -> None:
        """Ask, look, ask again for what still stands, until the list stays clean or the time is over."""
        result = self.results[account]
        result.is_clean = False
        settle, began = SETTLE_S + broker.visibility, self._monotonic()
        asked: dict[str, float] = {}
        before, last = list(result.cancelled), began
        while True:
            read = await self._read(broker, account)
            waits = {order.client_order_id: order for order in read.orders if is_all or adds_risk(order, read)}
            now = self._monotonic()
            due = [key for key in waits if now - asked.get(key, -AGAIN_S) >= AGAIN_S]
            if due:
                last = now
                asked.update(dict.fromkeys(due, now))
                permit = "person" if is_all else ""
                self._note(*(CancelRequested(account, key, "interlock-kill", permit) for key in due))
                await asyncio.gather(*(self._ask(broker, account, key, permit) for key in due))
            result.left = list(waits)
            result.cancelled = [*before, *(key for key in asked if key not in waits)]
            result.is_clean = not waits and now - last >= settle
            if result.is_clean or now - began > CANCEL_S:
                break
            await asyncio.sleep(LOOK_S)
        self._show(result, read)
        epoch = self._fence.epoch if self._fence else 0
        self._note(KillProved(account, epoch, result.is_clean, tuple(result.left), result.notional))

    async def _ask(self, broker: Connected, account: AccountName, key: ClientOrderId, permit: str) -> None:
        try:
            await broker.safe.cancel(account, key, permit)
        except (NotCleared, NotSent, OutcomeUnknown) as error:
            code = error.code if isinstance(error, NotCleared) else "rescue.unreachable"
            self.results[account].why.append(Why(code, f"cancel of {key}: {error}"))

    # -- flatten

    async def _flatten(self, broker: Connected, account: AccountName, shown_id: str) -> None:
        """Siblings first, then the position as the broker tells it now, by orders that can only reduce it."""
        result = self.results[account]
        if self._record is None or self._fence is None:
            result.why.append(Why("rescue.no_journal" if self._record is None else "rescue.no_fence", "nothing was closed"))
            return
        read = await self._read(broker, account)
        begun = FlattenBegun("interlock-kill", account, None, (account,), tuple(
            (account, held.instrument, str(held.quantity)) for held in read.positions))
        cause, digest = self._record.write(begun)
        await self._cancel(broker, account, is_all=True)
        until = self._monotonic() + FLATTEN_S
        written: dict[str, Order] = {}             # the exit of each instrument that has not been proven dead
        generation: dict[str, int] = {}
        while True:
            read = await self._read(broker, account)
            ts_read = self._now()
            held = {position.instrument: position for position in read.positions if position.quantity}
            for symbol in list(written):
                if await self._is_dead(broker, account, written[symbol]):
                    del written[symbol]
            if not held and not written:
                break
            if self._monotonic() > until:
                await self._cancel(broker, account, is_all=True)
                break
            for symbol, position in held.items():
                number = generation.get(symbol, 0)
                if symbol in written or number >= GENERATIONS_MAX:
                    continue
                generation[symbol] = number + 1
                order = self._exit(account, position, identify(digest.hex(), symbol), number)
                sight = Sight(self._who, shown_id, self._fence.epoch, read, ts_read, self._now(), ZERO)
                if await self._place(broker, order, sight, cause, digest):
                    written[symbol] = order
            if not written and all(generation.get(symbol, 0) >= GENERATIONS_MAX for symbol in held):
                break
            await asyncio.sleep(LOOK_S)
        await self._end(broker, account)

    def _exit(self, account: AccountName, position: BrokerPosition, cause: str, generation: int) -> Order:
        leg = Leg(client_order_id=client_order_id(cause, account, "exit", generation), role="exit", purpose=Purpose.FLATTEN,
                  side=Side.SELL if position.quantity > 0 else Side.BUY, quantity=abs(position.quantity), type=OrderType.MARKET,
                  time_in_force=TimeInForce.DAY, is_reduce_only=True)
        return Order(account=account, instrument=position.instrument, venue_symbol=position.instrument, legs=(leg,),
                     signal_id=SignalId(cause), lane=LaneName(RESCUE), strategy=StrategyName(RESCUE), generation=generation)

    async def _place(self, broker: Connected, order: Order, sight: Sight, cause: int, digest: bytes) -> bool:
        """One clearance, one record, one write. Whether it may have left."""
        result, record, fence = self.results[order.account], self._record, self._fence
        refusal = judge(order, self._instruments.get(order.instrument), sight)
        if refusal is not None:
            result.why.append(Why(refusal.code, refusal.reason))
        if refusal is not None or record is None or fence is None:
            return False
        clearance = self._signer.issue(order, Profile.FLATTEN, 1, cause, digest, fence.signed, record.state_id, self._now())
        record.write(Attempt(order.client_order_id, 1, order, ZERO), clearance, cause=cause)
        try:
            await broker.safe.place(order, clearance)
        except NotCleared as error:
            self._note(WriteRefused(order.account, order.client_order_id, 1, error.code, str(error)))
            result.why.append(Why(error.code, str(error)))
            return False
        except NotSent as error:
            self._note(WriteRefused(order.account, order.client_order_id, 1, "wire.not_sent", str(error)))
            result.why.append(Why("rescue.unreachable", str(error)))
            return False
        except OutcomeUnknown as error:
            self._note(WriteUnknown(order.account, order.client_order_id, 1, str(error)))
            result.why.append(Why("rescue.unreachable", str(error)))
        return True

    async def _is_dead(self, broker: Connected, account: AccountName, order: Order) -> bool:
        """Whether the venue says that it can fill no more. Not found is no proof while it may still be on its way."""
        found = await broker.safe.lookup(account, order.client_order_id)
        if isinstance(found, OrderMissing):
            return False
        if found.outcome is None:
            return False
        self._note(found)
        return True

    async def _end(self, broker: Connected, account: AccountName) -> None:
        """The broker's own last word."""
        result = self.results[account]
        read = await self._read(broker, account)
        self._show(result, read)
        result.left = [order.client_order_id for order in read.orders]
        result.is_clean = not result.left
        result.result = "flat" if not result.positions and not result.left else "residual"
        said = "; ".join(each.reason for each in result.why)
        self._note(*(FlattenEnded(account, held.instrument, "residual", held.quantity, said)
                     for held in result.positions),
                   *(() if result.positions else (FlattenEnded(account, "", result.result, ZERO, said),)))

    # -- what it sees

    async def _read(self, broker: Connected, account: AccountName) -> AccountRead:
        try:
            read = await broker.safe.read(account)
        except InterlockError as error:
            self._note(ReadFailed(account, str(error)))
            raise
        self._note(*broker.safe.drain())
        result = self.results[account]
        if result.account_id != read.account_id:
            self._note(read)
        result.account_id = read.account_id
        return read

    def _show(self, result: AccountResult, read: AccountRead) -> None:
        result.positions = [held for held in read.positions if held.quantity]
        result.notional = self._notional(result.positions)
        self._note(read)

    def _notional(self, positions: Sequence[BrokerPosition]) -> Decimal | None:
        """At the broker's average price, the only price that the rescue has; None where it does not know one."""
        total = ZERO
        for held in positions:
            instrument = self._instruments.get(held.instrument)
            if instrument is None or held.average_price is None:
                return None
            total += abs(held.quantity) * held.average_price * instrument.multiplier
        return total

    def _note(self, *payloads: Payload) -> None:
        """Write down what happened. A journal that fails now ends the acts that need one, and is said."""
        if self._record is None or not payloads:
            return
        try:
            self._record.write(*payloads)
        except StorageError as error:
            self._record = None
            for result in self.results.values():
                result.why.append(Why("rescue.no_journal", str(error)))


def adds_risk(order: BrokerOrder, read: AccountRead) -> bool:
    """Whether the order could make a position, or a larger one: everything but an exit on the side that closes what is held."""
    held = sum((position.quantity for position in read.positions if position.instrument == order.instrument), ZERO)
    return not (order.is_exit and order.is_live and held * order.side.sign < 0)
