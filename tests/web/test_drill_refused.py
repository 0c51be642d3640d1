"""A kill drill that could not be held says so on the page."""

import asyncio
from typing import Any

import httpx
from tests.web.desk import TOKEN, ScriptedDoor
from tests.web.test_web_app import BASE, BEARER

from interlock.errors import InputError
from interlock.runtime.board import Board
from interlock.web.app import create_app


def test_a_drill_that_cannot_be_held_is_refused_with_the_reason() -> None:
    async def drill(orders: int, who: str) -> dict[str, Any]:
        raise InputError("the account is live")

    app = create_app(board=Board(lambda: 0), door=ScriptedDoor(), token=TOKEN, hook=None, health=lambda: None, drill=drill)

    async def story() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, headers=BEARER) as client:
            return await client.post("/api/drill", json={"orders": 3})

    answer = asyncio.run(story())
    assert (answer.status_code, answer.json()["code"]) == (503, "drill.not_held")
