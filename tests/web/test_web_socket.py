"""The live socket of a real server: who may open it, what comes first, and that a fact arrives by itself."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from tests.web.desk import TOKEN, ScriptedDesk, Served, served
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from interlock.runtime.board import QUEUE_BOUND

BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(ScriptedDesk(bars=3)) as server:
        yield server


def cookie_of(server: Served) -> str:
    answer = httpx.get(server.link, follow_redirects=False)
    return answer.headers["set-cookie"].split(";")[0]


def address(server: Served) -> str:
    return f"ws://127.0.0.1:{server.port}/ws"


def joined(server: Served) -> connect:
    """As our own page does it."""
    return connect(address(server), origin=Origin(server.address), additional_headers={"cookie": cookie_of(server)},
                   max_size=None)


async def heard(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 5))
    return message


def test_first_comes_the_whole_desk_and_then_each_change_in_sequence(server: Served):
    async def story() -> None:
        async with joined(server) as socket:
            first = await heard(socket)
            assert first["type"] == "snapshot"
            assert first["identity"]["simulated"] is True
            assert first["health"] == {"status": "ready", "lanes": 1}
            server.tell(lambda: server.desk.verdict("MNQ", "paper-a", "demo", "truth", "truth.unknown", "no proof"))
            seq, found = first["seq"], None
            while found is None:
                change = await heard(socket)
                assert (change["type"], change["seq"]) == ("change", seq + 1)
                seq = change["seq"]
                found = next((each for each in change.get("verdicts", ()) if each["code"] == "truth.unknown"), None)
            assert [check["check"] for check in found["checks"] if check["answer"] == "refuse"] == ["truth"]

    asyncio.run(story())


def test_a_silent_market_still_sends_time_and_truth_each_second(server: Served):
    async def story() -> list[float]:
        async with joined(server) as socket:
            moments: list[float] = []
            while len(moments) < 3:
                if "accounts" in await heard(socket):
                    moments.append(time.monotonic())
            return moments

    first, second, third = asyncio.run(story())

    assert third - second <= 1.5
    assert second - first <= 1.5


def test_pushes_are_gathered_to_about_ten_a_second(server: Served):
    async def story() -> int:
        async with joined(server) as socket:
            await heard(socket)
            count, until = 0, time.monotonic() + 1
            while time.monotonic() < until:
                await heard(socket)
                count += 1
            return count

    assert asyncio.run(story()) <= 12


@pytest.mark.parametrize(("origin", "has_cookie", "bearer"), [
    (None, False, ""), (None, True, ""), ("http://evil.example", True, ""), ("http://127.0.0.1:1", True, ""),
    ("null", True, ""), (None, False, "wrong"), ("http://evil.example", False, TOKEN),
])
def test_the_socket_opens_for_our_own_page_only(server: Served, origin: str | None, has_cookie: bool, bearer: str):
    async def story() -> None:
        headers = {"cookie": cookie_of(server)} if has_cookie else {}
        if bearer:
            headers["authorization"] = f"Bearer {bearer}"
        async with connect(address(server), origin=None if origin is None else Origin(origin),
                           additional_headers=headers):
            pass

    with pytest.raises(InvalidStatus) as refused:
        asyncio.run(story())

    assert refused.value.response.status_code == 403


def test_a_script_may_listen_with_the_token_itself(server: Served):
    async def story() -> str:
        async with connect(address(server), additional_headers=BEARER, max_size=None) as socket:
            return str((await heard(socket))["type"])

    assert asyncio.run(story()) == "snapshot"


def test_a_page_that_stops_reading_is_told_to_begin_again_while_the_desk_goes_on():
    with served(ScriptedDesk(bars=3)) as server:
        text = "x" * 400_000

        def flood() -> None:           # more than the queue and every buffer on the way can hold
            for _ in range(QUEUE_BOUND + 20):
                server.desk.board.decision(text)
                server.desk.board.publish()

        async def story() -> None:
            async with connect(address(server), additional_headers=BEARER, max_size=None, max_queue=1) as slow:
                await heard(slow)
                for _ in range(2):
                    await asyncio.to_thread(server.tell, flood)
                assert httpx.get(f"{server.address}/health").status_code == 200
                messages = []
                with suppress(ConnectionClosed):
                    while True:
                        messages.append(await heard(slow))
                assert messages[-1] == {"type": "resync"}
                assert slow.close_code == 1013

        asyncio.run(story())


def test_a_publisher_that_breaks_closes_every_page_and_the_next_one_finds_a_new_one():
    with served(ScriptedDesk(bars=3)) as server:
        publish, desk = server.desk.board.publish, server.desk

        def broken() -> None:
            raise ArithmeticError("a fault of ours")

        async def story() -> None:
            async with joined(server) as first, joined(server) as second:
                await heard(first)
                await heard(second)
                await asyncio.to_thread(server.tell, lambda: setattr(desk.board, "publish", broken))
                for socket in (first, second):
                    await asyncio.wait_for(socket.wait_closed(), 5)
                    assert socket.close_code == 1013
            await asyncio.to_thread(server.tell, lambda: setattr(desk.board, "publish", publish))
            async with joined(server) as third:
                assert [(await heard(third))["type"] for _ in range(3)] == ["snapshot", "change", "change"]

        asyncio.run(story())


def test_pages_that_come_and_go_in_the_same_moment_all_hear_the_desk(server: Served):
    async def visit() -> str:
        async with joined(server) as socket:
            await heard(socket)
            return str((await heard(socket))["type"])

    async def story() -> list[str]:
        return [kind for _ in range(10) for kind in await asyncio.gather(*(visit() for _ in range(3)))]

    assert set(asyncio.run(story())) == {"change"}
