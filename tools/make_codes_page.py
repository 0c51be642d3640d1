"""Write docs/reference/codes.md from the catalogue of reason codes."""

import sys
from pathlib import Path

from interlock.records import catalogue

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "reference" / "codes.md"

HEAD = """\
# Reason codes

Every refusal carries a code that stays the same over releases; the sentence beside it may change. `interlock codes` prints
this list, `interlock codes --json` gives it to a script. A code that begins with `input_missing.` names a value that a check
needs and did not get. This page is made by `python tools/make_codes_page.py`.
"""


def page() -> str:
    """The text of the page: one table per speaker, in the order in which each first speaks in the catalogue."""
    rows: dict[str, list[str]] = {}
    for code in catalogue():
        rows.setdefault(code.check, []).append(f"| `{code.code}` | {_cell(code.cause)} | {_cell(code.remedy)} |\n")
    return HEAD + "".join(f"\n## {speaker}\n\n| code | cause | what to do |\n|---|---|---|\n{''.join(lines)}"
                          for speaker, lines in rows.items())


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> int:
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
