"""Join a market that has begun to move, with the two means and the regime agreeing."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.decisions.strategy import Moment, Needs, Strategy
from interlock.errors import ConfigError
from interlock.model.signal import Decision, Exit, Hold, Side

_NEEDS = Needs(bars="1m", features=("ema_fast", "ema_slow", "atr"), regime="structure")
_SIDES = {"trend_up": Side.BUY, "trend_dn": Side.SELL}


@dataclass(frozen=True)
class OpeningDrive(Strategy):
    """Join a trend, long or short, risking `stop_atrs` average ranges for `target_atrs`.

    Leaves when the fast mean is on the wrong side of the slow one, whatever the regime has become.
    """

    stop_atrs: float = 2.0
    target_atrs: float = 3.0           # 0: no target, the means alone end it

    needs: ClassVar[Needs] = _NEEDS

    def __post_init__(self) -> None:
        if not (self.stop_atrs > 0 and self.target_atrs >= 0):
            raise ConfigError(f"opening_drive: stop_atrs must be above 0 and target_atrs at least 0, "
                              f"found {self.stop_atrs} and {self.target_atrs}")

    def decide(self, moment: Moment) -> Decision:
        f = moment.features
        lead = f["ema_fast"] - f["ema_slow"]
        held = moment.position.side
        if held is not None:
            if lead * held.sign < 0:
                return Exit("fast mean crossed back")
            return Hold("already in")
        if moment.position.is_pending:
            return Hold("entry under way")
        side = _SIDES.get(moment.regime)
        if side is None:
            return Hold("no trend")
        if lead * side.sign <= 0:
            return Hold("means against the trend")
        return moment.bracket(side, self.stop_atrs, self.target_atrs, "means agree with the trend")
