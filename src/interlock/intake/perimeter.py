"""What comes from outside this machine reaches the hook and nothing else.

A tunnel pointed at the main port makes every request look local. Two things give it away: the headers that proxies add,
and a Host that is not this machine's own. The second also stops a page elsewhere that renames itself to 127.0.0.1.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeAlias

import msgspec

from interlock.intake.hook import PREFIX, HookAnswer, Receive, Scope, Send
from interlock.intake.secret_book import TOKEN

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
FORWARDING: Final = frozenset((
    b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"true-client-ip", b"fastly-client-ip",
    b"cdn-loop", b"x-envoy-external-address", b"x-envoy-original-path", b"x-appengine-user-ip", b"x-azure-clientip",
    b"x-proxyuser-ip", b"x-arr-clientcert", b"x-remote-addr", b"x-remote-ip"))
FORWARDING_STARTS: Final = (b"x-forwarded", b"cf-", b"x-original-", b"ngrok-", b"tailscale-", b"x-amzn-", b"x-vercel-")

_HOST: Final = re.compile(rb"(\[[0-9a-fA-F:.]+\]|[^:\[\]@/]+)(:\d{1,5})?")


class Perimeter:
    """ASGI middleware around everything on the main port, sockets too. `proxies` are the addresses of declared proxies,
    `hosts` further names under which the page may be asked for."""

    def __init__(self, app: App, *, proxies: Iterable[str] = (), hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._proxies = frozenset(proxies)
        self._hosts = frozenset(name.lower() for name in (*LOOPBACK, *hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if answer is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": answer.code})
        else:
            body = msgspec.json.encode(answer)
            await send({"type": "http.response.start", "status": 403, "headers": [
                (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]})
            await send({"type": "http.response.body", "body": body})

    def _refusal(self, scope: Scope) -> HookAnswer | None:
        path: str = scope["path"]
        if scope["type"] == "http" and path.startswith(PREFIX) and TOKEN.fullmatch(path, len(PREFIX)):
            return None
        client = scope.get("client")
        is_declared = client is not None and client[0] in self._proxies
        hosts = []
        for name, value in scope["headers"]:
            lower = name.lower()
            if lower == b"host":
                hosts.append(value)
            elif not is_declared and (lower in FORWARDING or lower.startswith(FORWARDING_STARTS)):
                return HookAnswer("refused", None, "perimeter.forwarded",
                                  f"{lower.decode('latin-1')!a} shows a proxy that is not declared")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return HookAnswer("refused", None, "perimeter.host", "the Host is none of this machine's loopback names")
        return None

    def _is_ours(self, host: bytes) -> bool:
        match = _HOST.fullmatch(host)
        return match is not None and match[1].decode("latin-1").lower() in self._hosts
