"""`interlock reconnect`: opens a lost line to a broker again."""

from typing import Annotated, Any

import typer

from interlock.cli.answer import Json, State, errors_said, existing, print_json
from interlock.cli.shown import decided, find, seen_or_asked

HELP = """Open the line of an account anew and read the account once. Entries stay off until `interlock enable offline.ACCOUNT`.

Example: interlock reconnect paper-a --state ~/interlock
"""


def command(
    state: State,
    account: Annotated[str, typer.Argument(help="The account whose line was lost.")],
    seen: Annotated[str | None, typer.Option(help="The digest of the state that you decide on; asked for in a terminal.")] = None,
    as_json: Json = False,
) -> None:
    with errors_said():
        from interlock.model.command import Reconnect
        from interlock.model.ids import AccountName
        from interlock.runtime.commands import give

        directory = existing(state)

        def act() -> dict[str, Any]:
            asked = find(directory, f"line.{account}")
            shown = seen_or_asked(asked.text, asked.state, asked.digest, seen=seen, word="reconnect")
            return give(directory, Reconnect(AccountName(account), shown))

        outcome = decided(act, seen=seen)
    print_json(outcome) if as_json else print(f"{account}: connecting; what comes of it stands in `interlock decisions`")
