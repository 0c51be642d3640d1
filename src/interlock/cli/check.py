"""`interlock check`: is this configuration right, and would it start here?"""

from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.answer import FOUND, Json, State, errors_said, existing, leave, print_json, table

HELP = """Check configuration and environment; print every effective value and where it came from.

Example: interlock check --state ~/interlock
"""


def command(
    state: State,
    units: Annotated[Path | None, typer.Option(help="A folder of service files, compose files or manifests to look at too.",
                                               exists=True)] = None,
    as_json: Json = False,
) -> None:
    with errors_said():
        from interlock.config.load import effective, load
        from interlock.runtime.environment import problems

        directory = existing(state)
        loaded = load(directory)
        values = list(effective(loaded))
        found = problems(directory, loaded.config, units)
    if as_json:
        print_json({"ok": not found, "digest": loaded.digest, "problems": found,
                    "values": [{"key": key, "value": value, "origin": origin} for key, value, origin in values]})
    else:
        table("Effective configuration", ("key", "value", "origin"), values, empty="nothing is configured")
        print(f"SHA-256 {loaded.digest}")
        for problem in found:
            print(f"problem: {problem}")
        print("this would not start" if found else "this would start")
    if found:
        leave(FOUND)
