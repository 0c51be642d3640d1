"""An account as we hold it: positions and figures at a named moment. None means not known, zero means zero."""

from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from typing import Final

from msgspec import Struct

from interlock.model.ids import AccountName, LaneName, SignalId, StrategyName
from interlock.model.money import Nanos
from interlock.model.signal import Side, Source


class Mode(Enum):
    PAPER = "paper"
    LIVE = "live"


class Truth(Enum):
    """What an account really is, derived from evidence with age, never from configuration."""

    PAPER_SIM = "paper_sim"
    RUNTIME_SIM = "runtime_sim"
    BROKER_VERIFIED = "broker_verified"
    UNKNOWN = "unknown"


MIXED: Final = "mixed"
"""The label of a lane whose accounts have several."""


def lane_truth(labels: Sequence[str]) -> str:
    """What a lane is, by the labels of its accounts.

    >>> lane_truth(["paper_sim", "paper_sim"]), lane_truth(["paper_sim", "unknown"]), lane_truth([])
    ('paper_sim', 'mixed', 'unknown')
    """
    if not labels:
        return Truth.UNKNOWN.value
    return labels[0] if all(label == labels[0] for label in labels) else MIXED


class Position(Struct, frozen=True, kw_only=True):
    """What we hold of one instrument in one account. `quantity` is signed; the mean price is exact."""

    account: AccountName
    instrument: str
    quantity: Decimal
    average_price: Decimal
    signal_id: SignalId | None         # of the entry that opened it; None: not ours
    lane: LaneName | None
    strategy: StrategyName | None
    source: Source | None
    stop: Decimal | None               # the recorded stop
    target: Decimal | None
    risk: Decimal                      # planned loss at the stop, fees and slippage included, account currency
    ts_opened: Nanos
    is_target_owned: bool = False


class ClosedTrade(Struct, frozen=True, tag="trade_closed", kw_only=True):
    """One round trip, from flat to flat."""

    account: AccountName
    instrument: str
    lane: LaneName | None
    strategy: StrategyName | None
    source: Source | None
    signal_id: SignalId | None
    side: Side
    quantity: Decimal                  # largest held
    entry_price: Decimal
    exit_price: Decimal
    gross: Decimal
    commission: Decimal
    net: Decimal
    risk: Decimal
    is_stop_out: bool
    ts_opened: Nanos
    ts_closed: Nanos

    @property
    def r_multiple(self) -> Decimal:
        """Net result in units of the planned risk; zero where no risk was planned."""
        return self.net / self.risk if self.risk else Decimal(0)
