"""Identity is a function of its cause: the same cause, account, leg and generation give the same id, in any process.

An *attempt* repeats an order under the same id. A *generation* is a new order of the same leg and gets a new one.
"""

from hashlib import sha256 as _sha256
from typing import Final, NewType

AccountName = NewType("AccountName", str)
LaneName = NewType("LaneName", str)
StrategyName = NewType("StrategyName", str)
SignalId = NewType("SignalId", str)
ClientOrderId = NewType("ClientOrderId", str)
BrokerOrderId = NewType("BrokerOrderId", str)
ExecutionId = NewType("ExecutionId", str)

ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
LENGTH: Final = 18
_PAIRS: Final = tuple(first + second for first in ALPHABET for second in ALPHABET)
_TWO: Final = len(_PAIRS)
_EIGHT: Final = _TWO**4


def encode(digest: bytes) -> str:
    """18 characters of [0-9a-z] from the first 12 bytes of a digest (93 of 96 bits kept).

    >>> encode(bytes(32))
    '000000000000000000'
    """
    high, low = divmod(int.from_bytes(digest[:12], "big"), _EIGHT)
    high, mid = divmod(high, _EIGHT)           # in parts of eight characters, which are small enough to divide fast
    return _PAIRS[high % _TWO] + _eight(mid) + _eight(low)


def _eight(number: int) -> str:
    number, last = divmod(number, _TWO)
    number, third = divmod(number, _TWO)
    first, second = divmod(number, _TWO)
    return _PAIRS[first] + _PAIRS[second] + _PAIRS[third] + _PAIRS[last]


def identify(*parts: str | int) -> str:
    """An 18-character id of its parts; parts are length-prefixed, so no two lists of parts collide by joining."""
    raws = []
    for part in parts:
        raw = str(part).encode()
        raws.append(len(raw).to_bytes(4, "big"))
        raws.append(raw)
    return encode(_sha256(b"".join(raws)).digest())


def signal_id(source: str, *parts: str | int) -> SignalId:
    """The id of one decision to trade: `source` is "bars" or "alerts", the parts name what caused it."""
    return SignalId(identify("signal", source, *parts))


def client_order_id(cause: str, account: AccountName, leg: str, generation: int) -> ClientOrderId:
    """The id under which a venue knows an order of ours.

    `cause` is the signal id, or the id of the journaled event that ordered an exit; `leg` is entry, stop, target or exit.
    """
    return ClientOrderId(identify("order", cause, account, leg, generation))
