"""Tokens and secrets of the lanes as keyed digests: enough to recognise one, useless to anyone who reads them."""

import hmac
import re
from collections.abc import Mapping
from typing import Final

from interlock.errors import ConfigError
from interlock.intake.body import SECRET_LENGTH_MIN
from interlock.model.ids import LaneName

KEY_LENGTH_MIN: Final = 16
TOKEN: Final = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")
"""What a lane's token may look like, so that it stands in a URL as it is."""


class SecretBook:
    """Built from each lane's (token, secret), of which it keeps only HMAC-SHA256 under the state directory's local key.

    Raises ConfigError for a key or secret that is too short, and for a token that cannot stand in a URL or that two
    lanes share.
    """

    def __init__(self, key: bytes, lanes: Mapping[LaneName, tuple[str, str]]) -> None:
        if len(key) < KEY_LENGTH_MIN:
            raise ConfigError(f"the local key must have at least {KEY_LENGTH_MIN} bytes, found {len(key)}")
        self._key = key
        self._lanes: dict[bytes, LaneName] = {}
        self._secrets: dict[LaneName, bytes] = {}
        for lane, (token, secret) in lanes.items():
            if not TOKEN.fullmatch(token):
                raise ConfigError(f"lane {lane}: its hook token must be of letters, digits and - _ ~ . (no . in front)")
            if len(secret) < SECRET_LENGTH_MIN:
                raise ConfigError(f"lane {lane}: its hook secret must have at least {SECRET_LENGTH_MIN} characters, "
                                  f"found {len(secret)}")
            other = self._lanes.setdefault(self._digest(b"token", token), lane)
            if other != lane:
                raise ConfigError(f"lanes {other} and {lane} have the same hook token")
            self._secrets[lane] = self._digest(b"secret", secret)

    def lane_of(self, token: str) -> LaneName | None:
        """Looked up by digest: how long a look-up takes says nothing about the token."""
        return self._lanes.get(self._digest(b"token", token))

    def is_right(self, lane: LaneName, secret: object) -> bool:
        """Compared in constant time; anything but text is compared as no text."""
        given = self._digest(b"secret", secret if isinstance(secret, str) else "")
        return hmac.compare_digest(given, self._secrets[lane])

    def hash_of(self, raw: bytes) -> str:
        """What a body is recognised by when it comes again; hex."""
        return hmac.digest(self._key, b"body\0" + raw, "sha256").hex()

    def _digest(self, purpose: bytes, text: str) -> bytes:
        return hmac.digest(self._key, purpose + b"\0" + text.encode("utf-8", "surrogatepass"), "sha256")
