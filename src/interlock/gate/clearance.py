"""Signs what was cleared: the one place that holds the keys, one per profile, made at start and never stored."""

from collections.abc import Iterable, Mapping
from typing import Final, NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from interlock.errors import InvariantBroken
from interlock.model.clearance import FORMAT, Clearance, Content, Epochs, encode, legs_content
from interlock.model.money import SECOND, Nanos
from interlock.model.order import PROFILES, Order, Profile

LIFE: Final[Nanos] = 2 * SECOND
"""How long a clearance lives, on the engine clock."""


class Signer:
    """Holds one Ed25519 key per profile for the life of the process (the rescue's: one for flatten alone). Shows none of them,
    and cannot be copied."""

    __slots__ = ("__keys", "_public")

    def __init__(self, profiles: Iterable[Profile] = tuple(Profile)) -> None:
        self.__keys = {profile: Ed25519PrivateKey.generate() for profile in profiles}
        self._public = {profile: key.public_key() for profile, key in self.__keys.items()}

    def public_keys(self) -> Mapping[Profile, Ed25519PublicKey]:
        """What SafeBroker verifies with."""
        return dict(self._public)

    def public_hex(self) -> dict[str, str]:
        """The public halves as the journal holds them: hex by profile."""
        return {profile.value: key.public_bytes_raw().hex() for profile, key in self._public.items()}

    def issue(self, order: Order, profile: Profile, attempt: int, cause_seq: int, cause_hash: bytes,
              epochs: Epochs, state_id: str, now: Nanos) -> Clearance:
        """The clearance of one attempt of one cleared order, alive until `now` + LIFE.

        Raises InvariantBroken when the order's purpose is not one of the profile's.
        """
        if PROFILES[order.purpose] is not profile:
            raise InvariantBroken(
                f"{order.client_order_id}: purpose {order.purpose.value} under profile {profile.value}")
        content = Content(
            FORMAT, state_id, order.account, order.venue_symbol, order.instrument, legs_content(order),
            order.generation, order.replaces or "", attempt, profile.value, cause_seq, cause_hash, now, now + LIFE,
            epochs)
        return Clearance(content, self.sign(content))

    def sign(self, content: Content) -> bytes:
        """The signature under the key of the content's profile. Raises InvariantBroken for a profile without a key here."""
        try:
            key = self.__keys[Profile(content.profile)]
        except (ValueError, KeyError):
            raise InvariantBroken(f"no key signs profile {content.profile!r}") from None
        return key.sign(encode(content))

    def __repr__(self) -> str:
        return "<Signer>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signer cannot be copied or stored")

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("a signer cannot be copied or stored")
