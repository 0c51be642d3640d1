"""Which reading is how bad: one row per component, as data. A tier is the worst of its components.

A reading that is missing, late or no number has the tier that its row names for that, which is never better than that of the
worst number it could have been short of a halt.
"""

from math import isfinite
from typing import Final

from msgspec import Struct

LANE: Final = "lane"
ACCOUNT: Final = "account"
HALT: Final = 4
"""The tier that only a person ends."""
NO_ENTRIES: Final = 3


class Component(Struct, frozen=True, kw_only=True):
    """One input of a tier. `steps` are (above, tier), rising; `missing` is the tier of a reading that is not there."""

    name: str
    scope: str
    steps: tuple[tuple[float, int], ...]
    missing: int
    says: str                          # the reason; {what} and {value} are filled in
    unknown: str                       # the reason where there is no reading

    def tier_of(self, value: float | None) -> int:
        if value is None or not isfinite(value):
            return self.missing
        tier = 0
        for above, its in self.steps:
            if not value <= above:
                tier = its
        return tier

    def reason(self, value: float | None, what: str) -> str:
        if value is None or not isfinite(value):
            return self.unknown.format(what=what)
        return self.says.format(what=what, value=f"{value:.3g}")


class Vital(Struct, frozen=True):
    """One reading. A component that does not apply now (a market that is closed, an order that is not out) has none."""

    component: str
    value: float | None
    what: str = ""


COMPONENTS: Final = (
    Component(name="quote_age", scope=LANE, steps=((2.0, 1), (10.0, 3)), missing=3,
              says="no quote of {what} for {value} s", unknown="no usable quote of {what}"),
    Component(name="quote_age_at_risk", scope=LANE, steps=((10.0, HALT),), missing=HALT,
              says="no quote of {what} for {value} s, and risk is open in it",
              unknown="no usable quote of {what}, and risk is open in it"),
    Component(name="bar_lag", scope=LANE, steps=((3.0, 1), (10.0, 3)), missing=3,
              says="the last bar of {what} came {value} s late", unknown="when the last bar of {what} came is not known"),
    Component(name="feed_order", scope=LANE, steps=((0.0, 3),), missing=3,
              says="the feed of {what} jumped in its own time within the last minute",
              unknown="the order of the feed of {what} is not known"),
    Component(name="loop_gap", scope=LANE, steps=((2.0, 1), (10.0, 3)), missing=3,
              says="the desk did not come round for {value} s", unknown="how the desk comes round is not known"),
    Component(name="clock_offset", scope=LANE, steps=((0.25, 3), (1.0, HALT)), missing=3,
              says="the clock is {value} s off", unknown="how far the clock is off has not been measured"),
    Component(name="line", scope=ACCOUNT, steps=((0.0, 3),), missing=3,
              says="the line to the broker is down", unknown="whether the line to the broker is up is not known"),
    Component(name="account_age", scope=ACCOUNT, steps=((5.0, 2), (30.0, 3)), missing=3,
              says="no sign of life of the account for {value} s", unknown="the account has given no sign of life"),
    Component(name="ack_p95", scope=ACCOUNT, steps=((250.0, 1),), missing=1,
              says="1 in 20 acknowledgements takes {value} ms longer than it should",
              unknown="how long acknowledgements take is not known"),
    Component(name="ack_wait", scope=ACCOUNT, steps=((3.0, 3),), missing=3,
              says="an order waited {value} s for its acknowledgement",
              unknown="how long an order has waited for its acknowledgement is not known"),
    Component(name="degraded", scope=ACCOUNT, steps=((0.0, 3),), missing=3,
              says="source degraded: {what}", unknown="the record of {what} is no number"),
    Component(name="orphan_quote_age", scope=ACCOUNT, steps=((10.0, HALT),), missing=HALT,
              says="no quote of {what} for {value} s, and a position of no lane is open in it",
              unknown="no usable quote of {what}, and a position of no lane is open in it"),
)
"""What there is to read today. Whoever brings another input brings its row."""

BY_NAME: Final = {component.name: component for component in COMPONENTS}


def judge(vitals: tuple[Vital, ...]) -> tuple[int, tuple[str, ...]]:
    """The tier that these readings call for, and the reasons of everything that is not well, the worst first."""
    found = [(tier, vital) for vital in vitals if (tier := BY_NAME[vital.component].tier_of(vital.value))]
    found.sort(key=lambda each: -each[0])
    return (found[0][0] if found else 0), tuple(BY_NAME[vital.component].reason(vital.value, vital.what) for _, vital in found)
