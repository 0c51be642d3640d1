"""Guard 2: what is decided upon is fresh, whole and of this market."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.gate.check import missing, traded
from interlock.model.market import Provenance, Quality
from interlock.model.money import SECOND, Nanos
from interlock.model.signal import Source
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView

_MILLISECOND = SECOND // 1000


@dataclass(frozen=True)
class DataQuality:
    """Quote young, two-sided and uncrossed, market open and not halted, clocks agreed, decision not late."""

    name: ClassVar[str] = "guard.2_data_quality"
    needs_quantity: ClassVar[bool] = False
    quote_age_max: Nanos = 2 * SECOND
    clock_offset_max: Nanos = 250 * _MILLISECOND
    feed_delay_max: Nanos = 2 * SECOND          # receipt after the venue's own time; live prices
    decision_age_max: Nanos = 3 * SECOND        # a bar's decision
    alert_age_max: Nanos = 30 * SECOND

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        _, mark = traded(intent, view)
        if mark is None:
            return missing("mark", f"no quote for {intent.sized.instrument}")
        age = view.now - mark.ts_recv
        if not mark.is_fresh(view.now, self.quote_age_max):
            return Refuse("quote_old", f"Data quote {mark.quality.name}, age {age} ns",
                          {"age": str(age), "age_max": str(self.quote_age_max), "fresh_until": str(mark.fresh_until)})
        is_live = mark.provenance is Provenance.LIVE
        if not (mark.quality is Quality.OK or (mark.quality is Quality.SYNTH and not is_live)):
            return Refuse("quote_quality", f"Data quote {mark.quality.name}, age {age} ns",
                          {"quality": mark.quality.name})
        if mark.ts_event - mark.ts_recv > self.clock_offset_max:
            return Refuse("quote_from_future",
                          f"the venue's time is {mark.ts_event - mark.ts_recv} ns ahead of receipt")
        if is_live and not mark.ts_recv - mark.ts_event <= self.feed_delay_max:
            return Refuse("feed_delayed",
                          f"the quote arrived {mark.ts_recv - mark.ts_event} ns after the venue's time")
        if not (mark.bid > 0 and mark.bid <= mark.ask and mark.ask.is_finite()):
            return Refuse("quote_crossed", f"bid {mark.bid}, ask {mark.ask}")
        if mark.is_open is not True or mark.is_halted is not False:
            return Refuse("market_halted", f"{mark.instrument} is closed or halted")
        if view.clock_offset is None:
            return missing("clock_offset")
        if not abs(view.clock_offset) <= self.clock_offset_max:
            return Refuse("clock_offset", f"the clock is {view.clock_offset} ns off, {self.clock_offset_max} allowed",
                          {"offset": str(view.clock_offset), "offset_max": str(self.clock_offset_max)})
        waited = view.now - intent.account_intent.intent.ts_decided
        limit = self.alert_age_max if view.source is Source.ALERTS else self.decision_age_max
        if 0 <= waited <= limit:
            return Allow({"age": str(age), "waited": str(waited)})
        return Refuse("decision_late", f"decided {waited} ns ago, {limit} allowed",
                      {"waited": str(waited), "waited_max": str(limit)})
