"""Who may come in: the token of the printed link, or the cookie it was changed for. It stands before everything else.

The room keeps digests only, so that nothing in it could be used to log in; comparing takes the same time for any input.
"""

import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interlock.web.plain import LOCKED, STYLE, style_hash

BODY_MAX: Final = 64 * 1024
_CHART_LOGO_STYLE: Final = (
    "a#tv-attr-logo{--fill:#131722;--stroke:#fff;position:absolute;left:10px;bottom:10px;height:19px;width:35px;margin:0;"
    "padding:0;border:0;z-index:3;}a#tv-attr-logo[data-dark]{--fill:#D1D4DC;--stroke:#131722;}")
"""What lightweight-charts adds for its attribution logo; allowed by its hash, so that no other inline style is."""

POLICY: Final = "; ".join((
    "default-src 'none'", "script-src 'self'", f"style-src 'self' {style_hash(_CHART_LOGO_STYLE)} {style_hash(STYLE)}",
    "img-src 'self' data:", "connect-src 'self'", "font-src 'self'", "manifest-src 'self'", "base-uri 'none'",
    "form-action 'none'", "frame-ancestors 'none'"))

HEADERS: Final = {
    "content-security-policy": POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
    "x-frame-options": "DENY", "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin", "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _cookie_value(token: str) -> str:
    return hmac.new(token.encode(), b"interlock page cookie", hashlib.sha256).hexdigest()


class Entrance:
    """Tells a known visitor from a stranger."""

    def __init__(self, token: str) -> None:
        self._token = _digest(token)
        self._cookie = _digest(_cookie_value(token))
        self.cookie_name = f"interlock_{self._token.hex()[:8]}"    # of this desk: a second one on the host has its own

    def knows_token(self, token: str) -> bool:
        return hmac.compare_digest(_digest(token), self._token)

    def bears(self, headers: Headers) -> bool:
        """Whether the token itself stands in the headers, which no other site's page can put there."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.knows_token(token.strip())

    def knows(self, headers: Headers) -> bool:
        """By `Authorization: Bearer TOKEN`, or by the cookie."""
        if self.bears(headers):
            return True
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self.cookie_name)
        except CookieError:
            return False
        return morsel is not None and hmac.compare_digest(_digest(morsel.value), self._cookie)

    def admit(self, token: str, *, is_https: bool) -> Response:
        """The link was right: from now on the cookie is enough, and the token leaves the address bar."""
        response = RedirectResponse("/", 303)
        response.set_cookie(self.cookie_name, _cookie_value(token), httponly=True, samesite="strict", path="/",
                            secure=is_https)
        return response


def is_same_origin(headers: Headers) -> bool:
    """Whether the page that asks came from the address it asks. A request without an Origin came from no page."""
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        asking = urlsplit(origin).netloc
    except ValueError:
        return False
    return asking.lower() == headers.get("host", "").lower() != ""


class Guard:
    """Lets `/health` and `/hook/` through; anything else needs the token, and an act from a page its own origin."""

    def __init__(self, app: ASGIApp, *, entrance: Entrance, hook: ASGIApp | None) -> None:
        self._app = app
        self._entrance = entrance
        self._hook = hook

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith("/hook/") and self._hook is not None:
            await self._hook(scope, receive, send)
        elif scope["type"] == "websocket":
            headers = Headers(scope=scope)
            has_right_origin = is_same_origin(headers) or ("origin" not in headers and self._entrance.bears(headers))
            if self._entrance.knows(headers) and has_right_origin:
                await self._app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": "token or origin"})
        else:
            refusal = self._refusal(scope)
            send = _with_headers(send)
            await (refusal or _Capped(self._app))(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if scope["path"] == "/health":
            return None
        if scope["path"] == "/" and scope["method"] == "GET" and scope["query_string"]:
            tokens = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
            if len(tokens) == 1 and self._entrance.knows_token(tokens[0]):
                return self._entrance.admit(tokens[0], is_https=scope.get("scheme") == "https")
        if not self._entrance.knows(headers):
            if "text/html" in headers.get("accept", ""):
                return HTMLResponse(LOCKED, 401)
            return _refuse(401, "token.wrong", "use the link that `interlock run` printed, or `Authorization: Bearer`")
        if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            if not self._entrance.bears(headers) and not is_same_origin(headers):
                return _refuse(403, "origin.foreign", f"expected our own page, found {headers.get('origin')!r}")
            length = headers.get("content-length", "0")
            if not length.isdigit() or int(length) > BODY_MAX:
                return _refuse(413, "body.too_large", f"expected at most {BODY_MAX} bytes, found {length}")
        return None


def _refuse(status: int, code: str, reason: str) -> JSONResponse:
    return JSONResponse({"ok": False, "code": code, "reason": reason}, status)


class _Capped:
    """Ends a body that goes on beyond the cap, whatever length it declared."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen = 0

        async def receive_capped() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            return message if seen <= BODY_MAX else {"type": "http.disconnect"}

        await self._app(scope, receive_capped, send)


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return send_with_headers
