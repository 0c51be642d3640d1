"""The hook from outside: methods, tokens, sizes, secrets, answers; and that it stays calm whatever is thrown at it."""

import asyncio
import hmac
import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.intake.given import (
    KEY,
    LANE,
    NOW,
    SECRET,
    TOKEN,
    Desk,
    Wire,
    a_book,
    a_message,
    a_row,
    an_intake,
    bytes_of,
    rules,
)

from interlock.errors import ConfigError, StorageError
from interlock.intake.body import read_body
from interlock.intake.hook import TRADINGVIEW, Hook
from interlock.intake.secret_book import SecretBook
from interlock.model.codes import CODES
from interlock.model.entry import Payload
from interlock.model.ids import LaneName
from interlock.model.money import SECOND
from interlock.model.signal import AlertReceived

KEYS = {"status", "signal_id", "code", "reason"}


def test_an_alert_is_accepted_and_its_resend_a_duplicate_of_it():
    desk = Desk()

    first, again = desk.wire.post(a_message()), desk.wire.post(a_message())

    assert (first.status, first.json["status"], first.json["code"]) == (200, "accepted", "accepted")
    assert (again.status, again.json["status"], again.json["code"]) == (200, "duplicate", "duplicate.bytes")
    assert first.json["signal_id"] == again.json["signal_id"]
    assert first.headers[b"content-type"] == b"application/json"
    assert set(first.json) == set(again.json) == KEYS


@pytest.mark.parametrize("content_type", [None, "text/plain; charset=utf-8", "application/json", "image/png"])
def test_the_body_is_json_whatever_its_header_says(content_type):
    reply = Desk().wire.post(a_message(), headers={"content-type": content_type} if content_type else {})

    assert reply.status == 200


@pytest.mark.parametrize(("message", "status", "code"), [
    (a_message(secret=None), 401, "secret.absent"), (a_message(secret="nope"), 401, "secret.wrong"),
    (b"{", 401, "secret.absent"), (a_message(strategy="x"), 422, "strategy.unknown")])
def test_a_refusal_answers_with_its_status_and_has_a_signal_id(message, status, code):
    reply = Desk().wire.post(message)

    assert (reply.status, reply.json["status"], reply.json["code"]) == (status, "refused", code)
    assert set(reply.json) == KEYS
    assert len(reply.json["signal_id"]) == 18


@pytest.mark.parametrize("path", ["/hook/", "/hook/nope", f"/hook/{TOKEN}/", f"/hook/{TOKEN}x", "/", "/hook",
                                  "/hook/\udc80"])
def test_an_unknown_token_or_path_is_404_and_nothing_is_written(path):
    desk = Desk()
    reply = desk.wire.post(a_message(), path)

    assert (reply.status, reply.json["code"], reply.json["signal_id"]) == (404, "hook.token", None)
    assert desk.entries == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_another_method_is_405(method):
    reply = Desk().wire.send(method, f"/hook/{TOKEN}")

    assert (reply.status, reply.json["code"], reply.headers[b"allow"]) == (405, "hook.method", b"POST")


def test_a_body_of_the_cap_passes_and_one_byte_more_does_not():
    desk = Desk(body_bytes_max=1000)
    body = bytes_of(a_message())
    full = body[:-1] + b', "pad": "' + b"x" * (1000 - len(body) - 11) + b'"}'

    assert len(full) == 1000
    assert desk.wire.post(full).status == 200
    for reply in (desk.wire.post(full + b" "),
                  desk.wire.post(b"", chunks=[full[:500], full[500:], b" ", b"never read"]),
                  desk.wire.post(b"{}", headers={"content-length": "1001"}),
                  desk.wire.post(b"{}", headers={"content-length": "9" * 400})):
        assert (reply.status, reply.json["code"], reply.json["signal_id"]) == (413, "hook.size", None)
    assert len(desk.entries) == 2


def test_a_body_in_pieces_is_one_body():
    body = bytes_of(a_message())

    assert Desk().wire.post(b"", chunks=[body[:7], b"", body[7:90], body[90:], b""]).status == 200


def test_a_sender_that_leaves_in_the_middle_gets_no_answer_and_leaves_no_entry():
    desk = Desk()
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": f"/hook/{TOKEN}", "headers": [], "client": None}
    inbound = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    sent: list[Any] = []

    async def receive():
        return inbound.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(desk.hook(scope, receive, send))

    assert (sent, desk.entries) == ([], [])


def hook_with(submit, **more):
    return Wire(Hook(a_book(), submit, lambda: NOW, **more))


def test_an_entry_that_cannot_be_written_is_503():
    async def submit(alert):
        raise StorageError("the disk is full")

    reply = hook_with(submit).post(a_message())

    assert (reply.status, reply.json["status"], reply.json["code"]) == (503, "refused", "hook.not_written")
    assert "the disk is full" in reply.json["reason"]
    assert set(reply.json) == KEYS


def test_an_entry_that_is_not_durable_in_time_is_503():
    async def submit(alert):
        await asyncio.Event().wait()

    reply = hook_with(submit, answer_seconds=0.001).post(a_message())

    assert (reply.status, reply.json["code"]) == (503, "hook.not_written")


def test_a_body_that_does_not_arrive_in_time_is_no_5xx():
    desk = Desk(answer_seconds=0.001)
    sent: list[Any] = []

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": f"/hook/{TOKEN}", "headers": [], "client": None}
    asyncio.run(desk.hook(scope, receive, send))

    assert sent[0]["status"] == 422
    assert json.loads(sent[1]["body"])["code"] == "hook.slow"


def test_a_socket_is_turned_away_and_a_server_may_start_and_stop_it():
    hook = Desk().hook
    assert Wire(hook).send("GET", "/hook/x", kind="websocket").sent == [{"type": "websocket.close", "code": 1008}]

    inbound = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Any] = []

    async def receive():
        return inbound.pop(0)

    async def send(message):
        sent.append(message["type"])

    asyncio.run(hook({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize(("client", "forwarded", "status"), [
    ("127.0.0.1", TRADINGVIEW[0], 200), ("127.0.0.1", f"6.6.6.6, {TRADINGVIEW[3]}", 200),
    ("127.0.0.1", f"{TRADINGVIEW[1]}, 127.0.0.1", 200),
    ("127.0.0.1", "6.6.6.6", 422), ("127.0.0.1", f"{TRADINGVIEW[0]}, 6.6.6.6", 422), ("127.0.0.1", None, 422),
    ("9.9.9.9", TRADINGVIEW[0], 422), ("9.9.9.9", None, 200)])
def test_behind_a_declared_proxy_the_sender_must_be_tradingview(client, forwarded, status):
    desk = Desk(proxies=("127.0.0.1",), sources=TRADINGVIEW)
    reply = desk.wire.post(a_message(), client=client, headers={"X-Forwarded-For": forwarded} if forwarded else {})

    assert reply.status == status
    assert reply.json["code"] == ("accepted" if status == 200 else "hook.source_address")


def test_without_a_declared_proxy_the_source_is_written_down_and_not_judged():
    desk = Desk(sources=TRADINGVIEW)

    assert desk.wire.post(a_message(), client="9.9.9.9", headers={"X-Forwarded-For": "6.6.6.6"}).status == 200
    assert isinstance(desk.entries[0], AlertReceived)
    assert desk.entries[0].source_address == "9.9.9.9"


def test_what_is_passed_on_has_no_secret_in_it():
    desk = Desk()
    desk.wire.post(a_message(note=f"my secret is {SECRET}!", deep={"a": [SECRET], SECRET: 1}))
    alert = desk.entries[0]

    assert isinstance(alert, AlertReceived)
    assert alert.body == a_message(secret="secret", note="my secret is secret!", deep={"a": ["secret"], "secret": 1})
    assert (alert.has_secret, alert.is_secret_right, alert.ts_recv) == (True, True, NOW)
    assert SECRET not in repr(alert)


def test_a_wrong_secret_is_not_passed_on_either():
    desk = Desk()
    desk.wire.post(a_message(secret="somebody-elses-secret"))

    assert "somebody-elses-secret" not in repr(desk.entries)


def test_the_secret_is_compared_in_constant_time(monkeypatch):
    compared = []

    def watch(one, other):
        compared.append((len(one), len(other)))
        return real(one, other)

    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", watch)
    for secret in (SECRET, "x", 7, None):
        Desk().wire.post(a_message(secret=secret))

    assert compared == [(32, 32)] * 4, "digests of equal length, whatever was sent"


def test_the_book_holds_neither_token_nor_secret():
    book = a_book()

    assert SECRET not in repr(vars(book))
    assert TOKEN not in repr(vars(book))
    assert book.hash_of(b"x") != SecretBook(bytes(32), {}).hash_of(b"x"), "a body's hash is keyed"


@pytest.mark.parametrize("lanes", [
    {"a": ("t", "short")}, {"a": ("", SECRET)}, {"a": ("a/b", SECRET)}, {"a": ("..", SECRET)},
    {"a": ("t", SECRET), "b": ("t", SECRET)}])
def test_a_token_or_secret_that_protects_nothing_is_refused_at_start(lanes):
    with pytest.raises(ConfigError):
        SecretBook(KEY, lanes)


def test_a_short_local_key_is_refused_at_start():
    with pytest.raises(ConfigError, match="local key"):
        SecretBook(b"short", {})


def test_lanes_have_their_own_secrets():
    book = SecretBook(KEY, {LANE: ("one", "secret-of-one"), LaneName("two"): ("two", "secret-of-two")})

    assert book.lane_of("one") == "main"
    assert book.lane_of("three") is None
    assert book.is_right(LANE, "secret-of-one")
    assert not book.is_right(LANE, "secret-of-two")


@pytest.mark.parametrize("raw", [b'{"secret":"%s"}' % SECRET.encode() * 2, b'{"a":"%s' % SECRET.encode(),
                                 b'{"%s":NaN}' % SECRET.encode(), b'"%s"' % SECRET.encode()])
def test_a_problem_repeats_nothing_of_the_body(raw):
    assert SECRET not in read_body(raw).problem


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["{{close}}", "NaN", "2024-06-03T14:30:00Z", "1e999", SECRET, 2**63, 2**64, -2**63 - 1, 10**40,
                       1e308]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=8) | st.just(SECRET), inner, max_size=4),
    max_leaves=12)
FIELDS = st.sampled_from([*a_message(), "position", "id", "sl", "tp", "extra"])


@st.composite
def bodies(draw):
    """A good message with some fields spoilt, as text; sometimes with its text spoilt as well."""
    message = a_message() | draw(st.dictionaries(FIELDS, JSON, max_size=4))
    for name in draw(st.lists(FIELDS, max_size=2)):
        message.pop(name, None)
    raw = json.dumps(message, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(raw)))
        junk = st.binary(max_size=6) | st.sampled_from([b'"secret":1,', b"NaN", b"\\ud800", b"\xef\xbb\xbf"])
        raw = raw[:at] + draw(junk) + raw[at + draw(st.integers(0, 3)):]
    return raw


@settings(max_examples=400, deadline=None)
@given(raw=bodies() | st.binary(max_size=60), chunked=st.booleans())
@example(raw=b'{"secret":' * 5000, chunked=False)
@example(raw=b"[" * 900 + b"]" * 900, chunked=False)
@example(raw=b'{"a":' * 8 + b"1" + b"}" * 8, chunked=False)
@example(raw=b"\xff", chunked=True)
@example(raw=b'{"secret":"\\u0068unter2-hunter2-hunter2","x":"hunter2-hunter2-hunter2"}', chunked=False)
@example(raw=b'{"secret":"hunter2-hunter2-hunter2","sent_time":' + b"9" * 4000 + b"}", chunked=False)
def test_whatever_is_posted_the_answer_is_calm_and_coded_and_what_is_written_down_can_be_read_again(raw, chunked):
    desk = Desk(an_intake(rules(a_row(fires=3))))
    for _ in range(2):
        reply = desk.wire.post(raw, chunks=[raw[:9], raw[9:]] if chunked else None)
        desk.now += SECOND

        assert reply.status in (200, 401, 413, 422)
        assert set(reply.json) == KEYS
        assert reply.json["code"] in CODES
        assert reply.json["status"] == ("refused" if reply.status >= 400 else reply.json["status"])
        assert SECRET not in reply.raw.decode()
    for entry in desk.entries:
        written = msgspec.msgpack.encode(entry)
        assert msgspec.msgpack.decode(written, type=Payload) == entry
        if not isinstance(entry, AlertReceived) or entry.is_secret_right:
            assert SECRET.encode() not in written


@settings(max_examples=100, deadline=None)
@given(method=st.text(max_size=10), path=st.text(max_size=30).map(lambda text: "/" + text) | st.just(f"/hook/{TOKEN}"),
       headers=st.dictionaries(st.sampled_from(["content-length", "x-forwarded-for", "host"]),
                               st.text(st.characters(max_codepoint=126), max_size=12)))
def test_whatever_is_asked_for_the_answer_is_calm_and_coded(method, path, headers):
    reply = Desk(proxies=("127.0.0.1",)).wire.send(method, path, bytes_of(a_message()), headers=headers)

    assert reply.status in (200, 404, 405, 413, 422)
    assert reply.json["code"] in CODES
