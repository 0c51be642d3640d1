"""The line over a socket, at its edges: what it says when the other end is silent, gone, or speaks nonsense."""

import asyncio
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from tests.brokers.paper.loopback import Loopback

from interlock.brokers.paper import frames, talk
from interlock.brokers.paper.frames import PingFrame
from interlock.brokers.paper.socket import SocketLine
from interlock.brokers.paper.venue import define
from interlock.brokers.paper.wire import AnswerLost, ConnectFailed
from interlock.model.instrument import INSTRUMENTS
from interlock.model.report import LineChanged, ReadFailed
from interlock.ports import Capabilities

MNQ = INSTRUMENTS["MNQ"]
PING = frames.encode(PingFrame("paper-1"))
NATIVE = Capabilities(has_native_brackets=True, has_replace=True, visibility_delay=0)


@pytest.fixture
def loopback(tmp_path: Path):
    made = Loopback({"MNQ": MNQ}, {"paper-1": Decimal(50_000)}, path=tmp_path / "book.db", capabilities=NATIVE, timeout=0.2)
    yield made
    made.close()


def test_a_ping_is_proven_by_a_later_call_with_the_time_at_which_it_was_asked(loopback):
    assert loopback.loop.call(loopback.remote.ping, 7) == []
    loopback.broker.settle()

    proof, = loopback.loop.call(loopback.remote.ping, 8)

    assert (proof.account, proof.ts_recv if hasattr(proof, "ts_recv") else proof.ts) == ("paper-1", 7)


def test_pings_that_stay_out_too_long_end_the_line(loopback):
    now = [100.0]
    loopback.remote.line._monotonic = lambda: now[0]
    loopback.loop.call(loopback.port.silence)
    loopback.loop.call(loopback.remote.ping, 1)
    now[0] += 2.9
    loopback.loop.call(loopback.remote.ping, 2)
    assert loopback.remote.line.is_up
    now[0] += 0.2
    loopback.loop.call(loopback.remote.ping, 3)

    assert not loopback.remote.line.is_up
    told, = [report for report in loopback.loop.call(loopback.remote.broker.drain) if isinstance(report, LineChanged)]
    assert "no sign of life" in told.reason


def test_a_line_that_is_lost_stays_lost_until_it_is_asked_for(loopback):
    loopback.loop.run(loopback.port.stop())
    loopback.loop.call(lambda: None)
    with pytest.raises((ConnectFailed, AnswerLost)):
        loopback.loop.run(loopback.remote.line.request("ping", PING))
    assert not loopback.remote.line.is_up
    number = loopback.loop.run(loopback.port.start("127.0.0.1", loopback.number))

    with pytest.raises(ConnectFailed):
        loopback.loop.run(loopback.remote.line.request("ping", PING))
    loopback.loop.run(loopback.remote.broker.reconnect())

    assert (number, loopback.remote.line.connection) == (loopback.number, 2)
    assert loopback.loop.run(loopback.remote.line.request("ping", PING))


def test_an_event_that_cannot_be_read_is_said_and_the_stream_goes_on(loopback):
    line = talk.encode(talk.Told(event=msgspec.Raw(b'{"event":"of tomorrow"}'))) + b"\n"
    loopback.loop.call(lambda: [session.write(line) for session in loopback.port._sessions])

    failed, = loopback.broker.drain()

    assert isinstance(failed, ReadFailed)
    assert loopback.remote.line.is_up


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-x\n", b"{}\n", b'{"refused":"busy"}\n'])
def test_what_is_no_venue_is_no_connection(said):
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(said)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        line = SocketLine("127.0.0.1", server.sockets[0].getsockname()[1], "x", timeout=1.0)
        with pytest.raises(ConnectFailed):
            await line.reconnect()
        assert not line.is_up
        server.close()

    asyncio.run(main())


def test_a_venue_that_says_nothing_is_given_up():
    async def main() -> None:
        server = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(10), "127.0.0.1", 0)
        line = SocketLine("127.0.0.1", server.sockets[0].getsockname()[1], "x", timeout=0.1)
        with pytest.raises(ConnectFailed, match="no answer"):
            await line.reconnect()
        server.close()

    asyncio.run(main())


def test_a_venue_that_takes_no_more_bytes_is_no_line_and_the_request_is_not_sent(loopback):
    """Nothing may wait in this process to be written later."""
    body = b'{"op":"ping","account":"' + b"x" * 100_000 + b'"}'

    async def fill() -> Exception:
        line = loopback.remote.line
        for session in loopback.port._sessions:
            session._transport.pause_reading()
        for _ in range(2_000):
            try:
                line._write("ping", body)
            except (ConnectFailed, AnswerLost) as error:
                return error
        raise AssertionError("it took everything")

    assert isinstance(loopback.loop.run(fill(), timeout=20), ConnectFailed | AnswerLost)
    assert not loopback.remote.line.is_up


def test_a_read_tells_the_definitions_that_were_asked_for(loopback):
    read = loopback.loop.run(loopback.remote.broker.read("paper-1"))
    told, = read.definitions
    assert (told.instrument, told.tick, told.lot, told.multiplier, told.currency, told.ts_expiry, told.ts_roll) == (
        "MNQ", Decimal("0.25"), Decimal(1), Decimal(2), "USD", None, None)
    assert (read.day_trades_left, read.environment, read.endpoint) == (None, "paper_sim", "paper")

    loopback.venue.definitions["MNQ"] = define("MNQ", MNQ, expiry=9, roll=5)
    told, = loopback.loop.run(loopback.remote.broker.read("paper-1")).definitions
    assert (told.ts_expiry, told.ts_roll) == (9, 5)

    loopback.remote.broker._defined = frozenset()
    assert loopback.loop.run(loopback.remote.broker.read("paper-1")).definitions == ()
