"""`interlock release`: lifts a kill, with a typed phrase."""

from typing import Annotated, Any

import typer

from interlock.cli.answer import Json, State, errors_said, existing, print_json
from interlock.cli.shown import decided, seen_or_asked, show

HELP = """Release a kill of the same reach. The phrase is typed, not guessed: "RELEASE THE KILL".

Example: interlock release --state ~/interlock --phrase "RELEASE THE KILL"
"""


def command(
    state: State,
    phrase: Annotated[str | None, typer.Option(help='Exactly "RELEASE THE KILL"; asked for in a terminal.')] = None,
    lane: Annotated[str | None, typer.Option(help="The kill of this lane.")] = None,
    account: Annotated[str | None, typer.Option(help="The kill of this account.")] = None,
    seen: Annotated[str | None, typer.Option(help="The digest of the state that you decide on; asked for in a terminal.")] = None,
    as_json: Json = False,
) -> None:
    with errors_said():
        from interlock.engine.questions import kill_id
        from interlock.errors import InputError
        from interlock.model.command import RELEASE_PHRASE, Release
        from interlock.runtime.commands import give, open_questions

        directory = existing(state)

        def act() -> dict[str, Any]:
            asked = next((each for each in open_questions(directory) if each.id == kill_id(lane, account)), None)
            typed, digest = phrase, seen
            if asked is not None and phrase is None:
                if seen is not None:
                    raise InputError(f'[command.phrase] type the phrase with it: --phrase "{RELEASE_PHRASE}"')
                digest = seen_or_asked(asked.text, asked.state, asked.digest, seen=None, word=RELEASE_PHRASE)
                typed = RELEASE_PHRASE
            elif asked is not None and seen is None:
                show(asked.text, asked.state)
                digest = asked.digest
            return give(directory, Release(phrase=typed or RELEASE_PHRASE, lane=lane, account=account, seen=digest or ""))  # type: ignore[arg-type]

        answer = decided(act, seen=seen or phrase)
    if as_json:
        print_json(answer)
        return
    print(f"released {answer['reach']}")
