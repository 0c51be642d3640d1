"""From outside, nothing but the hook can be reached."""

import pytest
from tests.intake.given import TOKEN, Wire

from interlock.intake.perimeter import Perimeter
from interlock.model.codes import CODES

LOCAL = {"host": "127.0.0.1:8700"}


async def page(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []} if scope["type"] == "http"
               else {"type": "websocket.accept", "status": 101})
    if scope["type"] == "http":
        await send({"type": "http.response.body", "body": b"page"})


def outside(**more):
    return Wire(Perimeter(page, **more))


@pytest.mark.parametrize("host", ["127.0.0.1:8700", "localhost", "LOCALHOST:1", "[::1]:8700", "127.0.0.1"])
@pytest.mark.parametrize("path", ["/", "/api/kill", "/hook/x"])
def test_this_machine_reaches_everything(host, path):
    assert outside().send("GET", path, headers={"host": host}).status == 200


@pytest.mark.parametrize("header", [
    "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Via", "X-Real-IP", "CF-Connecting-IP",
    "CF-Ray", "True-Client-IP", "X-Original-URL", "ngrok-trace-id", "Tailscale-User-Login", "X-Client-IP"])
@pytest.mark.parametrize("path", ["/", "/api/kill", "/health", "/hook", "/hook/", "/hookx", "/hook/../api",
                                  "/hook/a/../../api", "/hook/a/b", "/hook/..", "//hook/a", "/HOOK/a", "/hook/%2e%2e"])
def test_a_forwarded_request_reaches_nothing_but_the_hook(header, path):
    reply = outside().send("POST", path, headers=LOCAL | {header: "1.2.3.4"})

    assert (reply.status, reply.json["status"], reply.json["code"]) == (403, "refused", "perimeter.forwarded")
    assert outside().send("POST", f"/hook/{TOKEN}", headers=LOCAL | {header: "1.2.3.4"}).status == 200


@pytest.mark.parametrize("host", ["example.ngrok.app", "127.0.0.1.evil.com", "evil.com:8700", "", "localhost.",
                                  "127.0.0.1@evil.com", "[::1].evil.com", "localhost:8700:1", "0.0.0.0:8700",
                                  "127.0.0.1 evil.com", "localhost/x"])
def test_another_host_reaches_nothing_but_the_hook(host):
    reply = outside().send("GET", "/", headers={"host": host})

    assert (reply.status, reply.json["code"]) == (403, "perimeter.host")
    assert outside().send("POST", f"/hook/{TOKEN}", headers={"host": host}).status == 200


def test_a_request_with_no_host_or_with_two_is_from_outside():
    assert outside().send("GET", "/").json["code"] == "perimeter.host"

    scope = {"type": "http", "method": "GET", "path": "/", "client": ("127.0.0.1", 1),
             "headers": [(b"host", b"localhost"), (b"Host", b"evil.com")]}
    refusal = Perimeter(page)._refusal(scope)
    assert refusal is not None
    assert refusal.code == "perimeter.host"


@pytest.mark.parametrize("headers", [LOCAL | {"x-forwarded-for": "1.2.3.4"}, {"host": "evil.com"}])
@pytest.mark.parametrize("path", ["/ws", f"/hook/{TOKEN}"])
def test_a_socket_from_outside_is_closed_before_it_opens(headers, path):
    reply = outside().send("GET", path, headers=headers, kind="websocket")

    assert [message["type"] for message in reply.sent] == ["websocket.close"]
    assert reply.sent[0]["reason"] in CODES


def test_a_socket_of_this_machine_opens():
    assert outside().send("GET", "/ws", headers=LOCAL, kind="websocket").status == 101


def test_a_declared_proxy_may_forward_and_its_name_must_be_declared_too():
    headers = {"host": "desk.example.com", "x-forwarded-for": "1.2.3.4"}
    declared = outside(proxies=["10.0.0.2"], hosts=["Desk.Example.com"])

    assert declared.send("GET", "/", headers=headers, client="10.0.0.2").status == 200
    assert declared.send("GET", "/", headers=headers, client="10.0.0.3").json["code"] == "perimeter.forwarded"
    unnamed = outside(proxies=["10.0.0.2"])
    assert unnamed.send("GET", "/", headers=headers, client="10.0.0.2").json["code"] == "perimeter.host"
