"""Bytes out and bytes in. The reader of orders is compared with what a clearance signs."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.brokers.paper.rig import bracket, leg, order

from interlock.brokers.paper import translate
from interlock.errors import MalformedMessage
from interlock.model.clearance import legs_content
from interlock.model.order import OrderType
from interlock.model.report import OrderFilled

IDS = st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=18, max_size=18)
NUMBERS = st.decimals("0.0001", "1e9", allow_nan=False, allow_infinity=False)


@st.composite
def orders(draw):
    legs = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(list(OrderType))).value
        price = None if kind == "market" else str(draw(NUMBERS))
        legs.append(leg(draw(IDS), draw(st.sampled_from(["buy", "sell"])), str(draw(NUMBERS)), kind, price,
                        draw(st.sampled_from(["enter", "protect", "target", "reduce", "flatten"])),
                        draw(st.sampled_from(["day", "gtc", "ioc"])), draw(st.booleans())))
    return order(*legs, account=draw(st.text(min_size=1, max_size=12)), replaces=draw(st.none() | IDS))


@given(orders())
def test_what_is_written_is_read_back_as_it_was_signed(made):
    account, symbol, legs, replaces = translate.read_back(translate.order_bytes(made))

    assert (account, symbol, replaces) == (made.account, made.venue_symbol, made.replaces or "")
    assert legs == tuple((*content[:9], "1" if content[9] else "") for content in legs_content(made))


def altered(**changes):
    message = msgspec.json.decode(translate.order_bytes(bracket()))
    message.update(changes)
    return msgspec.json.encode(message)


def altered_leg(**changes):
    message = msgspec.json.decode(translate.order_bytes(bracket()))
    message["legs"][0].update(changes)
    return msgspec.json.encode(message)


@pytest.mark.parametrize("body", [
    b"", b"[]", b"{}", b"not json", altered(op="cancel"), altered(legs=[]), altered(legs=None), altered(account=7),
    altered(hidden=True), altered_leg(trailing="1"), altered_leg(quantity="NaN"), altered_leg(quantity=None),
    altered_leg(reduce="yes"), altered_leg(side=1), altered_leg(limit=[]),
], ids=lambda body: body[-40:].decode())
def test_an_order_message_that_cannot_be_compared_whole_is_refused(body):
    with pytest.raises(MalformedMessage):
        translate.read_back(body)


def test_a_changed_number_is_seen():
    _, _, legs, _ = translate.read_back(altered_leg(quantity="3"))

    assert legs[0][4] == "3"
    assert legs[0][4] != legs_content(bracket())[0][4]


FILL = {"event": "fill", "account": "a", "id": "x", "execution": "X1", "symbol": "MNQ", "side": "buy", "quantity": "1",
        "price": "20000.25", "fee": "0.62", "ts": 5}


def test_a_fill_is_read():
    fill = translate.report(msgspec.json.encode(FILL), {"MNQ": "MNQ"})

    assert isinstance(fill, OrderFilled)
    assert (fill.quantity, fill.price, fill.commission) == (Decimal(1), Decimal("20000.25"), Decimal("0.62"))


@pytest.mark.parametrize("change", [
    {"side": "both"}, {"event": "fillled"}, {"symbol": "NOPE"}, {"price": "high"}, {"quantity": None}, {"ts": "now"},
], ids=str)
def test_nothing_unknown_in_a_report_is_given_a_default(change):
    with pytest.raises(MalformedMessage):
        translate.report(msgspec.json.encode(FILL | change), {"MNQ": "MNQ"})


@given(st.binary(max_size=200))
def test_noise_is_refused_and_never_crashes(body):
    for read in (translate.read_back, translate.answer, lambda raw: translate.report(raw, {})):
        with pytest.raises(MalformedMessage):
            read(body)


@pytest.mark.parametrize("number", ["NaN", "nan", "-sNaN12", "Infinity", "-inf"])
@pytest.mark.parametrize("field", ["quantity", "price", "fee"])
def test_a_number_that_is_none_is_no_report(field, number):
    with pytest.raises(MalformedMessage):
        translate.report(msgspec.json.encode(FILL | {field: number}), {"MNQ": "MNQ"})
