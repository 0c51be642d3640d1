"""`interlock-kill` from end to end: the fence, the journal, the note for the next start, the brokers, the answer."""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from interlock import __version__
from interlock.brokers.paper.remote import RemotePaper
from interlock.brokers.paper.talk import FLATTEN
from interlock.brokers.safe import AccountFacts, SafeBroker
from interlock.config import build, secrets
from interlock.config.load import load
from interlock.config.schema import Config
from interlock.errors import ConfigError, InputError, JournalDamaged, StorageError
from interlock.gate.clearance import Signer
from interlock.model.command import CommandGiven, Flatten, Kill
from interlock.model.ids import AccountName
from interlock.model.money import plain
from interlock.model.order import Profile
from interlock.model.record import Started, Stopped
from interlock.records import build_digest
from interlock.rescue.act import AccountResult, Act, Connected, Why
from interlock.rescue.fence import HOLDER, Fence, take
from interlock.rescue.record import RescueRecord, beside, open_record
from interlock.runtime import rescued
from interlock.runtime.connect import capabilities

INSIDE: Final = Why("rescue.venue_inside", "the paper venue of this account lives inside the engine: while that hangs it stands "
                                           "still, and nothing can be asked of it")


class UnknownAccount(InputError):
    """Refuse: the configuration has no such account."""

    code = "rescue.account_unknown"


class Wish(Struct, frozen=True, kw_only=True):
    """What a person asked for."""

    who: str
    why: str = "by hand"
    accounts: tuple[str, ...] = ()     # empty: all
    cancels_all: bool = False          # protective stops and targets too
    flattens: bool = False
    confirmed: tuple[str, ...] = ()    # accounts named with --yes-flatten
    journal: Path | None = None


Confirm = Callable[[Sequence[AccountResult]], Mapping[AccountName, str]]
"""Shows what would be closed; account and account id of what a person has confirmed with the words that were shown."""
Say = Callable[[str], None]


def rescue(directory: Path, wish: Wish, *, confirm: Confirm, say: Say) -> dict[str, Any]:
    """Do it; the answer as docs/rescue.md describes it. Raises ConfigError, InputError for what cannot be begun at all."""
    config = load(directory).config
    unknown = [name for name in (*wish.accounts, *wish.confirmed) if name not in config.accounts]
    if unknown:
        raise UnknownAccount(f"[rescue.account_unknown] no account is called {', '.join(unknown)}; "
                             f"there are {', '.join(config.accounts)}")
    where = wish.journal or beside(directory)
    fence, why_no_fence = _fenced(directory, say)
    record, why_no_record = _recorded(where, directory, say)
    signer = Signer(profiles=(Profile.FLATTEN,))
    try:
        if record is not None:
            record.write(
                Started(build_digest(), __version__, fence.epoch if fence else 0, signer.public_hex(), was_clean=True),
                CommandGiven(Kill(why=wish.why, scope="all" if wish.cancels_all else "risk"), wish.who, HOLDER, time.time_ns()))
        _leave_note(directory, wish, fence, say)
        results = _run(_at_brokers(config, directory, where, wish, fence, record, signer, confirm, say))
        if record is not None:
            record.write(Stopped("done"))
    finally:
        if record is not None:
            record.close()
        if fence is not None:
            _released(fence, say)
    return _answer(results, wish, fence, record, [why for why in (why_no_fence, why_no_record) if why])


def status_of(answer: Mapping[str, Any]) -> int:
    """The exit status: 0 all that was asked is proven, 1 something is left, 3 something is not known or was not possible."""
    rows = answer["accounts"]
    if answer["epoch"] is None or answer["journal"] is None:
        return 3
    if any(row["account_id"] is None or row["result"] == "unknown" for row in rows):
        return 3
    return 0 if all(row["clean"] and row["result"] in (None, "flat") for row in rows) else 1


def _fenced(directory: Path, say: Say) -> tuple[Fence | None, Why | None]:
    try:
        fence = take(directory)
    except StorageError as error:
        say(f"[rescue.no_fence] {error}; cancels go on, nothing is closed")
        return None, Why("rescue.no_fence", str(error))
    say(f"lease taken at epoch {fence.epoch}"
        + ("; the engine that held it can write nothing any more" if fence.was_held else ""))
    return fence, None


def _recorded(where: Path, directory: Path, say: Say) -> tuple[RescueRecord | None, Why | None]:
    try:
        record = open_record(where, directory)
    except (StorageError, JournalDamaged) as error:
        say(f"[rescue.no_journal] {error}; cancels go on, nothing is closed")
        return None, Why("rescue.no_journal", str(error))
    say(f"journal: {record.path}")
    return record, None


def _leave_note(directory: Path, wish: Wish, fence: Fence | None, say: Say) -> None:
    try:
        rescued.leave(directory, rescued.Note(wish.who, wish.why, time.time_ns(), fence.epoch if fence else 0))
    except StorageError as error:
        say(f"the next start will not know of this: {error}; give `interlock kill` before it")


def _released(fence: Fence, say: Say) -> None:
    try:
        fence.release()
    except StorageError as error:
        say(f"the lease could not be given back and runs out by itself: {error}")


def _run(work: Any) -> Any:
    if sys.platform != "win32":
        import uvloop

        return uvloop.run(work)
    return asyncio.run(work)


async def _at_brokers(config: Config, directory: Path, where: Path, wish: Wish, fence: Fence | None, record: RescueRecord | None,
                      signer: Signer, confirm: Confirm, say: Say) -> list[AccountResult]:
    known = secrets.load(directory) | secrets.load(where)
    results: list[AccountResult] = []
    connected, venues = list[Connected](), list[RemotePaper]()
    for name, section in config.brokers.items():
        accounts = tuple(AccountName(account) for account, entry in config.accounts.items()
                         if entry.broker == name and (not wish.accounts or account in wish.accounts))
        if not accounts:
            continue
        if section.kind == "paper":
            results += [AccountResult(account, name, why=[INSIDE], result="unknown" if wish.flattens else None)
                        for account in accounts]
            continue
        try:
            token = secrets.require(known, section.rescue_token, f"brokers.{name}.rescue_token")
        except ConfigError as error:
            results += [AccountResult(account, name, why=[Why("rescue.unreachable", str(error))]) for account in accounts]
            continue
        offered = capabilities(section)
        venue = RemotePaper(config.table(), accounts, host=section.host, port=section.port, token=token.reveal(),
                            capabilities=offered, timeout=section.timeout_ms / 1000)
        safe = SafeBroker(venue.broker, keys=signer.public_keys(), state_id=record.state_id if record else "", now=time.time_ns,
                          epochs=fence or _Unfenced(), instruments=config.table(),
                          limits={account: build.limits(config.accounts[account]) for account in accounts},
                          accounts={account: AccountFacts(is_paper=venue.is_simulator, mode=config.desk.mode,
                                                          account_id=config.accounts[account].number or None)
                                    for account in accounts})
        venues.append(venue)
        connected.append(Connected(name, accounts, safe, offered.visibility_delay / 1e9))
    await asyncio.gather(*(venue.open() for venue in venues))
    for venue in venues:
        if venue.line.welcome is not None and venue.line.welcome.session != FLATTEN:
            say("the rescue's credential may do more than cancel and flatten: give it the flatten-only one")
    act = Act(connected, config.table(), fence=fence, record=record, signer=signer, cancels_all=wish.cancels_all, who=wish.who)
    keeping = asyncio.get_running_loop().create_task(fence.keep()) if fence is not None else None
    try:
        await act.cancel()
        if wish.flattens:
            await _flatten(act, wish, record, confirm)
    finally:
        if keeping is not None:
            keeping.cancel()
        for venue in venues:
            venue.close()
    return [*act.results.values(), *results]


async def _flatten(act: Act, wish: Wish, record: RescueRecord | None, confirm: Confirm) -> None:
    """What was named on the command line is confirmed; for the rest a person is asked, in a thread: the lease goes on."""
    known = [result for result in act.results.values() if result.account_id is not None]
    if wish.confirmed:
        shown = {result.account: str(result.account_id) for result in known if result.account in wish.confirmed}
    else:
        shown = dict(await asyncio.to_thread(confirm, [result for result in known if result.positions]))
        for result in known:
            if result.positions and result.account not in shown:
                result.why.append(Why("rescue.not_confirmed", "nothing was closed"))
    for result in act.results.values():
        if result.account_id is None:
            result.result = "unknown"
        elif result.account not in shown and not wish.confirmed:
            result.result = "residual" if result.positions else "flat"
    if record is not None and shown:
        record.write(*(CommandGiven(Flatten(why=wish.why, account=account, seen=shown_id), wish.who, HOLDER, time.time_ns())
                       for account, shown_id in shown.items()))
    await act.flatten(shown)


class _Unfenced:
    """No lease is ours: whatever would be written is refused."""

    def read(self) -> Any:
        raise StorageError("the lease could not be taken")


def _answer(results: Sequence[AccountResult], wish: Wish, fence: Fence | None, record: RescueRecord | None, why: list[Why]
            ) -> dict[str, Any]:
    return {
        "who": wish.who, "epoch": None if fence is None else fence.epoch,
        "engine_was_holding": fence is not None and fence.was_held,
        "journal": None if record is None else str(record.path),
        "why": [{"code": each.code, "reason": each.reason} for each in why],
        "accounts": [{
            "account": result.account, "broker": result.broker, "account_id": result.account_id, "cancelled": result.cancelled,
            "left": result.left, "clean": result.is_clean,
            "positions": [{"instrument": held.instrument, "quantity": plain(held.quantity)} for held in result.positions],
            "notional": None if result.notional is None else plain(result.notional), "result": result.result,
            "why": [{"code": each.code, "reason": each.reason} for each in result.why]} for result in results]}
