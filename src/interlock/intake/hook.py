"""The hook: a raw ASGI app that takes `POST /hook/<lane-token>` and answers what became of the alert.

It knows a door to submit through and a clock, and nothing of the engine behind them. What it may not pass on (another
path, another method, too many bytes) it answers itself; everything else is written down first and answered from there.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from interlock.errors import InputError, InterlockError
from interlock.intake.body import read_body
from interlock.intake.secret_book import SecretBook
from interlock.model.ids import LaneName
from interlock.model.money import Nanos
from interlock.model.signal import AlertAccepted, AlertAnswer, AlertDuplicate, AlertReceived, AlertRefused

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Submit: TypeAlias = Callable[[AlertReceived], Awaitable[AlertAnswer]]
"""Write the alert down and return its answer once that is durable. Raises StorageError when it cannot be written.
It may be cancelled while it waits: the alert then goes its way, and its answer is not heard."""

PREFIX: Final = "/hook/"
BODY_BYTES_MAX: Final = 16 * 1024
ANSWER_SECONDS: Final = 2.5
"""TradingView gives up after 3 s; half a second of that belongs to the network."""

TRADINGVIEW: Final = ("52.89.214.238", "34.212.75.30", "54.218.53.128", "52.32.178.7")
"""The addresses that TradingView documents as its senders."""


class HookAnswer(Struct, frozen=True):
    """What the sender reads. `signal_id` is null only when the alert got no further than this file."""

    status: str
    signal_id: str | None
    code: str
    reason: str


class TooLarge(InputError):
    """A body beyond the cap; answered here and never passed on."""


_encode = msgspec.json.Encoder().encode
_JSON: Final = (b"content-type", b"application/json")
_CLOSE: Final = (b"connection", b"close")
_ALLOW: Final = (b"allow", b"POST")


class Hook:
    """`proxies` are the addresses of declared proxies, whose X-Forwarded-For is believed; with `sources`, what is
    forwarded must come through one of them and from one of those addresses. Without a declared proxy the source is not
    judged. The server must leave the peer's address as it is (uvicorn: `proxy_headers=False`)."""

    def __init__(self, secrets: SecretBook, submit: Submit, now: Callable[[], Nanos], *,
                 body_bytes_max: int = BODY_BYTES_MAX, answer_seconds: float = ANSWER_SECONDS,
                 proxies: tuple[str, ...] = (), sources: tuple[str, ...] = ()) -> None:
        self._secrets = secrets
        self._submit = submit
        self._now = now
        self._body_bytes_max = body_bytes_max
        self._answer_seconds = answer_seconds
        self._proxies = proxies
        self._sources = sources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._serve(scope, receive, send)
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008})
            case "lifespan":
                await _live(receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if not path.startswith(PREFIX):
            await _say(send, 404, _no("hook.token", f"the hook is {PREFIX}<token>"))
        elif scope["method"] != "POST":
            await _say(send, 405, _no("hook.method", f"expected POST, found {scope['method'][:16]}"), _ALLOW)
        elif (lane := self._secrets.lane_of(path[len(PREFIX):])) is None:
            await _say(send, 404, _no("hook.token", "no lane has this token"))
        elif (source := self._source(scope)) is None:
            await _say(send, 422, _no("hook.source_address", "the sender is none of TradingView's addresses"))
        else:
            await self._take(lane, source, scope, receive, send)

    async def _take(self, lane: LaneName, source: str, scope: Scope, receive: Receive, send: Send) -> None:
        raw: bytes | None = None
        try:
            async with asyncio.timeout(self._answer_seconds):
                raw = await self._read(scope, receive)
                if raw is None:
                    return                                  # the sender went away in the middle of its body
                status, answer = _answer(await self._submit(self._received(lane, source, raw)))
        except TooLarge:
            refusal = _no("hook.size", f"the body has more than {self._body_bytes_max} bytes")
            await _say(send, 413, refusal, _CLOSE)
            return
        except TimeoutError:
            if raw is None:
                await _say(send, 422, _no("hook.slow", f"no whole body within {self._answer_seconds} s"), _CLOSE)
                return
            status, answer = 503, _no("hook.not_written", f"not known to be written within {self._answer_seconds} s")
        except InterlockError as error:                     # what cannot be written down is not accepted
            status, answer = 503, _no("hook.not_written", f"the alert could not be written down: {error}")
        await _say(send, status, answer)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body; None if the sender left. Raises TooLarge as soon as that is announced or seen."""
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and (len(value) > 18 or int(value) > self._body_bytes_max):
                raise TooLarge
        parts: list[bytes] = []
        length = 0
        while (message := await receive())["type"] == "http.request":
            part = message.get("body", b"")
            parts.append(part)
            length += len(part)
            if length > self._body_bytes_max:
                raise TooLarge
            if not message.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)
        return None

    def _received(self, lane: LaneName, source: str, raw: bytes) -> AlertReceived:
        read = read_body(raw)
        return AlertReceived(
            lane=lane, body=read.body, length=len(raw), transport_hash=self._secrets.hash_of(raw),
            has_secret=read.secret is not None, is_secret_right=self._secrets.is_right(lane, read.secret),
            ts_recv=self._now(), source_address=source, problem=read.problem)

    def _source(self, scope: Scope) -> str | None:
        """Who sent it, as far as that can be known; None when it must be TradingView and is not."""
        client = scope.get("client")
        address = str(client[0]) if client else ""
        if not self._proxies:
            return address
        hops = [hop.strip() for name, value in scope["headers"] if name == b"x-forwarded-for"
                for hop in value.decode("latin-1").split(",")]
        if address not in self._proxies:
            return None if hops and self._sources else address
        while hops and hops[-1] in self._proxies:           # the last hop a declared proxy saw; the rest is hearsay
            hops.pop()
        origin = hops[-1][:45] if hops else ""
        if self._sources and origin not in self._sources:
            return None
        return origin or address


def _answer(answer: AlertAnswer) -> tuple[int, HookAnswer]:
    match answer:
        case AlertAccepted():
            return 200, HookAnswer("accepted", answer.signal_id, "accepted", "gates and guards passed; written down")
        case AlertDuplicate():
            return 200, HookAnswer("duplicate", answer.signal_id, answer.code, answer.reason)
        case AlertRefused():
            return answer.http_status, HookAnswer("refused", answer.signal_id, answer.code, answer.reason)


def _no(code: str, reason: str) -> HookAnswer:
    return HookAnswer("refused", None, code, reason)


async def _say(send: Send, status: int, answer: HookAnswer, *headers: tuple[bytes, bytes]) -> None:
    body = _encode(answer)
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [_JSON, length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
