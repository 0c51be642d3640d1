"""What a person is shown before they decide, and the digest by which the desk knows that it was this."""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interlock.cli.answer import story
from interlock.errors import InputError

if TYPE_CHECKING:
    from interlock.engine.questions import Question

MOVED = "[command.state_moved]"


def find(directory: Path, name: str) -> "Question":
    """The open question of that id. Raises InputError when nothing of that name waits."""
    from interlock.runtime.commands import open_questions

    found = open_questions(directory)
    for question in found:
        if question.id == name:
            return question
    waiting = ", ".join(question.id for question in found) or "nothing"
    raise InputError(f"nothing called {name!r} waits for an answer; waiting: {waiting}")


def show(text: str, state: Iterable[Sequence[str]]) -> None:
    """What the decision is about, on stderr."""
    story(text)
    for what, ours, theirs in state:
        story(f"  {what}: {ours}" + (f"; the broker says {theirs}" if theirs else ""))


def seen_or_asked(text: str, state: Iterable[Sequence[str]], digest: str, *, seen: str | None, word: str) -> str:
    """The digest of what the person decides on: the one they gave, or that of what they are shown here and answer by typing
    `word`. Raises InputError where no digest was given and there is nobody to ask."""
    if seen is not None:
        return seen
    show(text, state)
    if not sys.stdin.isatty():
        raise InputError(f"this is no terminal: look at what stands above, then give --seen {digest}")
    story(f"Type {word} to go on, anything else to leave it as it is.")
    if sys.stdin.readline().strip() != word:
        raise InputError("left as it is")
    return digest


def decided(act: Callable[[], dict[str, Any]], *, seen: str | None) -> dict[str, Any]:
    """What came of the act. Where the state has moved between the look and the word, a person in a terminal is shown it anew;
    whoever gave a digest is told, because they decided on something else."""
    while True:
        try:
            return act()
        except InputError as error:
            if seen is not None or not str(error).startswith(MOVED):
                raise
            story("Nothing was done: the state has moved meanwhile. This is how it stands now.")
