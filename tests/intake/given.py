"""A lane, an alert and a clock to start from; each test changes the one thing it is about."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from interlock.intake.body import read_body
from interlock.intake.hook import Hook
from interlock.intake.rules import AlertRow, ExitProfile, LaneRules, Window
from interlock.intake.secret_book import SecretBook
from interlock.intake.stage import Intake
from interlock.model.account import Mode
from interlock.model.ids import AccountName, LaneName, StrategyName
from interlock.model.instrument import Kind
from interlock.model.money import SECOND, Nanos
from interlock.model.signal import AlertAnswer, AlertReceived
from interlock.model.view import Session

NOW: Nanos = 1_717_425_000 * SECOND            # 2024-06-03T14:30:00Z, 09:30 in Chicago
LANE = LaneName("main")
TOKEN = "tok-3b1f0c9a"
SECRET = "hunter2-hunter2-hunter2"
KEY = bytes(range(32))
BRACKET = ExitProfile(name="bracket")
COMPUTED = ExitProfile(name="computed", has_computed_stop=True)


def a_row(**changes: Any) -> AlertRow:
    row = AlertRow(strategy=StrategyName("demo"), script_id="demo-1", source_symbol="CME_MINI:MES1!", symbol="MES",
                   instrument="MES", kind=Kind.FUTURE, exit_profile=BRACKET)
    return msgspec.structs.replace(row, **changes)


def rules(*rows: AlertRow, **changes: Any) -> LaneRules:
    lane = LaneRules(name=LANE, mode=Mode.PAPER, kinds=(Kind.FUTURE,), symbols=("MES", "MNQ"),
                     accounts=(AccountName("paper-a"),), rows=rows or (a_row(),))
    return msgspec.structs.replace(lane, **changes)


def a_session(**changes: Any) -> Session:
    session = Session(is_open=True, is_known=True, trade_date="2024-06-03", ts_open=NOW - 1,
                      ts_close=NOW + 3600 * SECOND, ts_flat=NOW + 3000 * SECOND, local_minute=9 * 60 + 30,
                      zone="America/Chicago")
    return msgspec.structs.replace(session, **changes)


def an_intake(*lanes: LaneRules, session: Session | None = None, **more: Any) -> Intake:
    table = {lane.name: lane for lane in lanes or (rules(),)}
    return Intake(table, lambda instrument, ts: session or a_session(), **more)


def a_message(**changes: Any) -> dict[str, Any]:
    """A good buy; a change to None leaves the field out."""
    message = {"strategy": "demo", "action": "buy", "symbol": "MES", "source_symbol": "CME_MINI:MES1!",
               "script_id": "demo-1", "secret": SECRET, "price": "5300.25", "stop": "5290.25", "target": "5320.25",
               "bar_time": "2024-06-03T14:29:00Z", "sent_time": "2024-06-03T14:30:00Z"} | changes
    return {name: value for name, value in message.items() if value is not None}


def bytes_of(message: Mapping[str, Any] | bytes) -> bytes:
    return message if isinstance(message, bytes) else json.dumps(message).encode()


def a_book() -> SecretBook:
    return SecretBook(KEY, {LANE: (TOKEN, SECRET)})


def received(message: Mapping[str, Any] | bytes, *, lane: LaneName = LANE, ts: Nanos = NOW) -> AlertReceived:
    """As the edge makes it of these bytes."""
    raw, book = bytes_of(message), a_book()
    read = read_body(raw)
    return AlertReceived(
        lane=lane, body=read.body, length=len(raw), transport_hash=book.hash_of(raw),
        has_secret=read.secret is not None, is_secret_right=book.is_right(LANE, read.secret), ts_recv=ts,
        problem=read.problem)


def turn(intake: Intake, message: Mapping[str, Any] | bytes | AlertReceived, ts: Nanos = NOW,
         **more: Any) -> AlertAnswer:
    """One turn of the engine, as far as the intake is concerned."""
    alert = message if isinstance(message, AlertReceived) else received(message, ts=ts, **more)
    intake.apply(alert, ts)
    answer = intake.react(alert, ts)
    intake.apply(answer, ts)
    return answer


def code_of(answer: AlertAnswer) -> str:
    return getattr(answer, "code", "accepted")


class Wire:
    """One HTTP exchange with an ASGI app, without a server."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def post(self, body: Mapping[str, Any] | bytes, path: str = f"/hook/{TOKEN}", **more: Any) -> "Reply":
        return self.send("POST", path, bytes_of(body), **more)

    def send(self, method: str, path: str, body: bytes = b"", *, headers: Mapping[str, str] | None = None,
             client: str = "127.0.0.1", chunks: list[bytes] | None = None, kind: str = "http") -> "Reply":
        lines = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        scope = {"type": kind, "method": method, "path": path, "headers": lines, "client": (client, 40000),
                 "query_string": b""}
        parts = chunks if chunks is not None else [body]
        inbound = [{"type": "http.request", "body": part, "more_body": n < len(parts)}
                   for n, part in enumerate(parts, start=1)]
        if kind == "websocket":
            inbound = [{"type": "websocket.connect"}]
        outbound: list[Any] = []

        async def receive() -> dict[str, Any]:
            return inbound.pop(0) if inbound else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            outbound.append(message)

        asyncio.run(self.app(scope, receive, send))
        return Reply(outbound)


class Reply:
    def __init__(self, sent: list[Any]) -> None:
        self.sent = sent
        self.status: int = sent[0].get("status", 0) if sent else 0
        self.headers: dict[bytes, bytes] = dict(sent[0].get("headers", ())) if sent else {}
        self.raw: bytes = b"".join(message.get("body", b"") for message in sent)

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw)
        return found


class Desk:
    """A hook on a real stage; what would be journaled is kept in `entries`."""

    def __init__(self, intake: Intake | None = None, **hook: Any) -> None:
        self.intake = intake or an_intake()
        self.now = NOW
        self.entries: list[AlertReceived | AlertAnswer] = []
        self.hook = Hook(a_book(), self.submit, lambda: self.now, **hook)
        self.wire = Wire(self.hook)

    async def submit(self, alert: AlertReceived) -> AlertAnswer:
        answer = turn(self.intake, alert, self.now)
        self.entries += (alert, answer)
        return answer


WINDOW = Window(8 * 60 + 30, 15 * 60)
