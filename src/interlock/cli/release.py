"""`interlock release`: lifts a kill, with a typed phrase."""

from typing import Annotated

import typer

from interlock.cli.answer import Json, State, errors_said, existing, print_json

HELP = """Release a kill of the same reach. The phrase is typed, not guessed: "RELEASE THE KILL".

Example: interlock release --state ~/interlock --phrase "RELEASE THE KILL"
"""


def command(
    state: State,
    phrase: Annotated[str, typer.Option(help='Exactly "RELEASE THE KILL".')],
    lane: Annotated[str | None, typer.Option(help="The kill of this lane.")] = None,
    account: Annotated[str | None, typer.Option(help="The kill of this account.")] = None,
    as_json: Json = False,
) -> None:
    with errors_said():
        from interlock.model.command import Release
        from interlock.runtime.commands import give

        answer = give(existing(state), Release(phrase=phrase, lane=lane, account=account))  # type: ignore[arg-type]
    if as_json:
        print_json(answer)
        return
    print(f"released {answer['reach']}")
