"""Whatever is sent to the assembled app (page, hook, perimeter, as both ports serve them): no crash, no 5xx, a known code."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from tests.scenarios.desk import Desk

from interlock.records import catalogue

CODES = {code.code for code in catalogue()}
TEXT = {"type": "string"}
NUMBER = {"oneOf": [{"type": "number"}, TEXT]}
ALERT = {
    "type": "object", "required": ["strategy", "action", "symbol", "source_symbol", "script_id", "secret"],
    "properties": {
        "strategy": {"enum": ["demo", "other"]}, "action": {"enum": ["buy", "sell", "close", "target"]},
        "symbol": {"enum": ["MES", "MNQ", ""]}, "source_symbol": {"enum": ["MES1!", "CME_MINI_DL:MES1!", "ES1!"]},
        "script_id": {"enum": ["demo-1", "demo-2"]}, "secret": TEXT, "price": NUMBER, "stop": NUMBER, "target": NUMBER,
        "sl": NUMBER, "tp": NUMBER, "position": NUMBER, "bar_time": NUMBER, "sent_time": NUMBER, "id": NUMBER}}
DOCUMENT = {
    "openapi": "3.0.3", "info": {"title": "Interlock", "version": "1"},
    "paths": {
        "/health": {"get": {"responses": {"200": {"description": "ready"}, "503": {"description": "starting"}}}},
        "/hook/{token}": {"post": {
            "parameters": [{"name": "token", "in": "path", "required": True, "schema": TEXT}],
            "requestBody": {"required": True, "content": {"application/json": {"schema": ALERT}, "text/plain": {"schema": TEXT}}},
            "responses": {str(status): {"description": "an answer"} for status in (200, 401, 404, 405, 413, 422)}}}}}

BOUNDED = settings(max_examples=150, deadline=None, database=None, derandomize=True,
                   suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much])


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    started = Desk(tmp_path_factory.mktemp("fuzz") / "state")
    yield started
    started.crash()


def check(reply: Any) -> None:
    """An answer of the hook: one of the agreed statuses, a JSON body, a code of the catalogue, and the engine alive."""
    assert reply.status in (200, 401, 404, 405, 413, 422), reply
    assert set(reply.body) == {"status", "signal_id", "code", "reason"}, reply
    assert reply.body["status"] in ("accepted", "refused", "duplicate")
    assert reply.code in CODES, reply
    assert reply.code not in ("internal", "guard.failed", "hook.not_written", "hook.slow"), reply


SCHEMA = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig())


@pytest.mark.parametrize("port", ["page", "hook"])
@given(case=SCHEMA["/hook/{token}"]["POST"].as_strategy(), is_own_token=st.booleans(), is_own_secret=st.booleans())
@BOUNDED
def test_schemathesis_finds_no_answer_outside_the_catalogue(desk, port, case, is_own_token, is_own_secret):
    if is_own_secret and isinstance(case.body, dict):
        case.body["secret"] = desk.secret("main_hook_secret")
    if is_own_token:
        case.path_parameters["token"] = desk.secret("main_hook_token")
    sent = requests.Request(**case.as_transport_kwargs(base_url="http://127.0.0.1:1")).prepare()
    body = sent.body.encode() if isinstance(sent.body, str) else sent.body or b""
    headers = {name: value for name, value in sent.headers.items() if name.lower() in ("content-type", "content-length")}

    reply = desk.http(sent.method, urlsplit(sent.url).path, body, app=getattr(desk, port), headers=headers)

    if reply.status in (403, 307):
        assert port == "page"
        return
    check(reply)


@pytest.mark.parametrize("port", ["page", "hook"])
@given(body=st.binary(max_size=600) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3), max_leaves=12,
).map(lambda value: json.dumps(value).encode()))
@BOUNDED
def test_any_bytes_to_a_lane_get_an_answer_of_the_catalogue(desk, port, body):
    check(desk.http("POST", f"/hook/{desk.secret('main_hook_token')}", body, app=getattr(desk, port)))


_ODD = st.sampled_from(["", " ", "\x00", "\ud83d\ude00", "9" * 400, "-0", "1e999", "NaN",
                        "{{close}}", "\u202e", "null", "0x10"])


_FIELDS = st.sampled_from(["strategy", "action", "symbol", "source_symbol", "script_id", "price", "stop", "target", "sl", "tp",
                           "position", "bar_time", "sent_time", "id", "note"])
_PATHS = st.sampled_from(["/", "/health", "/hook", "/hook/", "/hook/x/y", "/api/state", "/api/kill", "/api/bars/MES", "/ws",
                          "/..%2f", "/assets/../secrets.toml", "/docs", "/openapi.json"])


@given(field=_FIELDS,
       value=_ODD | st.text(max_size=12) | st.integers() | st.floats() | st.none() | st.booleans()
       | st.lists(st.text(), max_size=2) | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2))
@BOUNDED
def test_a_good_alert_with_one_field_gone_wrong_gets_an_answer_of_the_catalogue(desk, field, value):
    message = desk.alert()
    message[field] = value
    check(desk.post(json.dumps(message).encode("utf-8", "surrogatepass")))
    desk.go(1)                         # whatever was accepted goes its way, and the desk stays up


@given(method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]),
       path=_PATHS | st.text(max_size=12).map("/{}".format),
       headers=st.dictionaries(st.sampled_from(["host", "origin", "cookie", "x-forwarded-for", "content-type", "authorization"]),
                               st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20), max_size=3),
       body=st.binary(max_size=50))
@BOUNDED
def test_nothing_asked_of_the_main_port_without_a_token_crashes_it_or_gives_anything_away(desk, method, path, headers, body):
    reply = desk.http(method, path, body, headers=headers)

    assert reply.status < 500, reply
    if path.startswith("/api"):
        assert reply.status in (401, 403, 404, 405), reply
    if "code" in reply.body:
        assert reply.body["code"] in CODES, reply


def test_the_desk_still_trades_after_all_that(desk):
    desk.go(65)
    reply = desk.post(desk.alert("close"))
    assert reply.body["status"] == "accepted"
    assert desk.http("GET", "/health").status == 200
