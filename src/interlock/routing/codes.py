"""Why routing left an account out, or a whole lane."""

from typing import Final

from interlock.model.codes import Code

_LANE, _ACCOUNT, _GROUP = "routing: lane", "routing: account", "routing: group"

ROUTING: Final = (
    Code("route.lane_unknown", _LANE, "The lane of the intent is not configured.",
         "Configure the lane, or use another."),
    Code("route.lane_kind", _LANE, "The lane does not trade this kind of instrument.", "Use a lane that does."),
    Code("route.lane_symbol", _LANE, "The lane's symbol policy does not hold this instrument.",
         "Add it to the lane's symbols if it is meant to be traded there."),
    Code("route.no_account", _LANE, "The lane has no account.", "Give the lane an account."),
    Code("route.account_disabled", _ACCOUNT, "The account was disabled while running.",
         "`interlock account enable NAME` once the reason is gone."),
    Code("route.account_symbol", _ACCOUNT, "The account's allowed symbols do not hold this instrument.",
         "Add it to the account's symbols if it is meant to be traded there."),
    Code("route.group_closed", _GROUP, "A group of the account is switched off.",
         "Open the group in the configuration."),
    Code("route.group_symbol", _GROUP, "A group's symbol policy does not hold this instrument.",
         "Add it to the group's symbols if it is meant to be traded there."),
)
