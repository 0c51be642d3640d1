"""How the venue's frames travel over a socket: one JSON line per message, requests numbered, answers under their number.

A connection begins with `Hello` and is answered `Welcome`, or `refused` and closed. Events come by themselves.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

TRADE: Final = "trade"
FLATTEN: Final = "flatten"
SESSIONS: Final = (TRADE, FLATTEN)
"""What a credential is good for: everything, or only cancels and orders that reduce."""

REQUEST_MAX: Final = 1 << 20
ANSWER_MAX: Final = 1 << 26
"""Bytes of one line, either way; a longer one ends the connection."""


class Hello(Struct, frozen=True, forbid_unknown_fields=True):
    """The first line of a client."""

    token: str


class Ask(Struct, frozen=True, forbid_unknown_fields=True):
    """A request: the call that it comes by, and its frame."""

    n: int
    kind: str
    body: Raw


class Welcome(Struct, frozen=True):
    session: str
    environment: str
    simulator: bool
    accounts: list[str]


class Told(Struct, frozen=True, omit_defaults=True):
    """Anything the venue says: an answer under the number of its request, an event, a welcome or its refusal."""

    n: int = 0
    answer: Raw = Raw()
    event: Raw = Raw()
    welcome: Welcome | None = None
    refused: str = ""


encode: Final = msgspec.json.Encoder().encode
hello_of: Final = msgspec.json.Decoder(Hello).decode
ask_of: Final = msgspec.json.Decoder(Ask).decode
told_of: Final = msgspec.json.Decoder(Told).decode
