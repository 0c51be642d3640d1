"""The web room is handed neither signer nor credential: all that can be reached from its application is looked at."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.web.desk import TOKEN, ScriptedDesk
from tests.web.graph import offences, reachable

SECRET = "a-secret-that-nobody-must-hold"


class Plain:
    def __init__(self, held: object) -> None:
        self.held = held


class Slotted:
    __slots__ = ("__private", "empty")

    def __init__(self, held: object) -> None:
        self.__private = held


class Record(msgspec.Struct, gc=False):
    held: Any

    def method(self) -> None: ...


def closed_over(held: object) -> Callable[[], object]:
    return lambda: held


def defaulted(held: object) -> Callable[..., object]:
    def function(argument: object = held, *, named: object = held) -> None: ...

    return function


def queued(held: object) -> object:
    queue: asyncio.Queue[object] = asyncio.Queue()
    queue.put_nowait(held)
    return queue


HIDINGS: list[Callable[[object], object]] = [
    Plain, Slotted, Record, closed_over, defaulted, queued, lambda held: {"key": held}, lambda held: {held: 1},
    lambda held: [({1: (held,)},)], lambda held: frozenset([held]), lambda held: functools.partial(print, held),
    lambda held: Record(held).method,
]


@pytest.mark.parametrize("hide", HIDINGS)
def test_the_walker_finds_a_key_wherever_it_is_hidden(hide: Callable[[object], object]):
    desk = ScriptedDesk(bars=1)
    desk.app.state.planted = hide(Ed25519PrivateKey.generate())

    found = offences(desk.app, ())

    assert len(found) == 1, found
    assert "a signing key" in found[0]


@pytest.mark.parametrize("hide", HIDINGS)
@pytest.mark.parametrize("secret", [SECRET, f"Bearer {SECRET}".encode()], ids=["text", "bytes"])
def test_the_walker_finds_a_secret_wherever_it_is_hidden(hide: Callable[[object], object], secret: object):
    assert offences(hide(secret), (SECRET,))


@pytest.mark.parametrize("room", ["interlock.gate.clearance", "interlock.brokers.safe"])
def test_the_walker_finds_an_object_of_the_gate_or_a_broker(room: str):
    foreign = type("Foreign", (), {"__module__": room})()

    assert offences(Plain([foreign]), ())


def test_the_walker_looks_behind_bound_methods():
    key = Ed25519PrivateKey.generate()

    assert offences(key.sign, ()), "who can call sign can sign"


def test_the_web_room_holds_no_key_no_broker_and_not_even_its_own_token():
    desk = ScriptedDesk(bars=5)
    asyncio.run(visited(desk))

    walked = [found for _, found in reachable(desk.app)]

    assert offences(desk.app, (TOKEN, SECRET)) == []
    assert any(found is desk.board for found in walked), "the walk did not go far enough to see the board"
    assert any(found is desk.door.queue for found in walked)


async def visited(desk: ScriptedDesk) -> None:
    """One request that comes in by the link: the middleware is built and has seen the token."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(desk.app), base_url="http://127.0.0.1:8700") as client:
        assert (await client.get(f"/?token={TOKEN}")).status_code == 303
