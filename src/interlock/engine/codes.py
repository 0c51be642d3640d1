"""The reason codes of commands and of the engine itself."""

from typing import Final

from interlock.model.codes import Code

_COMMAND: Final = "commands"
_ALERT: Final = "alert to intent"

CODES: Final = (
    Code("command.unknown_account", _COMMAND, "The command names an account that the configuration does not have.",
         "Use a name that `interlock accounts` lists."),
    Code("command.unknown_lane", _COMMAND, "The command names a lane that the configuration does not have.",
         "Use a name that `interlock status` lists."),
    Code("command.scope", _COMMAND, 'A kill was asked for with a scope that is neither "risk" nor "all".',
         'Use "risk" to keep protective exits, "all" to cancel them too.'),
    Code("command.phrase", _COMMAND, "The release phrase was not typed exactly.", "Type RELEASE THE KILL."),
    Code("command.not_killed", _COMMAND, "A release was given for a reach at which nothing is killed.",
         "Release the lane, account or everything that `interlock status` shows as killed."),
    Code("command.no_answer", _COMMAND, "A command had no outcome.", "Report it: this is a fault of the desk."),
    Code("drift", "reconcile", "Our position or live orders differ from the broker's for longer than a report can be on its way.",
         "Look at the account at the broker; entries stay frozen until a person has decided."),
    Code("start_gate", "reconcile", "No whole read of the account has come in since the start or the reconnect.",
         "Wait for the read; if it fails, look at the broker's connection."),
    Code("nothing_to_close", _ALERT, "An alert to close came while its strategy holds nothing.", "None."),
    Code("target_not_smaller", _ALERT, "A target position is no smaller than what is held; open positions are not added to.",
         "Close, and enter anew."),
    Code("alert_position_missing", _ALERT, 'An alert with action "target" has no position.', "Add the field to the message."),
    Code("stop_missing", _ALERT, "An entry has no stop, and its exit profile computes none.",
         "Add the stop to the message, or set stop_atrs for the strategy."),
    Code("wire.not_sent", "wire", "The order certainly never left: the connection was not there.",
         "Nothing to undo; a new signal is judged anew once the connection is back."),
)
