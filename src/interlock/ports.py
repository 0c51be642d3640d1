"""Every door to the world on one page. Stages see none of them; edges know these and not the rooms behind."""

from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from msgspec import Struct

from interlock.model.clearance import Content, Epochs
from interlock.model.entry import Raw
from interlock.model.ids import AccountName, ClientOrderId
from interlock.model.money import Nanos
from interlock.model.order import Order
from interlock.model.report import AccountRead, OrderFound, OrderMissing, Report
from interlock.model.tape import MarketMessage


class Clock(Protocol):
    """The engine clock: int64 nanoseconds UTC, never backwards."""

    def now(self) -> Nanos: ...


class Capabilities(Struct, frozen=True, kw_only=True):
    """What a venue does by itself; what it lacks is emulated by `execution`."""

    has_native_brackets: bool          # entry, stop and target in one message, exits linked and sized by the venue
    has_replace: bool                  # a modify that names the order it replaces
    visibility_delay: Nanos            # how long a look-up may miss an order that arrived


class Encoded(Struct, frozen=True):
    """An order as the bytes that will be written, and how to find it afterwards."""

    account: AccountName
    client_order_id: ClientOrderId
    body: bytes


class Broker(Protocol):
    """One venue connection. `place` and `modify` are the only calls that write orders; SafeBroker alone makes them."""

    @property
    def capabilities(self) -> Capabilities: ...

    def encode(self, order: Order) -> Encoded:
        """The venue's own message. Raises Unsupported when it cannot say that."""
        ...

    def read_back(self, body: bytes) -> tuple[str, str, tuple[tuple[str, ...], ...], str]:
        """Decode with the codec's own reader: account, venue symbol, the legs' fields as in clearance.LegContent (text;
        reduce-only as "1" or ""), and the id it replaces ("" for none). Raises MalformedMessage."""
        ...

    async def place(self, order: Encoded) -> None:
        """Write once. Raises NotSent (certainly never left) or OutcomeUnknown. Answers arrive as reports."""
        ...

    async def modify(self, order: Encoded) -> None:
        """Write a replacement once; raises as `place` does."""
        ...

    async def cancel(self, account: AccountName, client_order_id: ClientOrderId) -> None:
        """Ask for a cancel. Raises NotSent or OutcomeUnknown."""
        ...

    async def lookup(self, account: AccountName, client_order_id: ClientOrderId) -> OrderFound | OrderMissing:
        """What became of an order of ours. Raises OutcomeUnknown when there is no whole answer."""
        ...

    async def read(self, account: AccountName) -> AccountRead:
        """The whole account, all pages. Raises OutcomeUnknown for anything less."""
        ...

    def reports(self) -> AsyncIterator[Report]:
        """The user stream: reports and LineChanged, in the order of arrival."""
        ...

    async def reconnect(self) -> None:
        """A new connection after the line was lost, because a person asked for it. Raises NotSent while it stays down; that
        it is up comes as LineChanged."""
        ...

    async def close(self) -> None: ...


class EpochReader(Protocol):
    """The small record that SafeBroker reads at each write. Unreadable raises StorageError, which refuses."""

    def read(self) -> Epochs: ...


class Confirmations(Protocol):
    """The small record of live accounts that a person has confirmed to this process. SafeBroker reads it at each write."""

    def number(self, account: AccountName) -> str | None:
        """The number that was typed; None: nobody has confirmed the account."""
        ...


class Batch(Struct, frozen=True):
    """Whole turns that become durable together: journal records, the tape rows that came before them, a snapshot."""

    first_seq: int                     # of the records; equal to last_seq + 1 when there are none
    last_seq: int
    prev_hash: bytes                   # of the entry before the first
    head_hash: bytes                   # of the last entry
    records: bytes
    first_row: int                     # number of the first tape row
    tape: bytes
    snapshot: bytes | None = None      # stands on head_hash


class StoredSnapshot(Struct, frozen=True):
    seq: int
    head_hash: bytes
    last_row: int
    body: bytes


class Store(Protocol):
    """Where journal, tape and snapshots are kept. One writer; readers may open it read-only beside it."""

    def commit(self, batch: Batch) -> None:
        """All or nothing, durable on return. Raises StorageError; afterwards whether it stands is not known."""
        ...

    def head(self) -> tuple[int, bytes, int]:
        """seq and hash of the last entry (0 and zeros if none), and the number of tape rows."""
        ...

    def batches(self, from_seq: int = 1) -> Iterator[tuple[int, bytes, bytes]]:
        """(first_seq, prev_hash, records) of each batch, oldest first, beginning with the one that holds `from_seq`."""
        ...

    def raw(self, from_seq: int = 1) -> Iterator[Raw]:
        """Checked records from `from_seq` on. Raises JournalDamaged."""
        ...

    def tape(self, from_row: int = 0) -> Iterator[MarketMessage]: ...

    def latest_snapshot(self) -> StoredSnapshot | None: ...

    def close(self) -> None: ...


class Signer(Protocol):
    """The only object that holds signing keys."""

    def sign(self, content: Content) -> bytes: ...
