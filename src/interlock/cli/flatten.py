"""`interlock flatten`: closes positions, by a person's word."""

from typing import Annotated, Any

import typer

from interlock.cli.answer import Json, State, errors_said, existing, print_json
from interlock.cli.shown import decided, seen_or_asked

HELP = """Close positions: cancel, close, verify flat. Works while killed or halted. Every broker is asked at once.

Example: interlock flatten --account paper-a --why "done for the day" --state ~/interlock
"""


def command(
    state: State,
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    instrument: Annotated[str | None, typer.Option(help="Only this instrument.")] = None,
    why: Annotated[str, typer.Option(help="Why; it stands in the journal.")] = "by hand",
    number: Annotated[str, typer.Option(help="The account's full number, where a live account is not confirmed.")] = "",
    seen: Annotated[str | None, typer.Option(help="The digest of the positions that you close; asked for in a terminal.")] = None,
    as_json: Json = False,
) -> None:
    with errors_said():
        from interlock.model.command import Flatten
        from interlock.model.ids import AccountName
        from interlock.runtime.commands import give, shown_positions

        directory, reach = existing(state), None if account is None else AccountName(account)

        def act() -> dict[str, Any]:
            found = shown_positions(directory, reach, instrument)
            where = account or "every account"
            text = f"This closes, in {where}:" if found["state"] else (
                f"By our books nothing is open in {where}; the brokers are asked all the same, and what they show is closed.")
            digest = seen_or_asked(text, found["state"], found["digest"], seen=seen, word="FLATTEN")
            return give(directory, Flatten(why, reach, instrument, digest, number))

        outcome = decided(act, seen=seen)
    if as_json:
        print_json(outcome)
        return
    print(f"flattening {', '.join(outcome['accounts'])}: {len(outcome['positions'])} positions; "
          "the result is the broker's word and stands in `interlock journal tail --kind flatten_ended`")
