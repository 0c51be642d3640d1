"""`interlock enable`: lifts one latch that only a person lifts."""

from typing import Annotated, Any

import typer

from interlock.cli.answer import Json, State, errors_said, existing, print_json
from interlock.cli.shown import decided, find, seen_or_asked

HELP = """Lift one halt: a lost line, a loss, a tier, a strategy that was stopped. Each needs its own.

Example: interlock enable strategy.main.demo --seen 0f3a9c1d2b4e5f60 --state ~/interlock
"""


def command(
    state: State,
    latch: Annotated[str, typer.Argument(help="Its id, as `interlock decisions` lists it.")],
    seen: Annotated[str | None, typer.Option(help="The digest of the state that you decide on; asked for in a terminal.")] = None,
    as_json: Json = False,
) -> None:
    with errors_said():
        from interlock.model.command import Enable
        from interlock.runtime.commands import give

        directory = existing(state)

        def act() -> dict[str, Any]:
            asked = find(directory, latch)
            shown = seen_or_asked(asked.text, asked.state, asked.digest, seen=seen, word="enable")
            return give(directory, Enable(latch, shown))

        outcome = decided(act, seen=seen)
    print_json(outcome) if as_json else print(f"{latch} is lifted")
