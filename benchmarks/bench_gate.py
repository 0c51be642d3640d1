"""Judge, judge and sign, and SafeBroker's way to the write, each as a median in microseconds, printed as JSON.

The unit is one entry on MNQ that is cleared: size, every check, its order, the clearance, and all that SafeBroker does
up to handing the bytes over to a venue that drops them.
"""

import asyncio
import gc
import json
import statistics
import time
from typing import Any

import msgspec
from tests.brokers.venue import SmallBroker
from tests.gate.world import ACCOUNT, NOW, RULES, D, a_view, asked, compose, some_limits

from interlock.brokers.safe import AccountFacts, SafeBroker
from interlock.gate.clearance import Signer
from interlock.gate.judge import judge
from interlock.gate.registry import Registry
from interlock.model.clearance import Clearance, Epochs
from interlock.model.ids import SignalId
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Provenance, Quote
from interlock.model.order import Order, Profile
from interlock.model.report import OrderCancelled
from interlock.model.signal import Source

ROUNDS = 3_000
EPOCHS = Epochs(1, 1, 1)


class Still:
    def read(self) -> Epochs:
        return EPOCHS


def median(samples: list[int]) -> float:
    return round(statistics.median(samples) / 1000, 1)


def main() -> None:
    view, intent = a_view(), asked()
    checks, signer = Registry(RULES).checks(Profile.ENTER, Source.BARS), Signer()
    judged, signed, placed = [], [], []
    orders: list[tuple[Order, Clearance]] = []
    gc.disable()
    for number in range(ROUNDS):
        wish = msgspec.structs.replace(intent, intent=msgspec.structs.replace(
            intent.intent, signal_id=SignalId(f"{number:018d}")))
        began = time.perf_counter_ns()
        verdict = judge(wish, view, checks, compose, RULES, "c" * 64)
        middle = time.perf_counter_ns()
        order = verdict.result.order  # type: ignore[union-attr]
        clearance = signer.issue(order, verdict.profile, 1, 7, bytes(32), EPOCHS, "state", NOW)
        signed.append(time.perf_counter_ns() - began)
        judged.append(middle - began)
        orders.append((order, clearance))
    venue: Any = SmallBroker(lambda: NOW)  # type: ignore[no-untyped-call]
    safe = SafeBroker(
        venue, keys=signer.public_keys(), state_id="state", epochs=Still(), now=lambda: NOW, instruments=INSTRUMENTS,
        limits={ACCOUNT: some_limits(position_per_symbol=D(10), orders_per_minute=ROUNDS + 1)},
        accounts={ACCOUNT: AccountFacts(is_paper=True)})
    safe.on_market(Quote("MNQ", 72_000, 72_001, 50, 50, NOW, NOW, Provenance.SIMULATED))
    asyncio.run(safe.read(ACCOUNT))
    for order, clearance in orders:
        writing = safe.place(order, clearance)
        began = time.perf_counter_ns()
        try:
            writing.send(None)                     # up to the first suspension, which is after the write
        finally:
            placed.append(time.perf_counter_ns() - began)
            writing.close()
        for leg in order.legs:
            venue.queue.append(OrderCancelled(ACCOUNT, leg.client_order_id, "", NOW))
        safe.drain()
    print(json.dumps({"rounds": ROUNDS, "judge_p50_us": median(judged), "judge_and_sign_p50_us": median(signed),
                      "safe_place_p50_us": median(placed)}))


if __name__ == "__main__":
    main()
