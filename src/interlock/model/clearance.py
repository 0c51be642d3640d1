"""The canonical content of a clearance, how it is encoded, and how it is verified. `gate/clearance.py` alone signs.

Signed bytes are deterministic msgpack: an array of fields in the order of `Content`, decimals as normalised strings.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from interlock.errors import NotCleared
from interlock.model.ids import AccountName, ClientOrderId
from interlock.model.money import Nanos, plain
from interlock.model.order import Leg, Order, Profile

FORMAT: Final = 1

LegContent = tuple[str, str, str, str, str, str, str, str, str, bool]
"""client order id, role, purpose, side, quantity, type, limit, stop, time in force, reduce-only; "" is none."""


class Epochs(Struct, frozen=True, array_like=True):
    """What SafeBroker reads again at each write. A kill, a lost lease or another configuration moves one of them."""

    kill: int
    lease: int
    config: int


class Content(Struct, frozen=True, array_like=True):
    """Everything that a clearance binds."""

    format: int
    state_id: str
    account: AccountName
    venue_symbol: str
    instrument: str
    legs: tuple[LegContent, ...]
    generation: int
    replaces: str
    attempt: int
    profile: str
    cause_seq: int
    cause_hash: bytes
    issued: Nanos
    expires: Nanos
    epochs: Epochs

    @property
    def client_order_id(self) -> ClientOrderId:
        return ClientOrderId(self.legs[0][0])

    @property
    def nonce(self) -> tuple[str, int]:
        """Used once: the client order id and the attempt."""
        return self.legs[0][0], self.attempt


class Clearance(Struct, frozen=True, tag="clearance"):
    """A signed content. In the journal it stands beside its verdict; its bytes are no part of the digest."""

    content: Content
    signature: bytes

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(encode(self.content)).hexdigest()


_encoder = msgspec.msgpack.Encoder()


def leg_content(leg: Leg) -> LegContent:
    """The signed fields of one leg."""
    return (leg.client_order_id, leg.role, leg.purpose.value, leg.side.value, plain(leg.quantity), leg.type.value,
            "" if leg.limit is None else plain(leg.limit), "" if leg.stop is None else plain(leg.stop),
            leg.time_in_force.value, leg.is_reduce_only)


def legs_content(order: Order) -> tuple[LegContent, ...]:
    return tuple(leg_content(leg) for leg in order.legs)


def encode(content: Content) -> bytes:
    """The bytes that are signed."""
    return _encoder.encode(content)


def verify(clearance: Clearance, keys: Mapping[Profile, Ed25519PublicKey]) -> None:
    """Check the signature under the key of the content's profile. Raises NotCleared."""
    try:
        key = keys[Profile(clearance.content.profile)]
    except (KeyError, ValueError):
        raise NotCleared("clearance.profile", f"no key may sign profile {clearance.content.profile!r}") from None
    try:
        key.verify(clearance.signature, encode(clearance.content))
    except InvalidSignature:
        raise NotCleared("clearance.signature", "the signature does not fit the content") from None
