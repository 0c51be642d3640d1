"""`interlock codes`: the catalogue of reason codes."""

from interlock.cli.answer import Json, errors_said, rows_or_json

HELP = """List every reason code with its check, its cause and its remedy.

Example: interlock codes
"""


def command(as_json: Json = False) -> None:
    with errors_said():
        from interlock.records import catalogue

        rows = [{"code": code.code, "check": code.check, "cause": code.cause, "remedy": code.remedy} for code in catalogue()]
    rows_or_json(rows, as_json=as_json, title="Reason codes", columns=("code", "check", "cause", "remedy"), empty="none")
