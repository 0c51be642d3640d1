"""The catalogue of reason codes: for each, which check says it, what causes it, and what to do about it.

A code is stable once released: scripts and dashboards match on it. Sentences beside it may change.
"""

from typing import Final

from msgspec import Struct

from interlock.errors import InvariantBroken


class Code(Struct, frozen=True):
    """One reason. `check` names who says it, e.g. "gate 1: secret"."""

    code: str
    check: str
    cause: str
    remedy: str


def catalogue(*rooms: tuple[Code, ...]) -> dict[str, Code]:
    """All rooms' codes by code, in the order given. Raises InvariantBroken when one stands twice."""
    found: dict[str, Code] = {}
    for room in rooms:
        for code in room:
            if code.code in found:
                raise InvariantBroken(f"reason code {code.code} stands twice in the catalogue")
            found[code.code] = code
    return found


_SECRET, _SCHEMA, _STRATEGY, _SCRIPT = "gate 1: secret", "gate 2: schema", "gate 3: strategy", "gate 4: script id"
_SOURCE, _SYMBOL = "gate 5: source symbol", "gate 6: allow-list"
_LANE, _PROFILE = "gate 7: lane", "gate 8: exit profile"
_WINDOW, _FIRES, _GUARD = "guard: session_window", "guard: fire_count", "signal guards"
_REPEAT, _HOOK, _PERIMETER, _ANSWER = "repeats", "hook", "perimeter", "answer"

INTAKE: Final = (
    Code("accepted", _ANSWER, "All fast gates and signal guards passed and the entry is durable.",
         "None; `interlock explain` shows what the gate then decided for each account."),
    Code("duplicate.bytes", _REPEAT, "The same bytes as an alert accepted within the last 60 s, usually a resend.",
         "None; the first one counts."),
    Code("duplicate.id", _REPEAT, "The strategy already had an alert with this id accepted.",
         "None for a repeat; give each new alert an id of its own, or leave the id out."),
    Code("duplicate.meaning", _REPEAT, "Same strategy, symbol, action and bar_time as an accepted alert.",
         "None for a repeat; check whether two TradingView alerts watch the same script."),
    Code("duplicate.unknown", _REPEAT, "bar_time lies so far back that a repeat could not be told from a new alert.",
         "Check that the message holds \"bar_time\": \"{{time}}\"."),

    Code("hook.method", _HOOK, "Another method than POST.", "Let the sender POST to the hook."),
    Code("hook.token", _HOOK, "No lane has this token, or the path is not /hook/<token>.",
         "Copy the address again from `interlock pine STRATEGY`."),
    Code("hook.size", _HOOK, "The body is larger than the hook takes.", "Shorten the alert message."),
    Code("hook.slow", _HOOK, "The body did not arrive whole in time.", "Check the tunnel or proxy in between."),
    Code("hook.source_address", _HOOK, "The declared proxy names a sender that is none of TradingView's addresses.",
         "Send from TradingView, or switch the source check off."),
    Code("hook.not_written", _HOOK, "The alert could not be written to the journal, or not in time.",
         "Look at `interlock status` and at the disk; TradingView sends it again."),

    Code("perimeter.forwarded", _PERIMETER, "The request came through a proxy that is not declared.",
         "Point tunnels at the hook port; declare the proxy if the page is meant to be behind it."),
    Code("perimeter.host", _PERIMETER, "The Host is none of the names of this machine's loopback.",
         "Open the page as http://127.0.0.1:PORT."),

    Code("secret.absent", _SECRET, "No secret in the body, or a body that cannot be read as one JSON object.",
         "Copy the message again from `interlock pine STRATEGY`; it must be valid JSON."),
    Code("secret.wrong", _SECRET, "The secret is not this lane's.",
         "Copy the message again from `interlock pine STRATEGY`."),

    Code("schema.missing", _SCHEMA, "A required field is missing.", "Add it; docs/alerts.md lists the fields."),
    Code("schema.type", _SCHEMA, "A field has the wrong type.", "Correct it; docs/alerts.md lists the types."),
    Code("schema.text", _SCHEMA, "A text field is empty, too long or has unprintable characters.", "Correct it."),
    Code("schema.placeholder", _SCHEMA, "A {{placeholder}} arrived unresolved.",
         "TradingView does not know it for this kind of alert; use one that it lists for your script."),
    Code("schema.action", _SCHEMA, "The action is none of buy, sell, close, target.", "Use one of the four words."),
    Code("schema.number", _SCHEMA, "A number is not a finite number of ordinary size.",
         "Check the plot behind it: na arrives as NaN."),
    Code("schema.time", _SCHEMA, "A time is neither ISO 8601 with a zone nor epoch milliseconds.",
         "Use {{time}} and {{timenow}} as they are."),
    Code("schema.conflict", _SCHEMA, "Two names of one field (stop and sl, target and tp) disagree.", "Leave one out."),
    Code("schema.duplicate_key", _SCHEMA, "A key stands twice in the message.", "Leave one out."),
    Code("age.late", _SCHEMA, "sent_time is more than 30 s behind the engine clock.",
         "None: a late signal is not traded. If all are late, check the clock of this machine."),
    Code("age.future", _SCHEMA, "sent_time is more than 2 s ahead of the engine clock.",
         "Check the clock of this machine; a recording being played has a clock of its own."),

    Code("strategy.unknown", _STRATEGY, "The lane has no alert strategy of this name.",
         "Check the name, and the lane whose address was used."),
    Code("script.unknown", _SCRIPT, "The strategy has no row with this script_id.",
         "Check script_id against the configuration."),
    Code("source.unknown", _SOURCE, "The strategy has no row with this source_symbol.",
         "Check source_symbol against the configuration; an exchange in the row must be in the alert."),
    Code("source.triple", _SOURCE,
         "Strategy, script_id and source_symbol are each known, but not together in one row.",
         "Add a row for this combination, or correct the alert."),
    Code("symbol.not_allowed", _SYMBOL, "The lane's allow-list does not hold this symbol.",
         "Add it to the lane's symbols if it is meant to be traded there."),
    Code("symbol.mismatch", _SYMBOL, "The row of this source_symbol is for another symbol.",
         "Correct the alert's symbol."),
    Code("lane.unknown", _LANE, "The lane is not configured any more.", "Use the address of a configured lane."),
    Code("lane.kind", _LANE, "The lane does not trade this kind of instrument.", "Send it to a lane that does."),
    Code("lane.delayed", _LANE, "Delayed data (an exchange ending in _DL or _DLY) on a live lane.",
         "Subscribe to real-time data at TradingView, or use a paper lane."),
    Code("lane.no_accounts", _LANE, "No account is configured for the lane.", "Give the lane an account."),
    Code("profile.stop_missing", _PROFILE, "No stop in the alert, and the exit profile computes none.",
         "Send a stop, or choose a profile that computes one."),
    Code("profile.stop_side", _PROFILE, "The stop is not below the price of a buy, or not above that of a sell.",
         "Correct the stop in the script."),
    Code("profile.target_side", _PROFILE, "The target is not above the price of a buy, or not below that of a sell.",
         "Correct the target in the script."),
    Code("profile.position_missing", _PROFILE, "A target alert without a position.",
         "Send the position that is to remain."),

    Code("window.unknown", _WINDOW, "The session table does not know this instrument now; unknown is closed.",
         "Extend the session table."),
    Code("window.closed", _WINDOW, "The exchange is closed.", "None; the alert came outside the session."),
    Code("window.outside", _WINDOW, "Outside the strategy's own window, in exchange time.",
         "None, or widen the window."),
    Code("fires.spent", _FIRES, "The strategy's budget of fires is used up.", "Raise the budget when that is wanted."),
    Code("guard.refused", _GUARD, "A signal guard of another package said no; its own code stands in the reason.",
         "See that guard's documentation."),
    Code("guard.failed", _GUARD, "A signal guard broke; a broken guard is closed.",
         "Report it with the alert's entry."),
)

_PAGE: Final = "page and API"

PAGE: Final = (
    Code("token.wrong", _PAGE, "No token of the page, or a wrong one.", "Open the link that `interlock run` printed."),
    Code("origin.foreign", _PAGE, "A page of another origin asked for an act.", "Use the desk's own page."),
    Code("body.too_large", _PAGE, "The request is larger than any act needs.", "Send what docs/dashboard.md describes."),
    Code("request.invalid", _PAGE, "A field of the request is missing or of the wrong type.", "Correct it; the reason names it."),
    Code("instrument.unknown", _PAGE, "No instrument of this desk has that name.", "Use a name that the page shows."),
    Code("account.unknown", _PAGE, "No account of this desk has that name.", "Use a name that `interlock accounts` lists."),
    Code("door.closed", _PAGE, "The engine takes no commands: it has stopped, or too many wait.",
         "Look at `interlock status`; `interlock kill` works without an engine too."),
    Code("door.no_answer", _PAGE, "The engine has not answered in time; the command may still take effect.",
         "Look at `interlock status` before giving it again."),
    Code("drill.not_held", _PAGE, "The kill drill could not be held, or another one is under way; nothing was measured.",
         "Read the reason; `interlock drill` holds one from a terminal."),
    Code("http.404", _PAGE, "There is nothing at that address.", "Open / and follow the page."),
    Code("http.405", _PAGE, "That address answers another method.", "Use the method that the answer's allow header names."),
)

_RESCUE: Final = "interlock-kill"

RESCUE: Final = (
    Code("rescue.no_fence", _RESCUE, "The lease could not be taken over, so an engine that wakes could still write.",
         "End the engine for good (kill -9), then give the command again; cancels were sent, nothing was closed."),
    Code("rescue.no_journal", _RESCUE, "The rescue's own journal could not be written.",
         "Give another disk with --journal; cancels were sent, nothing was closed."),
    Code("rescue.not_confirmed", _RESCUE, "Nobody confirmed with the words that were shown.",
         "Type them as shown, or name the account with --yes-flatten."),
    Code("rescue.account_unknown", _RESCUE, "No account of the configuration has that name.",
         "Use a name that `interlock accounts` lists."),
    Code("rescue.account_moved", _RESCUE, "The broker names another account than the one that was shown.",
         "Look at the broker itself."),
    Code("rescue.venue_inside", _RESCUE, "The paper venue of this account lives inside the engine, and stands while it does.",
         "End the engine, or start it again and give `interlock kill`."),
    Code("rescue.unreachable", _RESCUE, "The broker cannot be reached, or does not tell the whole account.",
         "Look at the broker itself; nothing is known of the account."),
    Code("rescue.position_old", _RESCUE, "The broker has not told the position within the last seconds.",
         "Give the command again."),
    Code("rescue.not_reducing", _RESCUE, "The order would not only reduce what the broker holds.",
         "Give the command again; the position has moved."),
    Code("rescue.instrument", _RESCUE, "The instrument is not defined, or the quantity is no multiple of its lot.",
         "Define it in the configuration, or close it at the broker."),
)

CODES: Final[dict[str, Code]] = catalogue(INTAKE)
"""Every code that an answer, a refusal or a reject may carry."""
