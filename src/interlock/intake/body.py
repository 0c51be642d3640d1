"""From the bytes that came to a body that may be written down: one JSON object, no secret in it, of bounded depth."""

import json
from typing import Final

import msgspec
from msgspec import Struct

DEPTH_MAX: Final = 8
SECRET: Final = "secret"
SECRET_LENGTH_MIN: Final = 8
"""The shortest secret a lane may have; text this long is also looked for outside its field."""

_INT64: Final = 2**63
_decoder = msgspec.json.Decoder()


class Body(Struct, frozen=True):
    """`body` None: it cannot be read, and `problem` says why. `secret` is what stood there, None if nothing did."""

    body: dict[str, object] | None
    secret: object
    problem: str = ""


class _Repeated(Exception):
    """A key that stands twice in one object; never leaves this file."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class _TooDeep(Exception):
    """Never leaves this file."""


def read_body(raw: bytes) -> Body:
    """The object in these bytes. Nothing of a body that cannot be read is repeated in `problem`.

    Two readers must agree: the strict one decides what is JSON, the other notices keys that stand twice, of which a
    reader keeps whichever it likes. A key that is repeated is named by the schema gate; two secrets are no secret.
    """
    problem = ""
    try:
        read = _decoder.decode(raw)
        if not isinstance(read, dict):
            return Body(None, None, f"expected one JSON object, found {_kind(read)}")
        _find_repeats(raw)
    except _Repeated as twice:
        if twice.key == SECRET:
            return Body(None, None, "the secret stands twice")
        problem = "a key stands twice"
    except UnicodeDecodeError:
        return Body(None, None, "it is not UTF-8")
    except (ValueError, RecursionError) as error:        # both readers raise kinds of ValueError
        return Body(None, None, _why(error))
    secret = read.get(SECRET)
    hidden = secret if isinstance(secret, str) and len(secret) >= SECRET_LENGTH_MIN else None
    try:
        body = {_text(key, hidden): _clean(value, hidden, 1) for key, value in read.items()}
    except _TooDeep:
        return Body(None, None, f"it is nested deeper than {DEPTH_MAX}")
    if secret is not None:
        body[SECRET] = SECRET
    return Body(body, None if secret == "" else secret, problem)


def _find_repeats(raw: bytes) -> None:
    json.loads(raw, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen = set()
        for key, _ in pairs:
            if key in seen:
                raise _Repeated(key)
            seen.add(key)
    return found


def _clean(value: object, hidden: str | None, depth: int) -> object:
    """The value as the journal can hold it: no secret in any text, integers beyond 64 bits as text."""
    if isinstance(value, str):
        return _text(value, hidden)
    if isinstance(value, int) and not isinstance(value, bool) and not -_INT64 <= value < _INT64:
        return str(value)
    if isinstance(value, dict | list) and depth >= DEPTH_MAX:
        raise _TooDeep
    if isinstance(value, dict):
        return {_text(key, hidden): _clean(item, hidden, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item, hidden, depth + 1) for item in value]
    return value


def _text(text: str, hidden: str | None) -> str:
    return text if hidden is None or hidden not in text else text.replace(hidden, SECRET)


def _kind(read: object) -> str:
    return {list: "a list", str: "text", bool: "true or false", type(None): "null"}.get(type(read), "a number")


def _why(error: ValueError | RecursionError) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else f"it is not JSON: {error}"
