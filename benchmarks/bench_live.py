"""The running desk: alert to wire, fan-out, intake under load, kill, memory. Each against a service in its own process."""

import asyncio
import http.client
import json
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.rig import Running, fdatasync_us, make_desk, market_of, running

from interlock.model.instrument import INSTRUMENTS
from interlock.model.record import StrategyDisabled
from interlock.model.report import WriteRefused
from interlock.model.verdict import Refused, Verdict
from interlock.records import Records
from interlock.runtime.control import ask

MINUTE_S = 60


def an_alert(desk: Running, number: int, market: dict[str, Any], action: str = "buy", size: int = 400) -> bytes:
    """A distinct alert of `size` bytes that the lane accepts, at the market of now, its stop 40 points away."""
    tick, mid = Decimal(market["tick"]), Decimal(market["mid"])
    price = mid // tick * tick
    sign = -1 if action == "sell" else 1
    now = datetime.now(UTC)
    bar = now.replace(second=0, microsecond=0).timestamp() - number // 1_000_000 * MINUTE_S
    message = {"strategy": "demo", "action": action, "symbol": "MES", "source_symbol": "MES1!", "script_id": "demo-1",
               "secret": desk.secret, "price": str(mid), "stop": str(price - sign * 40), "target": str(price + sign * 400),
               "bar_time": datetime.fromtimestamp(bar, UTC).replace(microsecond=number % 1_000_000)
               .isoformat(timespec="microseconds").replace("+00:00", "Z"),
               "sent_time": now.isoformat(timespec="seconds").replace("+00:00", "Z"), "id": f"bench-{number}-"}
    message["id"] += "x" * max(0, size - len(json.dumps(message)))
    return json.dumps(message).encode()


def post(line: http.client.HTTPConnection, desk: Running, body: bytes) -> tuple[int, dict[str, Any]]:
    """Send one alert; the monotonic time just before it left, and the answer."""
    began = time.monotonic_ns()
    line.request("POST", desk.hook, body, {"Content-Type": "application/json"})
    answer: dict[str, Any] = json.loads(line.getresponse().read())
    return began, answer


def alert_to_wire(folder: Path, *, accounts: int, count: int, pause: float) -> dict[str, Any]:
    """POST to the hook until the order of the first and of the last account stands on the paper wire."""
    directory = make_desk(folder / f"desk-{accounts}", accounts=accounts)
    sent: list[int] = []
    answered: list[float] = []
    syncs: list[float] = []
    refused = 0
    with running(directory) as desk:
        line = http.client.HTTPConnection("127.0.0.1", desk.hook_port, timeout=10)
        for number in range(count):
            syncs += fdatasync_us(folder, 4)
            body = an_alert(desk, number, market_of(directory, "MES"))
            began, answer = post(line, desk, body)
            answered.append((time.monotonic_ns() - began) / 1000)
            sent.append(began)
            refused += answer["status"] != "accepted"
            time.sleep(pause)
        stamps = [at for at, kind in desk.stop() if kind == "place"]
    why = _why_not(directory)
    firsts, lasts, short = [], [], 0
    for began, until in zip(sent, [*sent[1:], 1 << 62], strict=True):
        mine = [at for at in stamps if began < at < until][:accounts]
        if len(mine) < accounts:
            short += 1
            continue
        firsts.append((mine[0] - began) / 1000)
        lasts.append((mine[-1] - began) / 1000)
    return {"accounts": accounts, "alerts": count, "not_accepted": refused, "without_every_order": short, "measured": len(firsts),
            "why_not": why,
            "first_p50_us": quantile(firsts, 0.5), "first_p99_us": quantile(firsts, 0.99), "last_p50_us": quantile(lasts, 0.5),
            "last_p99_us": quantile(lasts, 0.99), "answer_p50_us": quantile(answered, 0.5),
            "fdatasync_p50_us": quantile(syncs, 0.5), "fdatasync_p99_us": quantile(syncs, 0.99)}


def _why_not(directory: Path) -> dict[str, int]:
    """By code, how many orders of the record were not cleared, or cleared and not written."""
    codes: dict[str, int] = {}
    with Records.open(directory) as records:
        for entry in records.entries():
            payload, code = entry.payload, ""
            if isinstance(payload, Verdict) and isinstance(payload.result, Refused):
                code = payload.result.code
            elif isinstance(payload, WriteRefused | StrategyDisabled):
                code = payload.code
            if code:
                codes[code] = codes.get(code, 0) + 1
    return codes


def kill(folder: Path, *, accounts: int = 50, orders: int = 200) -> dict[str, Any]:
    """A kill of scope "all" over the control socket, until the cancel of the last working order stands on the wire."""
    directory = make_desk(folder / "desk-kill", accounts=accounts)
    with running(directory) as desk:
        line = http.client.HTTPConnection("127.0.0.1", desk.hook_port, timeout=10)
        number = working = 0
        while working < orders and number < 20:
            post(line, desk, an_alert(desk, number, market_of(directory, "MES")))
            number += 1
            time.sleep(3.0)
            with Records.open(directory) as records:
                working = len(records.engine.execution.orders.open_orders())
        began = time.monotonic_ns()
        answer = ask(directory, "command", command={"type": "kill", "why": "benchmark", "scope": "all"}, who="benchmark") or {}
        told = time.monotonic_ns()
        time.sleep(2.0)
        cancels = [at for at, kind in desk.stop() if kind == "cancel" and at > began]
    return {"working": working, "cancels": len(cancels), "answer": {name: answer.get(name) for name in ("ok", "killed", "scope")},
            "last_ms": round((max(cancels) - began) / 1e6, 2) if cancels else None, "first_ms":
            round((min(cancels) - began) / 1e6, 2) if cancels else None, "answered_ms": round((told - began) / 1e6, 2)}


def intake(folder: Path, *, seconds: float = 10.0, lines: int = 32) -> dict[str, Any]:
    """Distinct 400 B alerts over kept-alive connections from a process of its own, as fast as they are answered."""
    directory = make_desk(folder / "desk-intake", accounts=2)
    with running(directory) as desk:
        done = subprocess.run([sys.executable, "-m", "benchmarks.bench_live", "client", str(directory), str(desk.hook_port),
                               str(seconds), str(lines)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the client ended with {done.returncode}: {done.stderr[-2000:]}")
        desk.stop()
    told: dict[str, Any] = json.loads(done.stdout)
    accepted = set(told.pop("accepted_ids"))
    with Records.open(directory) as records:
        kept = {entry.payload.signal_id for entry in records.entries() if entry.kind == "alert_accepted"}  # type: ignore[union-attr]
        verdicts = sum(1 for _ in records.verdicts())
    return told | {"accepted": len(accepted), "lost": len(accepted - kept), "verdicts": verdicts}


async def _client(directory: Path, port: int, seconds: float, lines: int) -> dict[str, Any]:
    """Keeps `lines` connections busy. Bodies are made before they are timed only as far as their times allow."""
    desk: Any = Running(None, directory, port, port, directory / "none")  # type: ignore[arg-type]
    accepted: list[str] = []
    codes: dict[str, int] = {}
    slowest: list[float] = []
    market, numbers, until = market_of(directory, "MES"), iter(range(1 << 40)), time.monotonic() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < until:
            body = an_alert(desk, next(numbers), market)
            began = time.perf_counter()
            writer.write(b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                         % (desk.hook.encode(), len(body)) + body)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(row.split(b":")[1]) for row in head.lower().split(b"\r\n") if row.startswith(b"content-length"))
            answer = json.loads(await reader.readexactly(length))
            slowest.append(time.perf_counter() - began)
            codes[answer["code"] or answer["status"]] = codes.get(answer["code"] or answer["status"], 0) + 1
            if answer["status"] == "accepted":
                accepted.append(answer["signal_id"])
        writer.close()

    began = time.monotonic()
    await asyncio.gather(*(one() for _ in range(lines)))
    spent = time.monotonic() - began
    return {"seconds": round(spent, 2), "answered": len(slowest), "alerts_per_s": round(len(slowest) / spent),
            "accepted_per_s": round(len(accepted) / spent), "codes": codes,
            "answer_p99_ms": round(quantile(slowest, 0.99) * 1e3, 1), "accepted_ids": accepted}


def memory(folder: Path, seconds: float = 20.0) -> dict[str, Any]:
    """Resident memory of `interlock run` with thirteen instruments of the simulated market, some time after it is ready."""
    symbols = tuple(INSTRUMENTS)[:13]
    directory = make_desk(folder / "desk-memory", accounts=2, instruments=symbols if "MES" in symbols else (*symbols[:12], "MES"))
    with running(directory, is_timed=False) as desk:
        at_ready = later = desk.rss_mb
        until, ended = time.monotonic() + seconds, ""
        while time.monotonic() < until and desk.process.poll() is None:
            later = desk.rss_mb or later
            time.sleep(0.5)
        try:
            desk.stop()
        except RuntimeError as error:
            ended = str(error).splitlines()[-1]
    return {"instruments": 13, "ready_mb": round(at_ready, 1), "later_mb": round(later, 1), "after_s": seconds, "ended": ended}


def quantile(values: list[float], share: float) -> float:
    """The value below which `share` of them lie; 0 of none."""
    return round(sorted(values)[min(len(values) - 1, int(len(values) * share))], 4) if values else 0.0


def main() -> None:
    import tempfile

    if len(sys.argv) > 1 and sys.argv[1] == "client":
        print(json.dumps(asyncio.run(_client(Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])))))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(json.dumps({"alert_to_wire": alert_to_wire(folder, accounts=2, count=100, pause=0.05),
                          "fan_out": alert_to_wire(folder, accounts=50, count=20, pause=0.5), "kill": kill(folder),
                          "intake": intake(folder), "memory": memory(folder),
                          "fdatasync_p50_us": statistics.median(fdatasync_us(folder))}, indent=2))


if __name__ == "__main__":
    main()
