"""What the hook refuses, each with its own code, and that no order comes of it; and lanes that keep to their own symbols."""

import json
from decimal import Decimal

import pytest
from tests.scenarios.desk import Desk, configured

from interlock.records import catalogue

BAD = [
    # the gate, what is wrong, the code, the HTTP status
    ("secret", {"secret": None}, "secret.absent", 401),
    ("secret", {"secret": "guess"}, "secret.wrong", 401),
    ("schema", {"bar_time": None}, "schema.missing", 422),
    ("schema", {"symbol": 7}, "schema.type", 422),
    ("schema", {"script_id": ""}, "schema.text", 422),
    ("schema", {"price": "{{close}}"}, "schema.placeholder", 422),
    ("schema", {"action": "short"}, "schema.action", 422),
    ("schema", {"stop": "NaN"}, "schema.number", 422),
    ("schema", {"price": "Infinity"}, "schema.number", 422),
    ("schema", {"sent_time": "yesterday"}, "schema.time", 422),
    ("schema", {"sl": "1"}, "schema.conflict", 422),
    ("schema", {"sent_time": "2023-11-21T15:00:00Z"}, "age.late", 422),
    ("schema", {"sent_time": "2023-11-21T16:00:00Z"}, "age.future", 422),
    ("strategy", {"strategy": "other"}, "strategy.unknown", 422),
    ("script", {"script_id": "demo-9"}, "script.unknown", 422),
    ("source", {"source_symbol": "NQ1!"}, "source.unknown", 422),
    ("source", {"script_id": "demo-2"}, "source.triple", 422),
    ("allow-list", {"symbol": "AAPL"}, "symbol.not_allowed", 422),
    ("allow-list", {"symbol": "MNQ"}, "symbol.mismatch", 422),
    ("lane", {"strategy": "coin", "script_id": "coin-1", "source_symbol": "BTCUSD", "symbol": "BTCUSD"}, "lane.kind", 422),
    ("exit profile", {"stop": None}, "profile.stop_missing", 422),
    ("exit profile", {"stop": "4560"}, "profile.stop_side", 422),
    ("exit profile", {"target": "4540"}, "profile.target_side", 422),
    ("exit profile", {"action": "target"}, "profile.position_missing", 422),
]
ROWS = """
[[lanes.main.alerts]]
strategy = "demo"
script_id = "demo-2"
source_symbol = "MNQ1!"
symbol = "MNQ"
instrument = "MNQ"

[[lanes.main.alerts]]
strategy = "coin"
script_id = "coin-1"
source_symbol = "BTCUSD"
symbol = "BTCUSD"
instrument = "BTCUSD"
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    text = configured(replace={'regime = "structure" ': 'kinds = ["future"]\nregime = "structure" '}, more=ROWS)
    started = Desk(tmp_path_factory.mktemp("hook") / "state", text)
    yield started
    started.crash()


@pytest.mark.parametrize(("gate", "changes", "code", "status"), BAD, ids=[f"{gate}-{code}" for gate, _, code, _ in BAD])
def test_each_fast_gate_refuses_its_own_bad_input_with_its_own_code(desk, gate, changes, code, status):
    before = desk.order_bytes

    message = {name: value for name, value in (desk.alert() | changes).items() if value is not None}
    reply = desk.post(message)
    desk.go(1)

    assert (reply.status, reply.body["status"], reply.code) == (status, "refused", code)
    assert reply.code in {each.code for each in catalogue()}
    assert desk.orders() == []
    assert desk.order_bytes == before == 0, "nothing reached the venue"


@pytest.mark.parametrize(("body", "code", "status"), [
    (b"", "secret.absent", 401), (b"buy MES", "secret.absent", 401), (b"[1,2]", "secret.absent", 401),
    (b'{"secret":"a","secret":"b"}', "secret.absent", 401), (b"\xff\xfe", "secret.absent", 401),
    (b"{" + b" " * 20_000 + b"}", "hook.size", 413)], ids=["empty", "words", "list", "two-secrets", "no-utf8", "large"])
def test_a_body_that_is_no_alert_is_refused_at_the_door(desk, body, code, status):
    reply = desk.post(body)

    assert (reply.status, reply.code) == (status, code)
    assert desk.orders() == []


def test_an_unknown_token_and_another_method_reach_no_lane(desk):
    good = json.dumps(desk.alert()).encode()

    assert (desk.post(good, token="no-such-token").status, desk.post(good, token="no-such-token").code) == (404, "hook.token")
    path = f"/hook/{desk.secret('main_hook_token')}"
    assert (desk.http("GET", path, app=desk.hook).status, desk.http("GET", path, app=desk.hook).code) == (405, "hook.method")


def test_the_secret_stands_in_no_entry_of_the_journal(desk):
    desk.post(desk.alert(note=f"the secret is {desk.secret('main_hook_secret')}", strategy="other"))
    desk.settle()

    held = b"".join(path.read_bytes() for path in desk.directory.glob("journal.db*"))
    assert b"strategy.unknown" in held
    assert desk.secret("main_hook_secret").encode() not in held


def test_a_forwarded_or_foreign_request_on_the_main_port_reaches_the_hook_and_nothing_else(desk):
    foreign = {"host": "desk.example.com"}
    forwarded = {"x-forwarded-for": "203.0.113.9"}
    body, path = json.dumps(desk.alert(strategy="other")).encode(), f"/hook/{desk.secret('main_hook_token')}"

    for headers in (foreign, forwarded):
        assert desk.http("GET", "/health", headers=headers).status == 403
        assert desk.http("GET", "/api/snapshot", headers=headers).status == 403
        assert desk.http("POST", path, body, headers=headers).code == "strategy.unknown"
    assert desk.http("GET", "/health").status == 200


LANES = """
[accounts.fut]
broker = "paper"

[accounts.coin]
broker = "paper"
balance = "500000"

[lanes.futures]
accounts = ["fut"]
kinds = ["future"]
symbols = ["MNQ"]
regime = "none"
hook_token = "futures_hook_token"
hook_secret = "futures_hook_secret"

[[lanes.futures.alerts]]
strategy = "fast"
script_id = "fast-1"
source_symbol = "MNQ1!"
symbol = "MNQ"
instrument = "MNQ"

[[lanes.futures.alerts]]
strategy = "fast"
script_id = "fast-1"
source_symbol = "MES1!"
symbol = "MES"
instrument = "MES"

[[lanes.futures.alerts]]
strategy = "fast"
script_id = "fast-1"
source_symbol = "BTCUSD"
symbol = "BTCUSD"
instrument = "BTCUSD"

[lanes.crypto]
accounts = ["coin"]
kinds = ["crypto"]
regime = "none"
hook_token = "crypto_hook_token"
hook_secret = "crypto_hook_secret"

[[lanes.crypto.alerts]]
strategy = "slow"
script_id = "slow-1"
source_symbol = "BTCUSD"
symbol = "BTCUSD"
instrument = "BTCUSD"

[[lanes.crypto.alerts]]
strategy = "slow"
script_id = "slow-1"
source_symbol = "MES1!"
symbol = "MES"
instrument = "MES"
"""


def test_three_lanes_of_different_scope_refuse_each_others_symbols(desk_of):
    desk = desk_of(configured(replace={'instruments = ["MNQ", "MES"]': 'instruments = ["MNQ", "MES", "BTCUSD"]'}, more=LANES))

    def post(lane, **alert):
        return desk.post(desk.alert(lane=lane, **alert), lane=lane)

    futures = {"strategy": "fast", "script": "fast-1"}
    crypto = {"strategy": "slow", "script": "slow-1"}
    coin = {"symbol": "BTCUSD", "source": "BTCUSD", "stop": "36900", "target": None}

    assert post("futures", symbol="MES", **futures).code == "symbol.not_allowed"
    assert post("futures", **coin, **futures).code == "symbol.not_allowed"
    assert post("crypto", symbol="MES", **crypto).code == "lane.kind"
    assert post("main", symbol="MNQ").code == "source.unknown"
    assert post("main", **coin).code == "source.unknown"
    assert desk.post(desk.alert(lane="main"), lane="crypto").code == "secret.wrong", "a lane's secret opens no other lane"
    desk.go(1)
    assert desk.orders() == [], "none of them made an order"

    own = [post("main", symbol="MES"), post("futures", symbol="MNQ", **futures), post("crypto", **coin, **crypto)]
    desk.go(3)

    assert [reply.body["status"] for reply in own] == ["accepted"] * 3
    held = desk.positions()
    assert set(held) == {("paper-a", "MES"), ("paper-b", "MES"), ("fut", "MNQ"), ("coin", "BTCUSD")}, \
        [desk.codes(reply.signal_id) for reply in own]
    assert all(quantity == protected for quantity, protected in held.values())
    assert {key: Decimal(quantity) for key, quantity in desk.booked().items()} == {
        key: Decimal(quantity) for key, (quantity, _) in held.items()}
