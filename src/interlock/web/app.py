"""The page's server: reads of the board, a person's acts through the command door, the live socket, the built page."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from interlock.errors import InterlockError, StorageError
from interlock.model.command import (
    Command,
    ConfirmAccount,
    Decide,
    DeclineLive,
    DisableAccount,
    Enable,
    EnableAccount,
    Flatten,
    Kill,
    Reconcile,
    Reconnect,
    Release,
)
from interlock.model.ids import AccountName, LaneName
from interlock.runtime.board import Board
from interlock.web.auth import Entrance, Guard
from interlock.web.door import CommandDoor, DrillDoor, LiveDoor, PositionsDoor
from interlock.web.plain import NOT_BUILT
from interlock.web.socket import Pages

STATIC: Final = Path(__file__).parent / "static"
ANSWER_WITHIN: Final = 5.0             # seconds that a page waits for the outcome of an act

Name = Annotated[str, Field(min_length=1, max_length=64)]
Why = Annotated[str, Field(min_length=1, max_length=500)]


class Ask(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class KillAsk(Ask):
    """`confirm` is what the person typed; anything but KILL is refused."""

    why: Why
    confirm: Literal["KILL"]
    scope: Literal["risk", "all"] = "risk"
    lane: Name | None = None
    account: Name | None = None
    number: Annotated[str, Field(max_length=64)] = ""      # of a live account that is not confirmed, for scope "all"


class ReleaseAsk(Ask):
    phrase: Annotated[str, Field(max_length=100)]
    seen: Annotated[str, Field(max_length=64)] = ""
    lane: Name | None = None
    account: Name | None = None


class DisableAsk(Ask):
    why: Why


class ConfirmAsk(Ask):
    """`typed` is the account's full number; `seen` the digest of what was shown beside the field."""

    account: Name
    typed: Annotated[str, Field(min_length=1, max_length=64)]
    seen: Annotated[str, Field(min_length=1, max_length=64)]


class AnswerAsk(Ask):
    """The answer to a question that waits; `seen` is the digest of what the page showed of it."""

    question: Annotated[str, Field(min_length=1, max_length=200)]
    answer: Name
    seen: Annotated[str, Field(min_length=1, max_length=64)]


class FlattenAsk(Ask):
    """`confirm` is what the person typed, `seen` the digest of the positions that the page showed."""

    why: Why
    confirm: Literal["FLATTEN"]
    seen: Annotated[str, Field(min_length=1, max_length=64)]
    account: Name | None = None
    instrument: Name | None = None
    number: Annotated[str, Field(max_length=64)] = ""      # of a live account that is not confirmed


class ReconcileAsk(Ask):
    account: Name | None = None


class DrillAsk(Ask):
    orders: Annotated[int, Field(ge=1, le=200)] = 20


class DeclineAsk(Ask):
    """`confirm` is what the person chose; ending a live desk takes that word."""

    confirm: Literal["DECLINE"]


class Json(Response):
    """JSON as msgspec writes it: decimals as strings, whole numbers whole."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content)


class Assets(StaticFiles):
    """Files whose names hold the hash of their content: they may be kept for good."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if response.status_code == 200:
            response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


def create_app(*, board: Board, door: CommandDoor, token: str, hook: ASGIApp | None,
               health: Callable[[], dict[str, Any] | None], static: Path | None = STATIC,
               answer_within: float = ANSWER_WITHIN, live_door: LiveDoor | None = None,
               positions_shown: PositionsDoor | None = None, drill: DrillDoor | None = None) -> FastAPI:
    """The ASGI application of the main port.

    `health` answers None while the desk starts, else what `/health` shows. `hook` is served under `/hook/` as it is.
    `token` is kept as a digest only. `live_door` shows live accounts to the person who is to confirm them,
    `positions_shown` what a flatten is decided on; `drill` holds a kill drill.
    """
    app = FastAPI(title="Interlock", docs_url=None, redoc_url=None, openapi_url=None, default_response_class=Json,
                  telemetry={"auto_configure": False})     # a desk tells nobody about itself
    app.add_middleware(Guard, entrance=Entrance(token), hook=hook)
    app.add_exception_handler(RequestValidationError, _refuse_invalid)
    app.add_exception_handler(HTTPException, _refuse_http)
    _add_reads(app, board, health)
    if live_door is not None:
        _add_look(app, live_door)
    _add_acts(app, board, door, answer_within)
    if positions_shown is not None:
        _add_positions_shown(app, board, positions_shown)
    if drill is not None:
        _add_drill(app, drill)
    pages = Pages(board, health)

    @app.websocket("/ws")
    async def live(socket: WebSocket) -> None:
        await pages.serve(socket)

    _add_page(app, static or STATIC)
    return app


def _add_reads(app: FastAPI, board: Board, health: Callable[[], dict[str, Any] | None]) -> None:
    @app.get("/health")
    async def get_health() -> Response:
        found = health()
        answer = {"status": "starting"} if found is None else {"status": "ready", **found}
        return Json(answer, 200 if answer["status"] == "ready" else 503)

    @app.get("/api/state")
    async def get_state() -> Response:
        return Json({**board.snapshot(), "health": health() or {"status": "starting"}})

    @app.get("/api/bars/{instrument}")
    async def get_bars(instrument: str) -> Response:
        bars = board.bars(instrument)
        if bars is None:
            return _refusal(404, "instrument.unknown", f"no instrument {instrument!r} on this desk")
        return Json({"instrument": instrument, "bars": bars})

    @app.get("/api/verdicts")
    async def get_verdicts() -> Response:
        return Json(board.verdicts())

    @app.get("/api/orders")
    async def get_orders() -> Response:
        return Json(board.orders())

    @app.get("/api/positions")
    async def get_positions() -> Response:
        return Json(board.positions())


def _add_look(app: FastAPI, door: LiveDoor) -> None:
    @app.get("/api/confirm")
    async def look() -> Response:
        return Json(await door.look())


def _add_positions_shown(app: FastAPI, board: Board, shown: PositionsDoor) -> None:
    @app.get("/api/flatten")
    async def look(account: str | None = None, instrument: str | None = None) -> Response:
        if account is not None and account not in board.account_names:
            return _refusal(404, "account.unknown", f"no account {account!r} on this desk")
        return Json(shown(account, instrument))


def _add_drill(app: FastAPI, drill: DrillDoor) -> None:
    @app.post("/api/drill")
    async def hold(ask: DrillAsk, request: Request) -> Response:
        client = request.client
        try:
            return Json({"ok": True, **await drill(ask.orders, client.host if client else "unknown")})
        except InterlockError as e:
            return _refusal(503, "drill.not_held", str(e))


def _add_acts(app: FastAPI, board: Board, door: CommandDoor, answer_within: float) -> None:
    async def submit(command: Command, request: Request) -> Response:
        lane, account = getattr(command, "lane", None), getattr(command, "account", None)
        if lane is not None and lane not in board.lane_names:
            return _refusal(404, "lane.unknown", f"no lane {lane!r} on this desk")
        if account is not None and account not in board.account_names:
            return _refusal(404, "account.unknown", f"no account {account!r} on this desk")
        client = request.client
        # shielded: a command that was given is not taken back because nobody waits for its answer any more
        asked = asyncio.ensure_future(door.submit(command, who=client.host if client else "unknown", origin="page"))
        try:
            answer = await asyncio.wait_for(asyncio.shield(asked), answer_within)
        except StorageError as e:
            return _refusal(503, "door.closed", f"the command was not given: {e}")
        except TimeoutError:
            asked.add_done_callback(_look_away)
            return _refusal(504, "door.no_answer", f"no answer within {answer_within:g} s; the command may still take "
                            "effect. Look at the desk, or use `interlock kill` in a terminal")
        return Json(answer, 200 if answer.get("ok", True) else 409)

    @app.post("/api/kill")
    async def kill(ask: KillAsk, request: Request) -> Response:
        return await submit(Kill(ask.why, _lane(ask.lane), _account(ask.account), ask.scope, ask.number), request)

    @app.post("/api/release")
    async def release(ask: ReleaseAsk, request: Request) -> Response:
        return await submit(Release(ask.phrase, _lane(ask.lane), _account(ask.account), ask.seen), request)

    @app.post("/api/flatten")
    async def flatten(ask: FlattenAsk, request: Request) -> Response:
        return await submit(Flatten(ask.why, _account(ask.account), ask.instrument, ask.seen, ask.number), request)

    @app.post("/api/reconcile")
    async def reconcile(ask: ReconcileAsk, request: Request) -> Response:
        return await submit(Reconcile(_account(ask.account)), request)

    @app.post("/api/answer")
    async def answer(ask: AnswerAsk, request: Request) -> Response:
        if ask.answer == "reconnect" and ask.question.startswith("line."):
            return await submit(Reconnect(AccountName(ask.question.removeprefix("line.")), ask.seen), request)
        if ask.answer == "enable":
            return await submit(Enable(ask.question, ask.seen), request)
        return await submit(Decide(ask.question, ask.answer, ask.seen), request)

    @app.post("/api/confirm")
    async def confirm(ask: ConfirmAsk, request: Request) -> Response:
        return await submit(ConfirmAccount(AccountName(ask.account), ask.typed, ask.seen), request)

    @app.post("/api/decline")
    async def decline(_: DeclineAsk, request: Request) -> Response:
        return await submit(DeclineLive(), request)

    @app.post("/api/accounts/{name}/disable")
    async def disable(name: str, ask: DisableAsk, request: Request) -> Response:
        return await submit(DisableAccount(AccountName(name), ask.why), request)

    @app.post("/api/accounts/{name}/enable")
    async def enable(name: str, request: Request) -> Response:
        return await submit(EnableAccount(AccountName(name)), request)


def _add_page(app: FastAPI, static: Path) -> None:
    @app.get("/")
    async def page() -> Response:
        index = await asyncio.to_thread(_read, static / "index.html")
        return HTMLResponse(NOT_BUILT if index is None else index, headers={"cache-control": "no-cache"})

    @app.get("/icon.svg")
    async def icon() -> Response:
        drawing = await asyncio.to_thread(_read, static / "icon.svg")
        if drawing is None:
            return _refusal(404, "http.404", "the dashboard is not built")
        return Response(drawing, media_type="image/svg+xml", headers={"cache-control": "max-age=86400"})

    app.mount("/assets", Assets(directory=static / "assets", check_dir=False))


def _look_away(asked: "asyncio.Future[dict[str, Any]]") -> None:
    """Take the late answer, or its failure, of a command that nobody waits for: the journal holds the outcome."""
    if not asked.cancelled():
        asked.exception()


def _read(path: Path) -> bytes | None:
    """What the build left there; None while there is no build, or one is under way."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def _lane(name: str | None) -> LaneName | None:
    return None if name is None else LaneName(name)


def _account(name: str | None) -> AccountName | None:
    return None if name is None else AccountName(name)


def _refusal(status: int, code: str, reason: str) -> Response:
    return Json({"ok": False, "code": code, "reason": reason}, status)


async def _refuse_invalid(_: Request, error: Exception) -> Response:
    """What was expected and where; what was sent is not repeated."""
    assert isinstance(error, RequestValidationError)
    found = "; ".join(f"{'.'.join(str(part) for part in each['loc'][1:]) or 'body'}: {each['msg']}"
                      for each in error.errors())
    return _refusal(422, "request.invalid", found)


async def _refuse_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"ok": False, "code": f"http.{error.status_code}", "reason": error.detail}, error.status_code,
                        error.headers)
