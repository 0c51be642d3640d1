"""What a signal guard is shown of one alert."""

from msgspec import Struct

from interlock.intake.rules import AlertRow
from interlock.model.money import Nanos
from interlock.model.signal import Alert
from interlock.model.view import Session


class Asked(Struct, frozen=True):
    """`session` is the instrument's at `ts`; `fires_left` None means that no budget is kept."""

    alert: Alert
    row: AlertRow
    ts: Nanos
    session: Session
    fires_left: int | None
