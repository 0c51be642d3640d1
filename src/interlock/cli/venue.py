"""`interlock venue start|status`: the paper venue as a process of its own."""

from typing import Annotated

import typer

from interlock.cli.answer import MISUSE, Json, State, errors_said, leave, print_json, story

app = typer.Typer(no_args_is_help=True, help="Run the paper venue as a process of its own, or ask one.")


@app.command()
def start(
    kind: Annotated[str, typer.Argument(help='"paper", the one that there is.')],
    state: State,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0: any; without it the one it had last.")] = None,
    environment: Annotated[str, typer.Option(help='"paper_sim", or "live-rehearsal": it calls itself live, and a simulator.')]
    = "paper_sim",
    as_json: Json = True,  # noqa: ARG001 - what it prints is one JSON value in any case
) -> None:
    """Listen on the loopback until stopped. Prints one JSON line that says on which port.

    Example: interlock venue start paper --state ~/venue
    """
    if kind != "paper":
        story(f'interlock: the venue is "paper", found {kind!r}')
        leave(MISUSE)
    with errors_said():
        from interlock.runtime.venue import serve_venue

        serve_venue(state, port=port, environment=environment, say=_say)


@app.command()
def status(state: State, as_json: Json = False) -> None:
    """What has arrived at a running venue, by session and kind of request, as the venue counts it.

    Example: interlock venue status --state ~/venue
    """
    with errors_said():
        from interlock.runtime.venue import venue_status

        found = venue_status(state)
    if as_json:
        print_json(found)
        return
    for session, kinds in found["arrived"].items():
        for name, count in kinds.items():
            print(f"{session} {name}: {count['messages']} messages, {count['bytes']} bytes")


def _say(found: dict[str, object]) -> None:
    print_json(found)
    import sys

    sys.stdout.flush()
