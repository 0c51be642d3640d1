"""`interlock confirm`: a person confirms live accounts, with figures that their brokers have just told."""

import getpass
import os
import select
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from interlock.cli.answer import COULD_NOT, FINE, FOUND, MISUSE, Json, State, errors_said, existing, leave, print_json, story
from interlock.errors import InterlockError

HELP = """Confirm live accounts: each is shown as its broker tells it, and its full number is typed. Needs a terminal.

Example: interlock confirm --state ~/interlock
"""
DECLINE: Final = "decline"
TRIES: Final = 3

Ask = Callable[..., Any]
"""As `runtime.control.ask`, for one state directory: what is asked, and its fields; None where no desk runs."""
Read = Callable[[str], str | None]
"""Puts a question to the person. None: there is nobody any more."""


def command(
    state: State,
    account: Annotated[str | None, typer.Argument(help="Only this account.")] = None,
    as_json: Json = False,
) -> None:
    if not is_terminal():
        story("interlock: a confirmation needs a person at a terminal, and stdin is none; it cannot be piped or scripted. "
              "The page asks too")
        leave(MISUSE)
    with errors_said():
        directory = existing(state)
        status, rows = converse(_asker(directory), _read, story, account)
    if as_json:
        print_json({"accounts": rows})
    if status != FINE:
        leave(status)


def converse(ask: Ask, read: Read, say: Callable[[str], None], only: str | None = None) -> tuple[int, list[dict[str, Any]]]:
    """Show each account that is not confirmed, and have its number typed. The exit status, and how every account stands."""
    shown = _looked(ask, only)
    if shown is None:
        say("no desk runs in this state directory; `interlock run` asks by itself")
        return COULD_NOT, []
    if shown["mode"] != "live":
        say("this desk is on paper; there is nothing to confirm")
        return FOUND, []
    if shown["watch"]:
        say("this desk only watches: it was started without a person or with --watch. Stop it, and start it with both keys")
        return FOUND, []
    for row in shown["accounts"]:
        if not row["confirmed"] and not _confirm(ask, read, say, row["account"]):
            break
    rows: list[dict[str, Any]] = (_looked(ask, only) or {"accounts": []})["accounts"]
    return (FINE if rows and all(row["confirmed"] for row in rows) else FOUND), rows


def _confirm(ask: Ask, read: Read, say: Callable[[str], None], account: str) -> bool:
    """False: the person went away, or declined."""
    for _ in range(TRIES):
        row = _row(ask, account)
        if row is None:
            say(f"{account}: its broker has not answered; look at its line, then run `interlock confirm`")
            return True
        say(_told(row))
        typed = read(f'Type the full account number to trade it live, or "{DECLINE}" to end this desk: ')
        if typed is None or not typed.strip():
            say(f"{account} is not confirmed; its entries stay off. `interlock confirm` asks again")
            return typed is not None
        if typed.strip().lower() == DECLINE:
            ask("decline", who=getpass.getuser())
            return False
        now = _row(ask, account)                       # typing took a while: what is confirmed is what stands there now
        if now is None or now["digest"] != row["digest"]:
            say(f"{account} has changed meanwhile; look again")
            continue
        outcome = ask("confirm", who=getpass.getuser(), account=account, typed=typed.strip(), seen=now["digest"])
        if outcome is not None and outcome.get("ok"):
            say(f"{account} is confirmed, at {_worth(now)}, until this desk ends")
            return True
        say("refused: " + (f"[{outcome['code']}] {outcome['reason']}" if outcome else "the desk has ended"))
    say(f"{account} is not confirmed; its entries stay off. `interlock confirm` asks again")
    return True


def _looked(ask: Ask, only: str | None) -> dict[str, Any] | None:
    found: dict[str, Any] | None = ask("live", account=only)
    return found


def _row(ask: Ask, account: str) -> dict[str, Any] | None:
    """The account as its broker told it within the last seconds."""
    shown = _looked(ask, account)
    rows = [row for row in (shown or {"accounts": []})["accounts"] if row["digest"] is not None and row["age_s"] <= 10]
    return rows[0] if rows else None


def _told(row: Mapping[str, Any]) -> str:
    held = ", ".join(f"{each['quantity']} {each['instrument']}" for each in row["positions"]) or "nothing"
    return f"\nLIVE account {row['account']}: number {row['number']}, {_worth(row)}, holding {held}"


def _worth(row: Mapping[str, Any]) -> str:
    if row["net_liquidation"] is None:
        return f"cash {row['cash']} {row['currency']} (its broker tells no net liquidation)"
    return f"net liquidation {row['net_liquidation']} {row['currency']}, cash {row['cash']}"


def is_terminal() -> bool:
    """Whether a person can be asked here."""
    return sys.stdin.isatty()


def ask_beside(directory: Path) -> None:
    """Ask in this terminal while the desk runs; it does not wait for the answer, and ends with or without one."""
    if is_terminal():
        threading.Thread(target=_beside, args=(directory,), name="confirm", daemon=True).start()


def _beside(directory: Path) -> None:
    try:
        converse(_asker(directory), _read, story)
    except InterlockError as error:
        story(f"interlock: {error}; nothing more is asked here, use `interlock confirm` or the page")


def _asker(directory: Path) -> Ask:
    from interlock.runtime.control import ask

    return lambda name, **fields: ask(directory, name, **fields)


def _read(question: str) -> str | None:
    """A line from the terminal, read past Python's own buffer: a thread that waits in that would hold up the process's end."""
    print(question, end="", file=sys.stderr, flush=True)
    typed = b""
    while not typed.endswith(b"\n"):
        while not select.select([0], [], [], 0.5)[0]:
            continue
        part = os.read(0, 1024)
        if not part:
            return None
        typed += part
    return typed.decode(errors="replace").strip()
