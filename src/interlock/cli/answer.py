"""How every command answers: one JSON value or a table on stdout, the story on stderr, and its exit status.

0 fine; 1 found something; 2 misuse (arguments, configuration, a data file); 3 could not tell or could not do it.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from interlock.errors import ConfigError, InputError, InterlockError, JournalDamaged

FINE: Final = 0
FOUND: Final = 1
MISUSE: Final = 2
COULD_NOT: Final = 3
LOOK: Final = ("; the journal is damaged and was left as it is: look with `interlock journal verify`, mend a copy with "
               "`interlock journal repair`")

PIPE_WIDTH: Final = 320

State = Annotated[Path, typer.Option(
    "--state", envvar="INTERLOCK_STATE", help="The state directory.", show_envvar=True, file_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value and nothing else on stdout.")]

def story(text: str) -> None:
    """A line for the person, on stderr."""
    print(text, file=sys.stderr)


def leave(status: int) -> NoReturn:
    raise typer.Exit(status)


@contextmanager
def errors_said() -> Iterator[None]:
    """Turn our own errors into one clear line and the exit status of their kind."""
    try:
        yield
    except JournalDamaged as error:
        story(f"interlock: {error}{'' if 'interlock journal' in str(error) else LOOK}")
        raise typer.Exit(FOUND) from None
    except (ConfigError, InputError) as error:
        story(f"interlock: {error}")
        raise typer.Exit(MISUSE) from None
    except InterlockError as error:
        story(f"interlock: {error}")
        raise typer.Exit(COULD_NOT) from None


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """A table on stdout; `empty` when there is nothing to show."""
    if not rows:
        print(empty)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    grid = Table(title=title or None, title_justify="left", title_style="bold", header_style="bold", box=box.SIMPLE_HEAD,
                 pad_edge=False)
    for column in columns:
        grid.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        grid.add_row(*row)
    # A pipe has no width of its own: there every row is one line, as tools expect it.
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False).print(grid)


def rows_or_json(rows: Sequence[dict[str, Any]], *, as_json: bool, title: str, columns: Sequence[str], empty: str,
                 cell: Callable[[Any], str] | None = None) -> None:
    """The same rows either way."""
    if as_json:
        print_json(list(rows))
        return
    say = cell or _cell
    table(title, columns, [[say(row.get(column)) for column in columns] for row in rows], empty=empty)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def existing(state: Path) -> Path:
    """The state directory, which must have been made by `interlock init` or `run`. Raises ConfigError."""
    if not state.is_dir():
        raise ConfigError(f"{state} is no directory; `interlock init --state {state}` makes one")
    if not (state / "interlock.toml").exists():
        raise ConfigError(f"{state} holds no Interlock state; `interlock init --state {state}` makes one")
    return state
