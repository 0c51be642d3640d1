"""`interlock journal verify|tail|repair`: the record itself."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from interlock.cli.answer import FOUND, Json, State, errors_said, existing, leave, print_json, story

app = typer.Typer(no_args_is_help=True, help="Verify, read or repair the journal.")


@app.command()
def verify(state: State, as_json: Json = False) -> None:
    """Read the whole journal and check every length, number, predecessor and hash. Exit 0 when whole, 1 when damaged.

    Example: interlock journal verify --state ~/interlock
    """
    with errors_said():
        from interlock.records import journal_path
        from interlock.storage.journal import verify as verify_journal

        found = verify_journal(journal_path(existing(state)))
    if as_json:
        print_json({"entries": found.entries, "ok": found.ok, "damage": found.damage, "digest": found.digest})
    else:
        print(f"{found.entries} entries, {'whole' if found.ok else 'DAMAGED: ' + str(found.damage)}")
        print(f"digest {found.digest}")
    if not found.ok:
        leave(FOUND)


@app.command()
def tail(
    state: State,
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="How many entries.")] = 20,
    kind: Annotated[str | None, typer.Option(help="Only this kind, e.g. verdict.")] = None,
    as_json: Json = False,
) -> None:
    """Print the last entries, oldest first; with --json one JSON value per line.

    Example: interlock journal tail -n 5 --kind verdict --state ~/interlock
    """
    with errors_said():
        from interlock.records import Records

        with Records.open(existing(state)) as records:
            for entry in records.tail(last, kind):
                if as_json:
                    print_json(entry)
                    continue
                at = datetime.fromtimestamp(entry["ts"] / 1e9, tz=UTC).isoformat(timespec="milliseconds")
                print(f"{entry['seq']:>8} {at} {entry['kind']:<18} {json.dumps(entry['payload'], ensure_ascii=False)}")


@app.command()
def repair(state: State, as_json: Json = False) -> None:
    """Copy the readable part of a damaged journal into a new one; the damaged file is kept beside it under a dated name.

    Example: interlock journal repair --state ~/interlock
    """
    with errors_said():
        from interlock.runtime.repair import repair_journal

        report = repair_journal(existing(state))
    if as_json:
        print_json(report)
    else:
        story(report["text"])
