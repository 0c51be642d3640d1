"""Buy a close far above the slow mean after a strong bar, sell the mirror image: small enough to read, not meant to earn."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.decisions.strategy import Moment, Needs, Strategy
from interlock.errors import ConfigError
from interlock.model.signal import Decision, Exit, Hold, Side


@dataclass(frozen=True)
class ThreeBars(Strategy):
    """Enter in the direction of a bar that is wide and closes beyond the slow mean; leave when the close is back at it.

    Its fields are its parameters; `[lanes.NAME.strategies.NAME.params]` sets them.
    """

    wide: float = 1.2                  # a bar is wide when it covers this many average ranges
    stop_atrs: float = 2.0
    target_atrs: float = 3.0

    needs: ClassVar[Needs] = Needs(bars="1m", features=("ema_20", "atr"))

    def __post_init__(self) -> None:
        if not (self.wide > 0 and self.stop_atrs > 0 and self.target_atrs >= 0):
            raise ConfigError(f"three_bars: wide and stop_atrs must be above 0 and target_atrs at least 0, found {self}")

    def decide(self, moment: Moment) -> Decision:
        mean, reach = moment.features["ema_20"], moment.features["atr"]
        lead = moment.close - mean
        held = moment.position.side
        if held is not None:
            return Exit("back at the mean") if lead * held.sign <= 0 else Hold("already in")
        if not moment.position.is_flat:
            return Hold("entry under way")
        bar, price = moment.bar, moment.instrument.price
        if float(price(bar.high - bar.low)) < self.wide * reach:
            return Hold("an ordinary bar")
        body = bar.close - bar.open
        if body == 0 or body * lead <= 0:
            return Hold("bar and mean disagree")
        side = Side.BUY if body > 0 else Side.SELL
        return moment.bracket(side, self.stop_atrs, self.target_atrs, "a wide bar away from the mean")
