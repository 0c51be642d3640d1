"""The plainest of strategies, the same in every trading library, kept to compare engines by."""

from dataclasses import dataclass, field

from interlock.decisions.strategy import Moment, Needs, Strategy
from interlock.errors import ConfigError
from interlock.model.signal import Decision, Hold, Side


@dataclass(frozen=True)
class EmaCross(Strategy):
    """When flat: buy on the bar where the fast mean crosses above the slow one, sell where it crosses below.

    Each entry rests a stop `stop_atrs` and a target `target_atrs` average ranges away; nothing else ends it.
    """

    fast: int = 10
    slow: int = 20
    stop_atrs: float = 2.0
    target_atrs: float = 3.0
    bars: str = "1m"
    _needs: Needs = field(init=False, repr=False, compare=False)
    _cross: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.fast < self.slow:
            raise ConfigError(f"ema_cross: fast must be below slow, found {self.fast} and {self.slow}")
        if not (self.stop_atrs > 0 and self.target_atrs > 0):
            raise ConfigError(f"ema_cross: stop_atrs and target_atrs must be above 0, "
                              f"found {self.stop_atrs} and {self.target_atrs}")
        cross = f"cross_{self.fast}_{self.slow}"
        columns = (f"ema_{self.fast}", f"ema_{self.slow}", cross, "atr")
        object.__setattr__(self, "_cross", cross)
        object.__setattr__(self, "_needs", Needs(bars=self.bars, features=columns))

    @property
    def needs(self) -> Needs:
        return self._needs

    def decide(self, moment: Moment) -> Decision:
        crossed = moment.features[self._cross]
        if crossed == 0.0:
            return Hold("no cross")
        if not moment.position.is_flat:
            return Hold("already in")
        side = Side.BUY if crossed > 0.0 else Side.SELL
        return moment.bracket(side, self.stop_atrs, self.target_atrs, "means crossed")
