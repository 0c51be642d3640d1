"""`interlock decisions`: everything that waits for a person."""

from interlock.cli.answer import Json, State, errors_said, existing, print_json, rows_or_json

HELP = """List what waits for a person: differences from the broker, lost lines, halts, kills. Each with the answers it takes.

Example: interlock decisions --state ~/interlock --json
"""


def command(state: State, as_json: Json = False) -> None:
    with errors_said():
        import msgspec

        from interlock.runtime.commands import open_questions

        found = open_questions(existing(state))
    if as_json:
        print_json([msgspec.to_builtins(question) for question in found])
        return
    rows = [{"id": question.id, "concerns": question.scope, "text": question.text, "answers": ", ".join(question.answers),
             "seen": question.digest} for question in found]
    rows_or_json(rows, as_json=False, title="Waiting for you", columns=("id", "concerns", "text", "answers", "seen"),
                 empty="nothing waits for you")
