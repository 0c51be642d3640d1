"""Every reason the gate can give, for the catalogue: which check says it, what causes it, what to do about it."""

from typing import Final

from interlock.model.codes import Code

_C, _B, _L, _R = "phase.1_connection", "phase.2_balance", "phase.3_daily_loss", "phase.4_regime"
_S, _T, _Q, _K = "phase.5_size", "guard.1_time_window", "guard.2_data_quality", "guard.3_risk_limits"
_P, _D, _E = "guard.4_position_count", "guard.5_directional_concentration", "guard.6_entry_slippage"
_J, _G, _Y, _W = ("guard.7_trajectory_alignment", "guard.9_degradation", "guard.10_liquidity",
                  "guard.11_reentry_cooldown")
_X, _ANY, _JUDGE = "exit.position", "several checks", "judge"
_DAY, _DEF = "guard.8_day_type", "order.definition"

_WAIT = "None: the conditions for an entry are not there; the next signal is judged anew."
_FEED = "Check the data feed and the clock of this machine; `interlock status` shows ages."
_BROKER = "Check the broker's line; `interlock accounts` shows what it last proved, and when."
_LIMIT = "None while the limit is meant. Its number stands under [gate]; a changed one asks for approval in live."
_FAULT = "This is a fault of Interlock or of an extension, never of the market: report it with `interlock explain`."
_STRATEGY = "Correct the strategy or the alert's message."


def _input(name: str, check: str, cause: str, remedy: str) -> Code:
    return Code("input_missing." + name, check, cause, remedy)


CODES: Final = (
    # kill, truth, account
    Code("killed", "kill", "The kill switch is latched for this lane, this account or all.",
         "When the reason is settled: `interlock release --phrase …`."),
    Code("truth_unknown", "truth", "Nothing shows lately what kind of account this is.", _BROKER),
    Code("truth_mismatch", "truth", "The account is not of the kind that this state directory is for.",
         "Paper accounts belong into a paper directory, live ones into a live one."),
    Code("account_disabled", "account", "A person disabled the account.", "`interlock account enable NAME`."),
    Code("account_frozen", "account", "Entries are frozen: the books differ, or the account was not yet read whole.",
         "Look at the difference in `interlock status` and decide it."),
    Code("order.strategy_off", "order.strategy", "The strategy broke, was throttled, or was refused over and over.",
         "Look at the reason in `interlock decisions`, correct it, then `interlock enable`."),
    Code("order.tier", "order.tier", "The health tier of the lane or of the account opens nothing.",
         "See the reasons of the tier in `interlock status`."),
    # phase 1
    Code("line_down", _C, "The line to the broker is down.", _BROKER),
    Code("proof_old", _C, "The broker's stream has not proved itself alive within 5 s.", _BROKER),
    _input("account_id", _C, "The broker itself has not named this account.", _BROKER),
    _input("proof", _C, "The broker's stream has not proved itself alive at all.", _BROKER),
    # phase 2
    Code("balance_low", _B, "Equity or balance is below the minimum.", "Fund the account or lower gate.balance_min."),
    Code("risk_over_balance", _B, "The planned loss is too large a share of the equity.", _LIMIT),
    Code("open_risk_over_balance", _B, "All planned losses together are too large a share of the equity.", _LIMIT),
    _input("equity", _ANY, "Equity is not known or not a number, for instance for want of a mark.", _BROKER),
    _input("balance", _B, "The balance is not known or not a number.", _BROKER),
    # phase 3
    Code("daily_loss", _L, "The day's loss, or what it would be if the stops were hit, reaches the limit.",
         "None today: the limit is there for this day."),
    _input("day_pnl", _ANY, "The day's result is not known or not a number.", _BROKER),
    _input("day_start_equity", _ANY, "The equity at the day's start is not known.", _BROKER),
    # phase 4
    Code("regime_required", _R, "A live lane for other signals than alerts declares no regime detector.",
         "Name a detector for the lane."),
    Code("regime_old", _R, "The detector has not looked at the market lately.", _FEED),
    Code("regime_not_allowed", _R, "The strategy does not trade in this regime.", _WAIT),
    _input("regime", _R, "The lane's detector has no regime: warming up, or not the one that answered.", _FEED),
    # phase 5 and size
    Code("size_differs", _S, "Computing the size again gave another one.", _FAULT),
    Code("size_failed", "size", "Computing the size broke.", _FAULT),
    Code("risk_over_cap", _S, "The planned loss is above the cap per trade.", _FAULT),
    Code("risk_budget", _S, "One contract (of the micro, where there is one) loses more at its stop than a trade may.",
         "Use a nearer stop, or raise gate.risk_per_trade."),
    Code("tier", _S, "The health tier opens nothing.", "See the reasons of the tier in `interlock status`."),
    Code("no_rate", _S, "The instrument is not quoted in the account's currency, and there is no rate.",
         "Trade it in an account of its currency."),
    Code("stop_side", _S, "The stop is not on the losing side of where the entry would fill.", _STRATEGY),
    Code("view_mismatch", _S, "The view is of another account, instrument, lane, strategy or source.", _FAULT),
    Code("position_limit", _S, "SafeBroker's position per symbol is used up, orders that may still fill included.",
         _LIMIT),
    Code("notional_limit", _S, "One lot is worth more than SafeBroker's notional per order.", _LIMIT),
    Code("notional_min", _S, "What the funds pay for is below the least order of the venue.", "Fund the account."),
    Code("spot_short", _S, "Spot cannot be sold short.", "Route short signals to another instrument."),
    Code("nothing_to_exit", _X, "Our book or the broker's holds nothing that this would reduce.",
         "None if the position is closed; else look at the difference in `interlock status`."),
    _input("funds", _S, "Balance or equity is not known, so what the account can pay for is not.", _BROKER),
    _input("stop", _ANY, "The entry has no stop that is a number.", _STRATEGY),
    _input("broker_position", _ANY, "The broker has not told its position in this instrument.", _BROKER),
    # guard 1
    Code("session_closed", _T, "The instrument is not in session.", _WAIT),
    Code("near_flat", _T, "Less than ten minutes are left before the position would have to be flat.", _WAIT),
    Code("outside_window", _T, "The time of day is outside the entry windows.", _WAIT),
    Code("event_blackout", _T, "A big release is near.", _WAIT),
    _input("session", _T, "The session table does not know this day.", "Update the session table."),
    _input("local_minute", _T, "The time of day at the exchange is not known.", _FAULT),
    _input("events", _ANY, "Live, or a day with a release, and no calendar of releases is loaded.", "Load a calendar."),
    # guard 2
    Code("quote_old", _Q, "The quote is older than allowed, or from the future.", _FEED),
    Code("quote_quality", _Q, "The quote is not of a quality that may be decided upon.", _FEED),
    Code("quote_from_future", _Q, "The venue's time is ahead of our receipt.", _FEED),
    Code("feed_delayed", _Q, "Live quotes arrive long after the venue's own time.", "Check the data subscription."),
    Code("quote_crossed", _Q, "The bid is above the ask, or a side is not a price.", _FEED),
    Code("market_halted", _Q, "The market is closed or halted.", _WAIT),
    Code("clock_offset", _Q, "This machine's clock is off.", "Synchronise the clock."),
    Code("decision_late", _Q, "Too much time went by between decision and judgement.",
         "If it happens often, the machine is too slow or the line too long."),
    _input("mark", _ANY, "There is no quote of the instrument.", _FEED),
    _input("clock_offset", _Q, "The offset of this machine's clock was not measured.", "Allow time synchronisation."),
    # guard 3
    Code("trade_risk", _K, "The planned loss is above the source's limit per trade.", _LIMIT),
    Code("day_loss_limit", _K, "The day's loss has reached the limit.", "None today."),
    Code("week_loss_limit", _K, "The week's loss has reached the limit.", "None this week."),
    Code("losses_in_a_row", _K, "Too many losses in a row today.", "None today."),
    Code("leverage", _K, "The value of all that is open is too many times the equity.", _LIMIT),
    Code("all_daily_loss", _K, "The day's loss of all accounts together has reached the limit.", "None today."),
    Code("all_order_rate", _K, "All accounts together have sent too many orders within a minute.", _LIMIT),
    Code("all_notional", _K, "The value of all that is open in all accounts is above the limit.", _LIMIT),
    _input("all_notional", _K, "The value of all that is open is not known.", _FAULT),
    _input("week_pnl", _K, "The week's result is not known.", _BROKER),
    _input("all_day_pnl", _K, "The day's result of some account is not known.", _BROKER),
    # guards 4 to 7
    Code("position_count", _P, "Enough positions are open: in all, of this source or in this underlying.", _LIMIT),
    Code("group_positions", _D, "Enough positions are open in the group of instruments that move together.", _LIMIT),
    Code("group_value", _D, "The net value of the group is too many times the equity.", _LIMIT),
    Code("same_direction_risk", _D, "Too much of the day's budget is at risk in one direction.", _LIMIT),
    Code("slippage", _E, "The expected fill is too far from the price of the decision.", _WAIT),
    Code("far_from_alert", _E, "The market has moved away from the alert's price.", _WAIT),
    Code("realised_slippage", _E, "The last ten fills were worse than the model says.", "Look at the fills."),
    _input("reference", _ANY, "The price of the decision (or any reference for an exit) is not known.",
           "Let the alert send its price."),
    _input("atr", _E, "The average range is warming up, stale or missing.", _FEED),
    Code("trajectory", _J, "Prices were not going the way that the set-up needs.", _WAIT),
    Code("setup_unknown", _J, "The guard has no rule for this set-up.", _STRATEGY),
    _input("trajectory", _J, "The trajectory is warming up, stale or missing.", _FEED),
    _input("trajectory_first", _J, "The older half of the trajectory is warming up, stale or missing.", _FEED),
    _input("trajectory_second", _J, "The newer half of the trajectory is warming up, stale or missing.", _FEED),
    # guards 8 to 11
    Code("day_type", _DAY, "The set-up is not traded on a day of this type.", _WAIT),
    _input("day_type", _DAY, "The type of the day is not known.", _WAIT),
    _input("confidence", _DAY, "The day's type is still open, and the set-up does not say how sure it is.", _STRATEGY),
    Code("degraded", _G, "The last trades of this source were bad.",
         "In paper it may try again at half size after a rest; in live a person decides."),
    Code("thin", _Y, "Less is offered than the order needs.", _WAIT),
    Code("wide_spread", _Y, "The spread is wide.", _WAIT),
    Code("stop_in_spread", _Y, "The stop is nearer than three spreads.", _STRATEGY),
    Code("cooldown", _W, "A stop was hit in this direction within the last 15 minutes.", _WAIT),
    Code("opposite_wait", _W, "An entry the other way is less than a minute old.", _WAIT),
    Code("entries_per_day", _W, "Enough entries in this direction today.", "None today."),
    # the order itself
    Code("instrument_not_allowed", "order.instrument", "The instrument is not on the account's list.",
         "Add it to the account's symbols. Live needs an explicit list."),
    Code("definition_differs", _DEF, "The broker defines tick, lot, multiplier or currency otherwise than we do.",
         "Correct [instruments.…], or the symbol that the account trades."),
    Code("expired", _DEF, "The contract has expired.", "Trade the next contract."),
    Code("roll_block", _DEF, "The contract expires soon or is being rolled.", "Trade the next contract."),
    _input("definition", _DEF, "The broker has not told what this instrument is.", _BROKER),
    Code("self_trade", "order.self_trade", "The entry would meet an order of our own, in this or another account.", _WAIT),
    _input("resting", "order.self_trade", "Which orders of ours rest at this broker is not known.", _FAULT),
    Code("position_opposite", "order.reversal", "The account holds the other side of the same underlying.",
         "Close first; a reversal needs a second signal once flat."),
    Code("off_tick", "order.tick_and_lot", "A price is no multiple of the tick.", _STRATEGY),
    Code("off_lot", "order.tick_and_lot", "The quantity is no multiple of the lot.", _FAULT),
    Code("bracket_stop_side", "order.bracket", "The stop is not on the losing side.", _STRATEGY),
    Code("bracket_target_side", "order.bracket", "The target is not on the winning side.", _STRATEGY),
    Code("outside_collar", "order.collar", "A price is too far from the market.", _STRATEGY),
    Code("outside_price_window", "order.price_window", "A price is too far from where the market was within the last minute.",
         _WAIT),
    _input("price_window", "order.price_window", "Where the market has been lately is not known.", _FEED),
    Code("duplicate_signal", "order.duplicate", "The same signal was already cleared for this account.", "None."),
    _input("signal_key", "order.duplicate", "The signal has no key, so that a repeat could not be seen.", _FAULT),
    Code("order_rate", "order.rate", "Too many orders of this account within a minute.", _LIMIT),
    Code("value_rate", "order.value_rate", "Too much value would be cleared for this account within a minute.", _LIMIT),
    Code("all_value_rate", "order.value_rate", "Too much value would be cleared in all accounts within a minute.", _LIMIT),
    _input("value_last_minute", "order.value_rate", "What was cleared in the last minute is not known.", _FAULT),
    _input("all_value_last_minute", "order.value_rate", "What was cleared in all accounts in the last minute is not known.",
           _FAULT),
    Code("margin", "order.margin", "The margin after the trade would be too large a share of the equity.", _LIMIT),
    _input("margin", "order.margin", "The broker tells margin, and not what this account or instrument needs.", _BROKER),
    Code("price_not_live", "order.provenance", "A price from playback or simulation would move a live account.",
         "Give live lanes a live feed."),
    # exits
    Code("broker_position_old", _X, "The broker's position is too old to exit on.", _BROKER),
    _input("read", _X, "The account was never read whole, so a flatten has nothing to go by.", _BROKER),
    Code("exit_over_position", _X, "The exit is larger than what both books (for a flatten: the broker's) hold.", _FAULT),
    Code("may_cross_zero", "exit.never_crosses_zero", "With other exits that may be live this could turn the position.",
         "None: the other exit is cancelled first, or fills."),
    _input("exits", "exit.never_crosses_zero", "Which exits are live is not known.", _BROKER),
    _input("person", "exit.person", "Flatten without a person's decision.", "Give the command yourself."),
    Code("person_decided_other", "exit.person", "The order names another flatten than the one that a person has given here.",
         "Look at the positions and give the command yourself."),
    Code("person_decided_before", "exit.person", "The flatten was given too long ago to be carried out now.",
         "Look at the positions and give the command again."),
    # the judge
    Code("check_failed", _JUDGE, "A check broke, most often on a value that is missing or not a number.", _FAULT),
    Code("no_verdict", _JUDGE, "A check answered neither yes nor no.", _FAULT),
    Code("no_checks", _JUDGE, "There was nothing to ask.", _FAULT),
    Code("unsupported", "order.compose", "The account's broker cannot express this order.", "Use another order type."),
    Code("compose_refused", "order.compose", "The order could not be written down.", _FAULT),
    Code("compose_failed", "order.compose", "Writing the order down broke.", _FAULT),
    Code("compose_mismatch", "order.compose", "The order is not what was asked and sized.", _FAULT),
)
