"""Every reason SafeBroker can give, for the catalogue. Most mean a fault: sizing and gate keep inside its limits."""

from typing import Final

from interlock.model.codes import Code

_SAFE, _CLEAR = "SafeBroker", "clearance"
_REPORT = "Report it with `interlock explain`: the gate should have seen this first."
_LATER = "None: the order was not sent. If still wanted, it is judged anew."

CODES: Final = (
    Code("clearance.absent", _CLEAR, "An order came without a clearance.", _REPORT),
    Code("clearance.profile", _CLEAR, "No key may sign this profile.", _REPORT),
    Code("clearance.signature", _CLEAR, "The signature does not fit the content: altered, or signed elsewhere.",
         _REPORT),
    Code("clearance.format", _CLEAR, "The clearance is of another format version.", _REPORT),
    Code("clearance.state", _CLEAR, "The clearance was signed for another state directory.", _REPORT),
    Code("clearance.age", _CLEAR, "The clearance has expired, or is not valid yet.", _LATER),
    Code("clearance.used", _CLEAR, "The clearance was used before.", _REPORT),
    Code("clearance.purpose", _CLEAR, "The profile may not sign an order of this purpose.", _REPORT),
    Code("clearance.content", _CLEAR, "The order is not the one that was cleared.", _REPORT),
    Code("safe.account", _SAFE, "The account is none of this broker's.", "Check the accounts of the configuration."),
    Code("safe.account_unread", _SAFE, "The broker has not told the whole account since the line came up.", _LATER),
    Code("safe.account_identity", _SAFE, "The broker names another account than the configured one.",
         "Check account and credentials."),
    Code("safe.instrument", _SAFE, "The instrument is not defined.", "Define it in the configuration."),
    Code("safe.venue_symbol", _SAFE, "The order spells the instrument otherwise than the broker confirmed.", _REPORT),
    Code("safe.unsupported", _SAFE, "The broker cannot express this order.", "Use another order type."),
    Code("safe.unreadable", _SAFE, "The encoded order cannot be read back.", _REPORT),
    Code("safe.bytes_differ", _SAFE, "The bytes about to leave say something else than what was signed.", _REPORT),
    Code("safe.already_written", _SAFE, "An order with this id was written and may still fill.", _REPORT),
    Code("safe.off_tick", _SAFE, "A price is no multiple of the tick.", _REPORT),
    Code("safe.off_lot", _SAFE, "The quantity is no multiple of the lot.", _REPORT),
    Code("safe.not_reducing", _SAFE, "An exit is larger than, or on the side of, what the broker says is held.",
         "Look at the difference in `interlock status`."),
    Code("safe.bracket_shape", _SAFE, "A child is on the entry's side or larger than the entry.", _REPORT),
    Code("safe.no_quote", _SAFE, "No quote of the instrument has come by.", "Check the data feed."),
    Code("safe.quote_old", _SAFE, "The quote is too old, or not of a quality to trade on.", "Check the data feed."),
    Code("safe.quote_crossed", _SAFE, "The bid is above the ask.", "Check the data feed."),
    Code("safe.market_closed", _SAFE, "The market says that it is closed or halted.", _LATER),
    Code("safe.price_not_live", _SAFE, "A price that is not live would move a real account.",
         "Give live lanes a live feed."),
    Code("safe.collar", _SAFE, "A price is too far from the market.", _REPORT),
    Code("safe.symbol", _SAFE, "The instrument is not on the account's list.", "Add it to the account's symbols."),
    Code("safe.notional", _SAFE, "The value is above the limit per order.", _REPORT),
    Code("safe.position", _SAFE, "The position could grow above the limit per symbol.", _REPORT),
    Code("safe.order_rate", _SAFE, "Too many orders within a minute.", _REPORT),
    Code("safe.daily_loss", _SAFE, "The day's loss is at SafeBroker's own limit, or not known. The kill switch trips.",
         "Settle the reason, then `interlock release --phrase …`."),
    Code("safe.epochs_unreadable", _SAFE, "The record of kill, lease and configuration cannot be read.",
         "Check the state directory."),
    Code("safe.kill_moved", _SAFE, "A kill (or release) came between signing and writing.", _LATER),
    Code("safe.lease_moved", _SAFE, "Another process holds the lease now.", "Stop one of the two."),
    Code("safe.config_moved", _SAFE, "The configuration changed between signing and writing.", _LATER),
    Code("safe.egress_mismatch", _SAFE, "More went out, or was filled, than was cleared.",
         "Stop, and compare the account with the broker."),
    Code("safe.last_protection", _SAFE, "A cancel would have left a position without a stop, and neither a person nor an exit "
         "in the journal had asked for it.", "Look at `interlock positions`; close the position, or kill with --scope all."),
    Code("safe.check_failed", _SAFE, "One of SafeBroker's own checks broke.", _REPORT),
)
