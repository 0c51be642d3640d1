"""`interlock reconcile`: compares ours with the brokers' now."""

from typing import Annotated

import typer

from interlock.cli.answer import Json, State, errors_said, existing, print_json

HELP = """Read accounts at their brokers now and compare. It adopts nothing; a difference asks you.

Example: interlock reconcile --account paper-a --state ~/interlock
"""


def command(
    state: State,
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    as_json: Json = False,
) -> None:
    with errors_said():
        from interlock.model.command import Reconcile
        from interlock.model.ids import AccountName
        from interlock.runtime.commands import give

        outcome = give(existing(state), Reconcile(None if account is None else AccountName(account)))
    print_json(outcome) if as_json else print(f"reading {', '.join(outcome['reading'])}; a difference that stands asks you in "
                                             "`interlock decisions`")
