"""Walks everything that can be reached from an object without importing anything: what a room holds, it can use."""

import asyncio
import gc
import logging
import types
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FOREIGN_ROOMS: Final = ("interlock.gate", "interlock.brokers")
_STOP: Final = (types.ModuleType, type, types.CodeType, types.FrameType, asyncio.AbstractEventLoop, asyncio.Future,
                logging.Logger, logging.Manager)
_LEAVES: Final = (str, bytes, bytearray, int, float, complex, bool, type(None))


def reachable(root: object) -> Iterator[tuple[str, object]]:
    """Every object that can be reached, each once, with a path to it. Stops at modules, classes and the event loop."""
    seen: dict[int, object] = {}       # keeps them alive, so that an id is not given out twice
    waiting: deque[tuple[str, object]] = deque([(type(root).__name__, root)])
    while waiting:
        path, found = waiting.popleft()
        if id(found) in seen or isinstance(found, _STOP):
            continue
        seen[id(found)] = found
        yield path, found
        if not isinstance(found, _LEAVES):
            waiting.extend((f"{path}.{name}", member) for name, member in _members(found))


def _members(found: object) -> Iterator[tuple[str, object]]:
    """Attributes and slots by name, then what else the object refers to: closures, defaults, items, bound selves."""
    for name in _names(found):
        try:
            yield name, object.__getattribute__(found, name)
        except AttributeError:
            continue                   # a slot that was never filled
    if isinstance(found, dict):        # the collector does not look at keys that are text
        yield from (("<key>", key) for key in list(found))
    skipped = _globals_of(found)
    for member in gc.get_referents(found):
        if id(member) not in skipped:
            yield f"<{type(member).__name__}>", member


def _names(found: object) -> Iterable[str]:
    yield from (name for name in getattr(found, "__struct_fields__", ()))
    for kind in type(found).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            yield f"_{kind.__name__.lstrip('_')}{name}" if name.startswith("__") and not name.endswith("__") else name


def _globals_of(found: object) -> set[int]:
    if isinstance(found, types.FunctionType):
        return {id(found.__globals__), id(getattr(found, "__builtins__", None))}
    return set()


def offences(root: object, secrets: Iterable[str]) -> list[str]:
    """Paths to what the web room must not hold: signing keys, objects of the gate or a broker, known secrets."""
    known = tuple(secrets)
    found = []
    for path, member in reachable(root):
        if isinstance(member, Ed25519PrivateKey):
            found.append(f"{path}: a signing key")
        elif type(member).__module__.startswith(FOREIGN_ROOMS) or _home(member).startswith(FOREIGN_ROOMS):
            found.append(f"{path}: {type(member).__qualname__} of {_home(member) or type(member).__module__}")
        elif isinstance(member, str | bytes | bytearray) and _holds(member, known):
            found.append(f"{path}: a secret")
    return found


def _home(member: Any) -> str:
    return member.__module__ or "" if isinstance(member, types.FunctionType) else ""


def _holds(text: str | bytes | bytearray, secrets: tuple[str, ...]) -> bool:
    return any((secret in text) if isinstance(text, str) else (secret.encode() in text) for secret in secrets)
