"""Why execution ended a wish before the gate."""

from typing import Final

from interlock.model.codes import Code

_EXIT = "execution: exit"

EXECUTION: Final = (
    Code("exit.nothing_held", _EXIT, "The strategy holds no position in this account and has no entry out.",
         "None; the account never entered, or is out already."),
    Code("exit.under_way", _EXIT, "The position is already on its way out.", "None; the first exit goes on."),
    Code("position_crossed", "execution: fills", "A fill took a position through zero.",
         "Look at `interlock orders`; a person decides what is meant to be held."),
    Code("overfill", "execution: fills", "An order filled more than it asked for; the true amount is booked.",
         "Compare with the broker's own statement before entries go on."),
    Code("protection", "execution: protection", "Live stops and position differ for longer than two seconds.",
         "Look at `interlock positions`; place or confirm the stop at the broker."),
)
