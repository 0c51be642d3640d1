"""The API from outside: who comes in, what is answered, and that only well-formed commands reach the door."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from tests.web.desk import TOKEN, ScriptedDesk, ScriptedDoor

from interlock.model.command import DisableAccount, EnableAccount, Kill
from interlock.runtime.board import Board
from interlock.web.app import create_app
from interlock.web.auth import BODY_MAX

BASE = "http://127.0.0.1:8700"
BEARER = {"authorization": f"Bearer {TOKEN}"}
KILL = {"why": "drill", "confirm": "KILL"}


@asynccontextmanager
async def client_of(desk: ScriptedDesk) -> AsyncIterator[httpx.AsyncClient]:
    moving = asyncio.create_task(desk.live())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(desk.app), base_url=BASE) as client:
        yield client
    moving.cancel()


def run(story: Callable[[httpx.AsyncClient], Awaitable[Any]], desk: ScriptedDesk | None = None) -> Any:
    async def play() -> Any:
        async with client_of(desk or ScriptedDesk(bars=3)) as client:
            return await story(client)

    return asyncio.run(play())


@pytest.mark.parametrize("path", ["/", "/api/state", "/api/bars/MNQ", "/api/verdicts", "/api/orders", "/api/positions",
                                  "/assets/index.js", "/docs", "/openapi.json", "/redoc", "/nothing"])
@pytest.mark.parametrize("headers", [
    {}, {"authorization": "Bearer wrong"}, {"authorization": "Bearer"}, {"authorization": f"Basic {TOKEN}"},
    {"cookie": "interlock=1"}, {"cookie": f"interlock_x={TOKEN}"}, {"authorization": f"Bearer {TOKEN}x"},
])
def test_a_stranger_gets_nothing(path: str, headers: dict[str, str]):
    answer = run(lambda client: client.get(path, headers=headers))

    assert answer.status_code == 401
    assert answer.json()["code"] == "token.wrong"


def test_a_stranger_with_a_browser_is_told_to_use_the_link():
    answer = run(lambda client: client.get("/", headers={"accept": "text/html,*/*"}))

    assert answer.status_code == 401
    assert "interlock run" in answer.text


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc"])
def test_there_are_no_documentation_pages(path: str):
    assert run(lambda client: client.get(path, headers=BEARER)).status_code == 404


def test_the_link_gives_a_cookie_that_scripts_cannot_read_and_leaves_the_address_bar():
    async def story(client: httpx.AsyncClient) -> None:
        answer = await client.get(f"/?token={TOKEN}")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/"
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN not in cookie
        assert (await client.get("/api/state")).status_code == 200

    run(story)


@pytest.mark.parametrize("query", ["token=wrong", "token=", f"token={TOKEN}&token={TOKEN}", f"other={TOKEN}",
                                   "%ff=%zz"])
def test_a_link_that_is_not_the_printed_one_gives_no_cookie(query: str):
    answer = run(lambda client: client.get(f"/?{query}"))

    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_two_desks_on_one_host_do_not_log_each_other_out():
    async def story(client: httpx.AsyncClient) -> None:
        board = Board(lambda: 0)
        other = create_app(board=board, door=ScriptedDoor(), token="another", hook=None, health=lambda: None)
        await client.get(f"/?token={TOKEN}")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(other), base_url=BASE,
                                     cookies=client.cookies) as second:
            assert (await second.get("/api/state")).status_code == 401
            await second.get("/?token=another")
            client.cookies.update(second.cookies)
        assert (await client.get("/api/state")).status_code == 200

    run(story)


@pytest.mark.parametrize(("health", "status", "says"), [
    (None, 503, "starting"), ({"status": "starting", "warm": 0.5}, 503, "starting"), ({}, 200, "ready"),
    ({"status": "ready", "lanes": 1}, 200, "ready"),
])
def test_health_needs_no_token_and_is_ready_when_the_desk_is(health: dict[str, Any] | None, status: int, says: str):
    desk = ScriptedDesk(bars=1)
    desk.health = health

    answer = run(lambda client: client.get("/health"), desk)

    assert (answer.status_code, answer.json()["status"]) == (status, says)


def test_the_reads_repeat_the_board():
    desk = ScriptedDesk(bars=3)

    async def story(client: httpx.AsyncClient) -> None:
        client.headers.update(BEARER)
        state = (await client.get("/api/state")).json()
        assert state["identity"]["mode"] == "paper"
        assert state["health"]["status"] == "ready"
        assert len((await client.get("/api/bars/MNQ")).json()["bars"]) == 3
        assert (await client.get("/api/orders")).json() == desk.board.orders()
        assert (await client.get("/api/positions")).json() == desk.board.positions()
        assert (await client.get("/api/verdicts")).json() == desk.board.verdicts()
        unknown = await client.get("/api/bars/GC")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "instrument.unknown")

    run(story, desk)


@pytest.mark.parametrize(("path", "body", "command"), [
    ("/api/kill", KILL, Kill("drill")),
    ("/api/kill", {**KILL, "lane": "futures", "scope": "all"}, Kill("drill", lane="futures", scope="all")),  # type: ignore[arg-type]
    ("/api/kill", {**KILL, "account": "paper-a"}, Kill("drill", account="paper-a")),  # type: ignore[arg-type]
    ("/api/accounts/paper-b/disable", {"why": "rollover"}, DisableAccount("paper-b", "rollover")),  # type: ignore[arg-type]
    ("/api/accounts/paper-b/enable", None, EnableAccount("paper-b")),  # type: ignore[arg-type]
])
def test_an_act_goes_through_the_door_as_the_command_it_is(path: str, body: dict[str, Any] | None, command: object):
    desk = ScriptedDesk(bars=1)

    answer = run(lambda client: client.post(path, json=body, headers=BEARER), desk)

    assert answer.status_code == 200
    assert answer.json()["ok"] is True
    assert desk.commands == [command]


@pytest.mark.parametrize(("path", "body", "status"), [
    ("/api/kill", {"why": "drill"}, 422),
    ("/api/kill", {"why": "drill", "confirm": "kill"}, 422),
    ("/api/kill", {"why": "", "confirm": "KILL"}, 422),
    ("/api/kill", {**KILL, "scope": "everything"}, 422),
    ("/api/kill", {**KILL, "lanes": "futures"}, 422),
    ("/api/kill", {**KILL, "lane": "no-such-lane"}, 404),
    ("/api/kill", {**KILL, "account": "no-such-account"}, 404),
    ("/api/accounts/nobody/disable", {"why": "rollover"}, 404),
    ("/api/accounts/paper-a/disable", {}, 422),
    ("/api/release", {}, 422),
])
def test_an_act_that_is_not_whole_never_reaches_the_door(path: str, body: dict[str, Any], status: int):
    desk = ScriptedDesk(bars=1)

    answer = run(lambda client: client.post(path, json=body, headers=BEARER), desk)

    assert answer.status_code == status
    assert answer.json()["ok"] is False
    assert answer.json()["reason"]
    assert desk.commands == []


def test_what_the_engine_refuses_is_told_with_its_code():
    answer = run(lambda client: client.post("/api/release", json={"phrase": "please"}, headers=BEARER))

    assert answer.status_code == 409
    assert answer.json()["code"] == "phrase.wrong"


def test_an_authorization_that_proves_nothing_does_not_stand_for_our_origin():
    desk = ScriptedDesk(bars=1)

    async def story(client: httpx.AsyncClient) -> httpx.Response:
        await client.get(f"/?token={TOKEN}")
        return await client.post("/api/kill", json=KILL, headers={"origin": "http://evil.example", "authorization": "Basic eDp5"})

    assert run(story, desk).json()["code"] == "origin.foreign"


@pytest.mark.parametrize("origin", [None, "http://evil.example", "http://127.0.0.1:3000", "null", "http://[", ""])
def test_a_page_of_another_origin_cannot_act_with_our_cookie(origin: str | None):
    desk = ScriptedDesk(bars=1)

    async def story(client: httpx.AsyncClient) -> httpx.Response:
        await client.get(f"/?token={TOKEN}")
        return await client.post("/api/kill", json=KILL, headers={} if origin is None else {"origin": origin})

    assert run(story, desk).json()["code"] == "origin.foreign"
    assert desk.commands == []


def test_our_own_page_can_act_with_the_cookie():
    async def story(client: httpx.AsyncClient) -> httpx.Response:
        await client.get(f"/?token={TOKEN}")
        return await client.post("/api/kill", json=KILL, headers={"origin": BASE})

    assert run(story).status_code == 200


def asked_of(door: ScriptedDoor) -> httpx.Response:
    app = create_app(board=Board(lambda: 0), door=door, token=TOKEN, hook=None, health=lambda: None, answer_within=0.01)

    async def story() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, headers=BEARER) as client:
            answer = await client.post("/api/kill", json=KILL)
        for asked in door.queue._queue:  # type: ignore[attr-defined]
            assert not asked.answer.cancelled(), "whoever answers late must find a future that takes it"
        return answer

    return asyncio.run(story())


def test_a_command_without_an_answer_may_still_take_effect_and_the_page_says_so():
    door = ScriptedDoor()

    answer = asked_of(door)

    assert (answer.status_code, answer.json()["code"]) == (504, "door.no_answer")
    assert "interlock kill" in answer.json()["reason"]
    assert door.queue.qsize() == 1


def test_a_command_that_cannot_be_written_down_was_not_given():
    door = ScriptedDoor()
    door.closed_by = "the disk is full"

    answer = asked_of(door)

    assert (answer.status_code, answer.json()["code"]) == (503, "door.closed")
    assert "the disk is full" in answer.json()["reason"]


@pytest.mark.parametrize("streamed", [False, True], ids=["declared", "streamed"])
def test_a_body_beyond_the_cap_is_not_taken(streamed: bool):
    desk = ScriptedDesk(bars=1)
    whole = b'{"why": "' + b"x" * BODY_MAX + b'", "confirm": "KILL"}'

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(whole), 8192):
            yield whole[start:start + 8192]

    async def story(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/api/kill", content=pieces() if streamed else whole,
                                 headers={**BEARER, "content-type": "application/json"})

    assert run(story, desk).status_code in (400, 413)
    assert desk.commands == []


def test_every_answer_carries_the_security_headers_and_none_may_be_kept():
    async def story(client: httpx.AsyncClient) -> None:
        for path, headers in (("/health", {}), ("/api/state", BEARER), ("/api/state", {}), ("/nothing", BEARER)):
            answer = await client.get(path, headers=headers)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self';" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"

    run(story)


def test_without_the_build_the_page_says_what_to_run(tmp_path: Path):
    answer = run(lambda client: client.get("/", headers=BEARER), ScriptedDesk(tmp_path, bars=1))

    assert answer.status_code == 200
    assert "make dashboard" in answer.text


def test_a_built_page_is_asked_for_anew_and_its_hashed_files_are_kept(tmp_path: Path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<title>the page</title>")
    (tmp_path / "assets" / "index-abc.js").write_text("1")
    (tmp_path / "secret.txt").write_text("not for you")

    async def story(client: httpx.AsyncClient) -> None:
        client.headers.update(BEARER)
        page = await client.get("/")
        assert (page.text, page.headers["cache-control"]) == ("<title>the page</title>", "no-cache")
        asset = await client.get("/assets/index-abc.js")
        assert "immutable" in asset.headers["cache-control"]
        for path in ("/assets/none.js", "/assets/../secret.txt", "/assets/%2e%2e/secret.txt", "/assets/%00",
                     "/secret.txt"):
            assert (await client.get(path)).status_code == 404, path

    run(story, ScriptedDesk(tmp_path, bars=1))


def test_the_hook_is_handed_its_requests_as_they_came_and_needs_no_token():
    seen: list[Scope] = []

    async def hook(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await PlainTextResponse("taken")(scope, receive, send)

    app = create_app(board=Board(lambda: 0), door=ScriptedDoor(), token=TOKEN, hook=hook, health=lambda: None)

    async def story() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
            assert (await client.post("/hook/lane-token", content=b"{}")).text == "taken"
            assert (await client.post("/hookx", content=b"{}")).status_code == 401

    asyncio.run(story())

    assert [(scope["path"], scope.get("root_path", "")) for scope in seen] == [("/hook/lane-token", "")]


@settings(max_examples=150, deadline=None)
@given(path=st.sampled_from(["/api/kill", "/api/release", "/api/flatten", "/api/answer", "/api/reconcile", "/api/drill",
                             "/api/confirm", "/api/decline", "/api/accounts/a/disable", "/api/bars/x", "/", "/assets/x", "/ws"]),
       method=st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE"]), body=st.binary(max_size=200),
       query=st.binary(max_size=40), origin=st.text(max_size=20), known=st.booleans(),
       kind=st.sampled_from(["application/json", "text/plain", "multipart/form-data",
                             "application/x-www-form-urlencoded"]))
def test_no_request_makes_the_room_stumble(path: str, method: str, body: bytes, query: bytes, origin: str, known: bool,
                                           kind: str):
    async def play() -> int:
        sent: list[Any] = []
        headers = [(b"host", b"127.0.0.1:8700"), (b"content-type", kind.encode()), (b"origin", origin.encode()),
                   (b"cookie", body[:30])]
        if known:
            headers.append((b"authorization", f"Bearer {TOKEN}".encode()))
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
                 "raw_path": path.encode(), "query_string": query, "headers": headers, "root_path": "",
                 "scheme": "http", "server": ("127.0.0.1", 8700), "client": ("127.0.0.1", 5)}

        waiting: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await APP(scope, receive, send)
        return int(sent[0]["status"])

    assert asyncio.run(play()) < 500


APP = ScriptedDesk(bars=1).app
