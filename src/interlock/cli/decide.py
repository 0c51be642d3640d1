"""`interlock decide`: a person's answer to an open question."""

from typing import Annotated, Any

import typer

from interlock.cli.answer import Json, State, errors_said, existing, print_json
from interlock.cli.shown import decided, find, seen_or_asked

HELP = """Answer an open question. The answer holds for the state that was shown; if it has moved, nothing happens.

Example: interlock decide drift.paper-a adopt-broker --seen 0f3a9c1d2b4e5f60 --state ~/interlock
"""


def command(
    state: State,
    question: Annotated[str, typer.Argument(help="Its id, as `interlock decisions` lists it.")],
    answer: Annotated[str, typer.Argument(help="One of the answers that it takes, e.g. adopt-broker, adopt-local, abort.")],
    seen: Annotated[str | None, typer.Option(help="The digest of the state that you decide on; asked for in a terminal.")] = None,
    as_json: Json = False,
) -> None:
    with errors_said():
        from interlock.errors import InputError
        from interlock.model.command import Decide
        from interlock.runtime.commands import give

        directory = existing(state)

        def act() -> dict[str, Any]:
            asked = find(directory, question)
            if answer not in asked.answers:
                takes = ", ".join(asked.answers) or "no answer yet"
                raise InputError(f"[command.answer] {question} takes {takes}, found {answer!r}")
            shown = seen_or_asked(asked.text, asked.state, asked.digest, seen=seen, word=answer)
            return give(directory, Decide(question, answer, shown))

        outcome = decided(act, seen=seen)
    print_json(outcome) if as_json else print(f"{question}: {answer}")
