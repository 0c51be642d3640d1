"""What a strategy is: frozen numbers, declared needs, and one pure answer per bar with its reason."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Final

from msgspec import Struct

from interlock.errors import InputError
from interlock.model.features import FeatureRow
from interlock.model.instrument import Instrument
from interlock.model.market import TIMEFRAMES, Bar
from interlock.model.money import Nanos
from interlock.model.signal import Decision, Enter, Hold, Side

NONE: Final = "none"
"""The regime detector of a strategy that does without."""


class Needs(Struct, frozen=True, kw_only=True):
    """What must be there before a strategy is asked: its bars, its feature columns, its regime detector."""

    bars: str
    features: tuple[str, ...] = ()
    regime: str = NONE
    is_synth_ok: bool = False          # whether a bar made up for a minute without trades will do

    def __post_init__(self) -> None:
        if self.bars not in TIMEFRAMES:
            raise InputError(f"needs: no bars are named {self.bars!r}; there are {', '.join(TIMEFRAMES)}")

    @property
    def timeframe(self) -> Nanos:
        return TIMEFRAMES[self.bars]


class PositionView(Struct, frozen=True):
    """What a strategy holds of its instrument, over the accounts of its lane. `side` None: flat.

    `quantity` is unsigned, that of the account which holds most. `is_pending`: an entry is under way.
    """

    side: Side | None = None
    quantity: Decimal = Decimal(0)
    is_pending: bool = False

    @property
    def is_open(self) -> bool:
        return self.side is not None

    @property
    def is_flat(self) -> bool:
        """Holds nothing and waits for nothing."""
        return self.side is None and not self.is_pending


FLAT: Final = PositionView()


class Moment(Struct, frozen=True):
    """All that a strategy is told. Each needed column is OK, or it is not asked."""

    bar: Bar
    features: FeatureRow
    regime: str                        # of the detector named in its needs; "none" where it needs none
    position: PositionView
    instrument: Instrument
    now: Nanos

    @property
    def close(self) -> float:
        """The bar's close as a price, for analytics; exact prices come from `instrument.price`."""
        return float(self.instrument.price(self.bar.close))

    def bracket(self, side: Side, stop_atrs: float, target_atrs: float, why: str) -> Enter | Hold:
        """An entry at market with its stop, and with a target unless `target_atrs` is 0, so many `atr` from the close.

        The stop is rounded away from the close, the target towards it. Holds while the range is zero.
        """
        close, reach = self.close, self.features["atr"]
        if not reach > 0.0:
            return Hold("the market does not move")
        to_tick = self.instrument.below if side is Side.BUY else self.instrument.above
        target = to_tick(close + side.sign * target_atrs * reach) if target_atrs else None
        return Enter(side, stop=to_tick(close - side.sign * stop_atrs * reach), why=why, target=target)


@dataclass(frozen=True)
class Strategy(ABC):
    """A strategy keeps its numbers as fields, keeps nothing else, and cannot reach a broker."""

    setup: ClassVar[str] = "continuation"
    """What kind of entry it makes; the gate asks more of some kinds."""

    @property
    @abstractmethod
    def needs(self) -> Needs:
        """What it must be given. It is not asked before all of it is there."""

    @abstractmethod
    def decide(self, moment: Moment) -> Decision:
        """The answer to one finished bar: Hold, Enter or Exit, with the reason."""
