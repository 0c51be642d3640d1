"""One account with 1,000 positions, each with its stop, against its broker's whole answer, printed as JSON.

The unit is what the engine does with such an answer: fold it in execution, ledger and reconcile, compare, and say what
differs. Once where everything agrees, and once where one position in ten does not.
"""

import json
import statistics
import time
from decimal import Decimal
from typing import Any

import msgspec
from tests.engine.test_reconcile import NOW, PROFILE, A, Rooms, attempt, read

from interlock.engine.latches import Latches
from interlock.engine.reconcile import Reconcile
from interlock.execution.stage import Execution
from interlock.ledger.book import Ledger
from interlock.model.ids import BrokerOrderId, ClientOrderId, ExecutionId
from interlock.model.instrument import INSTRUMENTS
from interlock.model.money import MINUTE, SECOND
from interlock.model.report import AccountRead, BrokerOrder, LineChanged, OrderAccepted, OrderFilled
from interlock.model.signal import Side

POSITIONS = 1_000
ROUNDS = 15
new_read: Any = read
new_attempt: Any = attempt


class Large(Rooms):
    """The rooms that take part, with an account that holds much."""

    def __init__(self) -> None:
        self.symbols = [f"S{number:04d}" for number in range(POSITIONS)]
        table = {symbol: msgspec.structs.replace(INSTRUMENTS["MNQ"], symbol=symbol) for symbol in self.symbols}
        self.latches = Latches((A,))
        self.ledger = Ledger((A,), table)
        self.execution = Execution({A: PROFILE})
        self.reconcile = Reconcile((A,), self.latches, self.ledger, self.execution)
        self.said = []
        tell: Any = self.tell
        tell(LineChanged(A, True, 1, "connected"), NOW)
        tell(new_read(NOW), NOW)
        for symbol in self.symbols:
            for name, side in ((f"e{symbol}", Side.BUY), (f"s{symbol}", Side.SELL)):
                limit = None if side is Side.BUY else "900"
                tell(new_attempt(name, symbol, side, "1", limit=limit), NOW)
                tell(OrderAccepted(A, ClientOrderId(name), BrokerOrderId(f"b{name}"), NOW), NOW)
            tell(OrderFilled(A, ClientOrderId(f"e{symbol}"), ExecutionId(f"x{symbol}"), symbol, Side.BUY, Decimal(1),
                             Decimal(100), Decimal(0), NOW), NOW)

    def answer(self, ts: int, wrong: int) -> AccountRead:
        """The broker's whole answer; the first `wrong` positions are one too many."""
        orders = [BrokerOrder(ClientOrderId(f"s{symbol}"), BrokerOrderId(f"bs{symbol}"), symbol, Side.SELL, Decimal(1),
                              Decimal(0), True, False, limit=Decimal(900)) for symbol in self.symbols]
        held = {symbol: "2" if number < wrong else "1" for number, symbol in enumerate(self.symbols)}
        found: AccountRead = new_read(ts, held, orders)
        return found


def measure(wrong: int) -> tuple[float, int]:
    """Median ms of processor time, and how many differences were found."""
    spent, found = [], 0
    rooms: Any = Large()
    for number in range(ROUNDS):
        ts = NOW + 2 * MINUTE + number * SECOND // 10
        answer = rooms.answer(ts, wrong)
        began = time.process_time()
        rooms.tell(answer, ts)
        spent.append((time.process_time() - began) * 1e3)
        found = len(rooms.reconcile.accounts[A].rows)
    return statistics.median(spent), found


def main() -> None:
    agreed, none = measure(0)
    differed, found = measure(POSITIONS // 10)
    if none or found != POSITIONS // 10:
        raise RuntimeError(f"expected 0 and {POSITIONS // 10} differences, found {none} and {found}")
    print(json.dumps({"positions": POSITIONS, "agreed_ms": round(agreed, 2), "differed_ms": round(differed, 2)}))


if __name__ == "__main__":
    main()
