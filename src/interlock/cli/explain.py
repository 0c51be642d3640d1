"""`interlock explain`: why, or why not, from the record alone."""

from typing import Annotated

import typer

from interlock.cli.answer import COULD_NOT, FOUND, Json, State, errors_said, existing, leave, print_json, table

HELP = """Explain a decision: every check with its numbers, re-evaluated now from the recorded values and compared bit for bit.

ID is a signal id, a client order id or a journal seq. Exit 1 when the re-evaluation differs.

Example: interlock explain 3f9k2m0c8q1x7z5b4n --state ~/interlock
"""


def command(
    state: State,
    identity: Annotated[str, typer.Argument(metavar="ID", help="A signal id, a client order id or a journal seq.")],
    as_json: Json = False,
) -> None:
    with errors_said():
        from interlock.records import Records

        with Records.open(existing(state)) as records:
            answer = records.explain(identity)
    if as_json:
        print_json(answer)
    else:
        _print(answer)
    if not answer["verdicts"] and not answer["story"]:
        leave(COULD_NOT)
    if any(verdict["differences"] for verdict in answer["verdicts"]):
        leave(FOUND)


def _print(answer: dict) -> None:  # type: ignore[type-arg]
    for line in answer["story"]:
        print(line)
    for verdict in answer["verdicts"]:
        print()
        print(f"{verdict['account']}: {verdict['result'].upper()} {verdict['instrument']} {verdict['side']} "
              f"x {verdict['quantity']}" + (f" [{verdict['code']}] {verdict['reason']}" if verdict["code"] else ""))
        table("", ("check", "answer", "code", "numbers"),
              [[check["check"], check["answer"], check["code"] or "",
                check["reason"] or ", ".join(f"{name} {value}" for name, value in check["numbers"].items())]
               for check in verdict["checks"]], empty="no check was asked")
        print(f"re-evaluated by build {answer['build'][:12]}"
              + ("" if verdict["is_same_build"] else f" (recorded by build {verdict['build'][:12]})")
              + (": equal bit for bit" if not verdict["differences"] else ": DIFFERS"))
        for difference in verdict["differences"]:
            print(f"  {difference['check']}: recorded {difference['recorded']}, now {difference['now']}")
    if not answer["verdicts"] and not answer["story"]:
        print(f"nothing in this journal is called {answer['id']}")
