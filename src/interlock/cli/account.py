"""`interlock account disable|enable`: take an account out of the routing, or back in."""

from typing import Annotated

import typer

from interlock.cli.answer import Json, State, errors_said, existing, print_json

app = typer.Typer(no_args_is_help=True, help="Disable or enable an account for new entries.")


@app.command()
def disable(
    state: State,
    name: Annotated[str, typer.Argument(help="The account.")],
    why: Annotated[str, typer.Option(help="Why; it stands in the journal and in every receipt.")],
    as_json: Json = False,
) -> None:
    """Stop entries for one account; what reduces or protects goes on.

    Example: interlock account disable paper-b --why "holiday" --state ~/interlock
    """
    with errors_said():
        from interlock.model.command import DisableAccount
        from interlock.runtime.commands import give

        answer = give(existing(state), DisableAccount(account=name, why=why))  # type: ignore[arg-type]
    print_json(answer) if as_json else print(f"{name} is disabled: {why}")


@app.command()
def enable(
    state: State,
    name: Annotated[str, typer.Argument(help="The account.")],
    as_json: Json = False,
) -> None:
    """Let entries through to one account again.

    Example: interlock account enable paper-b --state ~/interlock
    """
    with errors_said():
        from interlock.model.command import EnableAccount
        from interlock.runtime.commands import give

        answer = give(existing(state), EnableAccount(account=name))  # type: ignore[arg-type]
    print_json(answer) if as_json else print(f"{name} is enabled")
