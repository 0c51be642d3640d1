"""One line of the journal: its payload, its place in the chain, and its bytes.

A record is `length seq ts cause flags prev_hash payload hash`, little endian. `hash` is the SHA-256 of all that stands
before it, so every record checks itself, names its predecessor and cannot be moved, changed or left out unseen.
"""

import hashlib
import struct
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from interlock.errors import JournalDamaged
from interlock.model.account import ClosedTrade
from interlock.model.clearance import Clearance
from interlock.model.command import (
    AccountAdopted,
    AccountConfirmed,
    AccountDisabled,
    AccountEnabled,
    CommandGiven,
    CommandRefused,
    ConfirmationRefused,
    Decided,
    DrillRecorded,
    Enabled,
    FlattenBegun,
    FlattenEnded,
    Killed,
    KillProved,
    LiveDeclined,
    OrderAdopted,
    PositionAdopted,
    QuestionClosed,
    QuestionOpened,
    Reconnecting,
    Released,
)
from interlock.model.market import Bar
from interlock.model.money import Nanos
from interlock.model.record import (
    AccountFrozen,
    AccountThawed,
    Alarm,
    AlarmCleared,
    Attempt,
    CancelRequested,
    ConfigRead,
    Difference,
    ExitBegun,
    ExitEnded,
    FallbackUsed,
    FeedEnded,
    FeedOpened,
    Header,
    IntentAbandoned,
    LiveStarted,
    LookupRequested,
    OrderDropped,
    Reading,
    ReadRequested,
    RecordVerified,
    RegimeChanged,
    Started,
    Stopped,
    StrategyDisabled,
    StrategyEnabled,
    TapeMark,
    Tick,
    TierChanged,
)
from interlock.model.report import (
    AccountRead,
    CancelRejected,
    LineChanged,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderFound,
    OrderMissing,
    OrderRejected,
    ReadFailed,
    WriteRefused,
    WriteUnknown,
)
from interlock.model.signal import (
    AccountIntent,
    AlertAccepted,
    AlertDuplicate,
    AlertReceived,
    AlertRefused,
    Held,
    Intent,
    RouteRefused,
)
from interlock.model.verdict import Verdict

Payload: TypeAlias = (
    Header | Started | Stopped | RecordVerified | ConfigRead | FeedOpened | FeedEnded | TapeMark | Tick | Bar
    | AlertReceived | AlertAccepted | AlertRefused | AlertDuplicate
    | Held | Intent | AccountIntent | IntentAbandoned | RouteRefused | RegimeChanged | StrategyDisabled
    | Verdict | Clearance | Attempt | CancelRequested | LookupRequested | ReadRequested | OrderDropped
    | ExitBegun | ExitEnded
    | OrderAccepted | OrderFilled | OrderCancelled | OrderRejected | OrderExpired | CancelRejected
    | WriteRefused | WriteUnknown | OrderFound | OrderMissing | AccountRead | ReadFailed | LineChanged
    | ClosedTrade | Difference | AccountFrozen | AccountThawed | Alarm | AlarmCleared
    | CommandGiven | CommandRefused | Killed | Released | AccountDisabled | AccountEnabled
    | FlattenBegun | FlattenEnded | KillProved | QuestionOpened | QuestionClosed | Decided
    | PositionAdopted | OrderAdopted | AccountAdopted | Reconnecting | Enabled
    | DrillRecorded | Reading | TierChanged | FallbackUsed | StrategyEnabled
    | LiveStarted | AccountConfirmed | ConfirmationRefused | LiveDeclined)

HOST: Final = (Header, Started, LiveStarted, Stopped, RecordVerified, Clearance, LineChanged, ReadRequested, AccountRead,
               ReadFailed, Reading, Reconnecting, FallbackUsed, DrillRecorded)
"""Payloads that hold host facts (processes, connections, keys, signatures): chained like all others, no part of the digest."""

GENESIS: Final = bytes(32)
_HEAD: Final = struct.Struct("<IQqQB32s")
HEAD_SIZE: Final = _HEAD.size
HASH_SIZE: Final = 32
FLAG_HOST: Final = 1

digest_head: Final = struct.Struct("<qI").pack
"""What stands before a payload in the digest: its engine time and length."""

_pack: Final = _HEAD.pack
_sha256: Final = hashlib.sha256
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Payload] = msgspec.msgpack.Decoder(Payload)


class Entry(Struct, frozen=True):
    """One decoded record. `cause` is the seq of the input it follows from, 0 for an input."""

    seq: int
    ts: Nanos
    cause: int
    is_host: bool
    payload: Payload
    prev_hash: bytes
    hash: bytes

    @property
    def kind(self) -> str:
        """The payload's tag, e.g. "verdict"."""
        return str(self.payload.__struct_config__.tag)


class Raw(Struct, frozen=True):
    """One record with its payload still encoded."""

    seq: int
    ts: Nanos
    cause: int
    is_host: bool
    payload: bytes
    prev_hash: bytes
    hash: bytes

    def decode(self) -> Entry:
        """Raises JournalDamaged when the payload is none of ours."""
        try:
            payload = _decoder.decode(self.payload)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise JournalDamaged(f"entry {self.seq}: its payload cannot be read: {error}") from error
        return Entry(self.seq, self.ts, self.cause, self.is_host, payload, self.prev_hash, self.hash)


encode_payload: Final[Callable[[Payload], bytes]] = _encoder.encode


def record(seq: int, ts: Nanos, cause: int, is_host: bool, prev_hash: bytes, payload: bytes) -> tuple[bytes, bytes]:
    """The record's bytes, and its hash."""
    body = _pack(HEAD_SIZE + len(payload) + HASH_SIZE, seq, ts, cause, FLAG_HOST if is_host else 0, prev_hash) + payload
    digest = _sha256(body).digest()
    return body + digest, digest


def records(blob: bytes, *, prev_hash: bytes, first_seq: int) -> Iterator[Raw]:
    """Cut a blob into its records, checking length, seq, predecessor and hash of each.

    Raises JournalDamaged naming the entry at the first one that does not fit.
    """
    view = memoryview(blob)
    at, seq, end = 0, first_seq, len(blob)
    sha256, unpack = hashlib.sha256, _HEAD.unpack_from
    while at < end:
        if end - at < HEAD_SIZE + HASH_SIZE:
            raise JournalDamaged(f"entry {seq}: {end - at} bytes where a record was expected")
        length, found, ts, cause, flags, prev = unpack(blob, at)
        if length < HEAD_SIZE + HASH_SIZE or at + length > end:
            raise JournalDamaged(f"entry {seq}: its length {length} runs past the end of its batch")
        if found != seq:
            raise JournalDamaged(f"entry {seq}: found seq {found} in its place")
        if prev != prev_hash:
            raise JournalDamaged(f"entry {seq}: it does not follow from the entry before it")
        body_end = at + length - HASH_SIZE
        prev_hash = bytes(view[body_end:at + length])
        if sha256(view[at:body_end]).digest() != prev_hash:
            raise JournalDamaged(f"entry {seq}: its content does not fit its hash")
        yield Raw(seq, ts, cause, bool(flags & FLAG_HOST), bytes(view[at + HEAD_SIZE:body_end]), prev, prev_hash)
        at += length
        seq += 1


def digest_bytes(ts: Nanos, payload: bytes) -> bytes:
    """What one entry adds to the digest: its engine time and payload, length first; no seq, no chain hash."""
    return digest_head(ts, len(payload)) + payload
