"""Reading a feature in a check: there, finite, young, and of a quality that may be decided upon."""

import math

from interlock.gate.check import missing
from interlock.model.market import Provenance, Quality
from interlock.model.money import Nanos
from interlock.model.verdict import Refuse
from interlock.model.view import GateView


def usable(view: GateView, name: str, age_max: Nanos) -> float | Refuse:
    """The feature's value, or the refusal that says why it cannot be used. SYNTH counts where prices are not live."""
    feature = view.feature(name)
    value = None if feature is None else feature.value
    if feature is None or value is None or not math.isfinite(value):
        return missing(name)
    quality = feature.quality
    if quality is not Quality.OK:
        is_live = view.mark is None or view.mark.provenance is Provenance.LIVE
        if quality is not Quality.SYNTH or is_live:
            return missing(name, f"Data {name} {quality.name}")
    age = view.now - feature.ts_known
    if 0 <= age <= age_max:
        return float(value)
    return missing(name, f"{name} is {age} ns old, {age_max} allowed")
