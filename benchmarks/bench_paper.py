"""How long the paper venue takes: placing a bracket through codec and wire and back, market messages, bars.

    python benchmarks/bench_paper.py
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from interlock.brokers.paper import Paper
from interlock.model.ids import AccountName, ClientOrderId, LaneName, SignalId, StrategyName
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Bar, Provenance, Quote
from interlock.model.money import MINUTE, SECOND
from interlock.model.order import Leg, Order, OrderType
from interlock.model.signal import Purpose, Side

ACCOUNT = AccountName("paper-1")
MNQ = INSTRUMENTS["MNQ"]


def bracket(number: int) -> Order:
    def leg(role: str, purpose: Purpose, side: Side, type: OrderType, limit: str | None, stop: str | None) -> Leg:
        return Leg(client_order_id=ClientOrderId(f"{role}{number:012d}"), role=role, purpose=purpose, side=side,
                   quantity=Decimal(1), type=type, limit=None if limit is None else Decimal(limit),
                   stop=None if stop is None else Decimal(stop), is_reduce_only=purpose is not Purpose.ENTER)

    return Order(account=ACCOUNT, instrument="MNQ", venue_symbol="MNQ", signal_id=SignalId(f"{number:018d}"),
                 lane=LaneName("futures"), strategy=StrategyName("demo"), legs=(
                     leg("entry", Purpose.ENTER, Side.BUY, OrderType.MARKET, None, None),
                     leg("stop", Purpose.PROTECT, Side.SELL, OrderType.STOP, None, "19000"),
                     leg("target", Purpose.TARGET, Side.SELL, OrderType.LIMIT, "21000", None)))


def quote(ts: int, symbol: str = "MNQ") -> Quote:
    price = MNQ.increments(Decimal("20000"))
    return Quote(symbol, price, price + 1, 50, 50, ts, ts, Provenance.SIMULATED)


def paper(path: Path | None = None) -> Paper:
    made = Paper({"MNQ": MNQ, "MES": INSTRUMENTS["MES"]}, {ACCOUNT: Decimal(50_000)}, path=path)
    made.on_market(quote(SECOND))
    return made


def run(paper: Paper, order: Order) -> None:
    call = paper.broker.place(paper.broker.encode(order))
    try:
        call.send(None)
    except StopIteration:
        return
    raise RuntimeError("the call suspended")


def place_us(path: Path | None, count: int = 2000) -> dict[str, float]:
    """One native bracket: encoded, carried, accepted, acknowledged three times, decoded."""
    made, times = paper(path), []
    for order in [bracket(number) for number in range(count)]:
        begin = time.perf_counter_ns()
        run(made, order)
        reports = made.broker.drain()
        times.append((time.perf_counter_ns() - begin) / 1000)
        if len(reports) != 3:
            raise RuntimeError(f"expected 3 acknowledgements, found {reports}")
    made.close()
    return {"p50": round(statistics.median(times), 2), "p99": round(sorted(times)[int(count * 0.99)], 2)}


def each_us(act: Callable[[int], None], count: int) -> float:
    """The best of five runs, per call."""
    best = float("inf")
    for turn in range(5):
        begin = time.perf_counter_ns()
        for number in range(turn * count, (turn + 1) * count):
            act(number)
        best = min(best, (time.perf_counter_ns() - begin) / count / 1000)
    return round(best, 3)


def idle_us() -> dict[str, float]:
    made = paper()
    bars = [Bar("MES", MINUTE, 100, 110, 90, 105, 1, MINUTE * n, MINUTE * (n + 1), Provenance.PLAYBACK)
            for n in range(100_000)]
    quotes = [quote(MINUTE * 200_000 + n, "MES") for n in range(100_000)]
    deliver = made.on_market
    return {"bar": each_us(lambda n: deliver(bars[n]), 20_000), "quote": each_us(lambda n: deliver(quotes[n]), 20_000)}


def bars_us() -> dict[str, float]:
    """A bar with a live stop and target: out of reach, and one that stops out (entry, fills and reports included)."""
    made = paper()
    run(made, bracket(0))
    made.advance(SECOND * 2)
    middle = MNQ.increments(Decimal("20000"))
    bars = [Bar("MNQ", MINUTE, middle, middle + 20, middle - 20, middle + 4, 1, MINUTE * n, MINUTE * (n + 1),
                Provenance.PLAYBACK) for n in range(1, 50_001)]
    quiet = each_us(lambda n: made.on_market(bars[n]), 10_000)
    made = paper()
    low = MNQ.increments(Decimal("18990"))
    times = []
    for n in range(1, 2001):
        run(made, bracket(n))
        made.advance(MINUTE * n + SECOND)
        made.broker.drain()
        bar = Bar("MNQ", MINUTE, middle, middle + 20, low, middle, 1, MINUTE * n, MINUTE * (n + 1), Provenance.PLAYBACK)
        begin = time.perf_counter_ns()
        made.on_market(bar)
        times.append((time.perf_counter_ns() - begin) / 1000)
        if len(made.broker.drain()) != 2:
            raise RuntimeError("expected the stop's fill and the target's end")
    return {"two_children": quiet, "stopped_out_p50": round(statistics.median(times), 2)}


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        figures = {"place_bracket_us": place_us(None), "place_bracket_file_us": place_us(Path(directory) / "book.db"),
                   "on_market_idle_us": idle_us(), "bar_us": bars_us()}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
