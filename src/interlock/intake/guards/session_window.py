"""The exchange is open, and it is an hour at which the strategy may enter. Minutes are those of the exchange's zone."""

from interlock.intake.guards.asked import Asked
from interlock.intake.rules import Refusal


def session_window(asked: Asked) -> Refusal | None:
    session, window = asked.session, asked.row.window
    if not session.is_known:
        return Refusal("window.unknown", f"the session table does not know {asked.row.instrument} now, so it is closed")
    if not session.is_open:
        return Refusal("window.closed", f"the exchange of {asked.row.instrument} is closed")
    if window is not None and not window.has(session.local_minute):
        clock = f"{session.local_minute // 60:02}:{session.local_minute % 60:02}"
        return Refusal("window.outside", f"{clock} {session.zone} is outside {asked.alert.strategy}'s window {window}")
    return None
