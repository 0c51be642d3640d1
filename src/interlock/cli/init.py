"""`interlock init`: a state directory with a commented configuration and secrets of its own."""

from interlock.cli.answer import Json, State, errors_said, print_json, story

HELP = """Make a state directory: a commented configuration and secrets (mode 0600). Never overwrites.

Example: interlock init --state ~/interlock
"""


def command(state: State, as_json: Json = False) -> None:
    with errors_said():
        from interlock.config.write import make_state

        made = make_state(state)
    if as_json:
        print_json({"state": str(state), "files": made})
        return
    story(f"made {state}: {', '.join(made)}\nnext: interlock run --state {state}")
