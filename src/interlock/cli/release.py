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
    seen: Annotated[str | None, typer.Option(help="Digest of the state you were shown; without it, of what is shown now.")] = None,
    as_json: Json = False,
) -> None:
    with errors_said():
        from interlock.engine.questions import kill_id
        from interlock.model.command import Release
        from interlock.runtime.commands import give, open_questions

        directory = existing(state)
        asked = next((each for each in open_questions(directory) if each.id == kill_id(lane, account)), None)
        if seen is None and asked is not None:
            for what, ours, _ in () if as_json else asked.state:
                print(f"{what} {ours}")
            seen = asked.digest
        answer = give(directory, Release(phrase=phrase, lane=lane, account=account, seen=seen or ""))  # type: ignore[arg-type]
    if as_json:
        print_json(answer)
        return
    print(f"released {answer['reach']}")
