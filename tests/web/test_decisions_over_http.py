"""A person's decisions over the API: each carries what was shown, nothing half said is taken, and a moved state is told."""

import asyncio
from typing import Any

import httpx
import pytest
from tests.web.desk import TOKEN, ScriptedDesk, ScriptedDoor
from tests.web.test_web_app import BASE, BEARER, run

from interlock.model.command import (
    RELEASE_PHRASE,
    ConfirmAccount,
    Decide,
    DeclineLive,
    Enable,
    Flatten,
    Kill,
    Reconcile,
    Reconnect,
    Release,
)
from interlock.runtime.board import Board
from interlock.web.app import create_app

SEEN = "0f3a9c1d2b4e5f60"
FLATTEN = {"why": "done", "confirm": "FLATTEN", "seen": SEEN}
ANSWER = {"question": "drift.paper-a", "answer": "adopt-broker", "seen": SEEN}
CONFIRM = {"account": "paper-a", "typed": "U-0417", "seen": SEEN}
BODIES: dict[str, dict[str, Any]] = {
    "/api/flatten": FLATTEN, "/api/answer": ANSWER, "/api/reconcile": {}, "/api/drill": {}, "/api/confirm": CONFIRM,
    "/api/decline": {"confirm": "DECLINE"}, "/api/release": {"phrase": RELEASE_PHRASE, "seen": SEEN}}


def given(path: str, body: dict[str, Any] | None, desk: ScriptedDesk) -> httpx.Response:
    answer: httpx.Response = run(lambda client: client.post(path, json=body, headers=BEARER), desk)
    return answer


@pytest.mark.parametrize("path", BODIES)
def test_a_stranger_decides_nothing(path: str):
    desk = ScriptedDesk(bars=1)

    answer = run(lambda client: client.post(path, json=BODIES[path]), desk)

    assert (answer.status_code, answer.json()["code"]) == (401, "token.wrong")
    assert (desk.commands, desk.drills) == ([], [])


@pytest.mark.parametrize("path", BODIES)
def test_a_page_of_another_origin_decides_nothing_with_our_cookie(path: str):
    desk = ScriptedDesk(bars=1)

    async def story(client: httpx.AsyncClient) -> httpx.Response:
        await client.get(f"/?token={TOKEN}")
        return await client.post(path, json=BODIES[path], headers={"origin": "http://evil.example"})

    assert run(story, desk).json()["code"] == "origin.foreign"
    assert (desk.commands, desk.drills) == ([], [])


@pytest.mark.parametrize("path", ["/api/flatten", "/api/confirm"])
def test_a_stranger_is_shown_neither_positions_nor_account_numbers(path: str):
    answer = run(lambda client: client.get(path))

    assert answer.status_code == 401
    assert "position" not in answer.text


@pytest.mark.parametrize(("path", "body", "command"), [
    ("/api/flatten", FLATTEN, Flatten("done", seen=SEEN)),
    ("/api/flatten", {**FLATTEN, "account": "paper-a", "instrument": "MNQ", "number": "U-0417"},
     Flatten("done", "paper-a", "MNQ", SEEN, "U-0417")),  # type: ignore[arg-type]
    ("/api/answer", ANSWER, Decide("drift.paper-a", "adopt-broker", SEEN)),
    ("/api/answer", {**ANSWER, "question": "tier4.lane.main", "answer": "enable"}, Enable("tier4.lane.main", SEEN)),
    ("/api/answer", {**ANSWER, "question": "line.paper-a", "answer": "reconnect"}, Reconnect("paper-a", SEEN)),  # type: ignore[arg-type]
    ("/api/answer", {**ANSWER, "answer": "reconnect"}, Decide("drift.paper-a", "reconnect", SEEN)),
    ("/api/reconcile", {}, Reconcile()),
    ("/api/reconcile", {"account": "paper-b"}, Reconcile("paper-b")),  # type: ignore[arg-type]
    ("/api/confirm", CONFIRM, ConfirmAccount("paper-a", "U-0417", SEEN)),  # type: ignore[arg-type]
    ("/api/decline", {"confirm": "DECLINE"}, DeclineLive()),
    ("/api/release", {"phrase": RELEASE_PHRASE, "seen": SEEN, "lane": "futures"},
     Release(RELEASE_PHRASE, lane="futures", seen=SEEN)),  # type: ignore[arg-type]
    ("/api/kill", {"why": "news", "confirm": "KILL", "scope": "all", "number": "U-0417"},
     Kill("news", scope="all", typed="U-0417")),
])
def test_what_is_asked_reaches_the_door_whole(path: str, body: dict[str, Any], command: object):
    desk = ScriptedDesk(bars=1)

    given(path, body, desk)

    assert desk.commands == [command]


@pytest.mark.parametrize(("path", "body", "status"), [
    ("/api/flatten", {}, 422),
    ("/api/flatten", {**FLATTEN, "confirm": "flatten"}, 422),
    ("/api/flatten", {**FLATTEN, "seen": ""}, 422),
    ("/api/flatten", {"why": "done", "confirm": "FLATTEN"}, 422),
    ("/api/flatten", {**FLATTEN, "why": ""}, 422),
    ("/api/flatten", {**FLATTEN, "all": True}, 422),
    ("/api/flatten", {**FLATTEN, "account": "nobody"}, 404),
    ("/api/answer", {"question": "drift.paper-a", "answer": "adopt-broker"}, 422),
    ("/api/answer", {**ANSWER, "answer": ""}, 422),
    ("/api/answer", {**ANSWER, "seen": ""}, 422),
    ("/api/answer", {**ANSWER, "question": "line.nobody", "answer": "reconnect"}, 404),
    ("/api/reconcile", {"account": "nobody"}, 404),
    ("/api/reconcile", {"account": 7}, 422),
    ("/api/drill", {"orders": 0}, 422),
    ("/api/drill", {"orders": 201}, 422),
    ("/api/drill", {"orders": "20"}, 422),
    ("/api/confirm", {**CONFIRM, "typed": ""}, 422),
    ("/api/confirm", {**CONFIRM, "account": "nobody"}, 404),
    ("/api/decline", {}, 422),
    ("/api/decline", {"confirm": "decline"}, 422),
])
def test_what_is_not_whole_reaches_nobody(path: str, body: dict[str, Any], status: int):
    desk = ScriptedDesk(bars=1)

    answer = given(path, body, desk)

    assert answer.status_code == status
    assert answer.json()["ok"] is False
    assert answer.json()["reason"]
    assert (desk.commands, desk.drills) == ([], [])


def test_a_question_is_answered_on_what_was_shown_and_refused_once_that_has_moved():
    desk = ScriptedDesk(bars=1)
    seen = desk.drift()
    now = desk.drift(theirs="4")

    moved = given("/api/answer", {**ANSWER, "seen": seen}, desk)
    taken = given("/api/answer", {**ANSWER, "seen": now}, desk)
    twice = given("/api/answer", {**ANSWER, "seen": now}, desk)

    assert (moved.status_code, moved.json()["code"]) == (409, "command.state_moved")
    assert taken.status_code == 200
    assert (twice.status_code, twice.json()["code"]) == (409, "command.no_question")


def test_a_flatten_shows_what_it_is_decided_on():
    desk = ScriptedDesk(bars=1)

    async def story(client: httpx.AsyncClient) -> tuple[httpx.Response, ...]:
        client.headers.update(BEARER)
        shown = await client.get("/api/flatten", params={"account": "paper-a", "instrument": "MNQ"})
        taken = await client.post("/api/flatten", json={**FLATTEN, "seen": shown.json()["digest"], "account": "paper-a",
                                                        "instrument": "MNQ"})
        other = await client.post("/api/flatten", json={**FLATTEN, "seen": shown.json()["digest"]})
        return shown, taken, other, await client.get("/api/flatten", params={"account": "nobody"})

    shown, taken, other, nobody = run(story, desk)

    assert shown.json()["state"] == [["position.paper-a.MNQ", "2", "2"]]
    assert taken.json()["accounts"] == ["paper-a"]
    assert (other.status_code, other.json()["code"]) == (409, "command.state_moved"), "another reach is another state"
    assert (nobody.status_code, nobody.json()["code"]) == (404, "account.unknown")


def test_a_drill_answers_its_figures_and_one_that_was_not_held_says_why():
    desk = ScriptedDesk(bars=1)

    held = given("/api/drill", {}, desk)
    desk.drill_refused = "a drill is under way already"
    refused = given("/api/drill", {"orders": 5}, desk)

    assert held.json() == {"ok": True, "orders": 20, "cancelled": 20, "confirmed_ms": 41.7}
    assert (refused.status_code, refused.json()["code"]) == (503, "drill.not_held")
    assert "under way" in refused.json()["reason"]
    assert desk.drills == [20, 5]
    assert desk.board.snapshot()["drill"]["confirmed_ms"] == 41.7


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/drill"), ("GET", "/api/flatten"), ("GET", "/api/confirm")])
def test_a_desk_that_was_given_no_such_door_has_none(method: str, path: str):
    app = create_app(board=Board(lambda: 0), door=ScriptedDoor(), token=TOKEN, hook=None, health=lambda: None)

    async def story() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, headers=BEARER) as client:
            return (await client.request(method, path, json={} if method == "POST" else None)).status_code

    assert asyncio.run(story()) in (404, 405)


def test_a_wrong_number_confirms_nothing():
    desk = ScriptedDesk(bars=1)
    desk.go_live("paper-a")

    wrong = given("/api/confirm", {**CONFIRM, "typed": "U-0417"}, desk)
    right = given("/api/confirm", {**CONFIRM, "typed": "U-0417-paper-a"}, desk)

    assert (wrong.status_code, wrong.json()["code"]) == (409, "confirm.number")
    assert right.status_code == 200
    assert run(lambda client: client.get("/api/confirm", headers=BEARER), desk).json()["accounts"][0]["confirmed"] is True
