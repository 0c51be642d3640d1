"""Nothing is swallowed and nothing is degraded in silence: every handler re-raises, returns (or hands on) a refusal, or names a
registered fallback. The others read, look up or tell, and stand here with their reason."""

import ast
from collections.abc import Iterator

import pytest
from tests.house.repository import relative, scoped, sources, tree_of

from interlock.model.fallbacks import FALLBACKS

Handler = tuple[str, str, str]
"""File, function, and the exception as it is written."""

ANSWERS_OTHERWISE: dict[Handler, str] = {
    ("brokers/paper/adapter.py", "PaperBroker.ping", "(ConnectFailed, AnswerLost, MalformedMessage)"):
        "an account that gives no proof is left out of the list of proofs; the gate then refuses it for want of one",
    ("cli/confirm.py", "_beside", "InterlockError"): "said to the person; the desk goes on, and asks elsewhere too",
    ("config/schema.py", "Release.ts", "ValueError"): "what cannot be read is refused two lines below",
    ("brokers/paper/port.py", "_Session._greet", "(msgspec.DecodeError, UnicodeEncodeError)"):
        "a hello that cannot be read names no credential, and is refused three lines below",
    ("brokers/paper/remote.py", "SocketBroker.ping", "(ConnectFailed, AnswerLost)"):
        "the line has told that it is down; an account without proof is left out, and the gate refuses it for want of one",
    ("brokers/paper/remote.py", "RemotePaper.open", "ConnectFailed"): "told as a line that is down; entries stay off",
    ("brokers/paper/socket.py", "SocketLine._read", "BlockingIOError"): "everything that has arrived is read",
    ("cli/shown.py", "decided", "InputError"): "raised, unless the state moved: then it is said and the person is shown it anew",
    ("cli/watchdog.py", "command", "KeyboardInterrupt"): "the person ends it; its exit status says how the desk stood",
    ("config/schema.py", "PaperDefinition.ts_of", "ValueError"): "no time is refused by the next line",
    ("rescue/act.py", "Act._everywhere.one", "InterlockError"): "said for that account; the others go on",
    ("rescue/act.py", "Act._ask", "(NotCleared, NotSent, OutcomeUnknown)"): "said; the broker's list shows what is left",
    ("rescue/act.py", "Act._place", "OutcomeUnknown"): "recorded as unknown; the order is looked up and never repeated",
    ("rescue/act.py", "Act._note", "StorageError"): "said; without its journal the rescue closes nothing more",
    ("rescue/fence.py", "take", "StorageError"): "tried once more with the room of the reserve, or raised",
    ("rescue/record.py", "open_record", "StorageError"): "tried once more with the room of the reserve, or raised",
    ("rescue/run.py", "_leave_note", "StorageError"): "said, with what to do before the next start",
    ("rescue/run.py", "_released", "StorageError"): "said; the lease runs out by itself",
    ("rescue/run.py", "_at_brokers", "ConfigError"): "said for the accounts of that broker; the others go on",
    ("runtime/desk.py", "Desk._reconnect", "InterlockError"): "reported to the engine as a line that is down",
    ("runtime/venue.py", "VenueProcess._move", "TimeoutError"): "the time has come; the loop does what is due",
    ("simulation/disk.py", "SimStore._sync", "OSError"): "raised, unless the planted defect of a second try is switched on",
    ("simulation/net.py", "Net.receive", "BlockingIOError"): "waits until something has arrived",
    ("simulation/nodes.py", "Engines._live", "LeaseHeld"): "recorded: the simulated process ends",
    ("simulation/nodes.py", "Engines._live", "StorageError"): "recorded: the simulated process ends",
    ("simulation/nodes.py", "Engines._live", "(JournalDamaged, StorageError, InterlockError)"): "recorded: it refuses to start",
    ("simulation/nodes.py", "Engines._serve", "InterlockError"): "named in the reason for which the simulated process ended",
    ("simulation/nodes.py", "Engines._serve", "StorageError"): "named in the reason for which the simulated process ended",
    ("simulation/nodes.py", "Engines.command", "InterlockError"): "recorded as the answer that the person was given",
    ("simulation/oracles/orders.py", "readable", "Unreadable"): "no message of an order; the oracle of payloads judges it",
    ("simulation/run.py", "run_seeds", "Exception"): "a broken run is a failed seed of the report",
    ("simulation/world.py", "World.run", "Stuck"): "a violation of its own",
    ("simulation/world.py", "_reconnect", "ConnectFailed"): "somebody will try again",
    ("simulation/loop.py", "SimLoop.run_in_executor.work", "Exception"): "whoever waits for the work is told",
    ("cli/run.py", "command", "ValueError"): "zero stands for no number and is refused by the next line",
    ("feeds/recorded/clean.py", "_times_of_text", "pa.ArrowInvalid"): "the next spelling is tried; what fits none has no time",
    ("feeds/recorded/clean.py", "numbers", "pa.ArrowInvalid"): "the column is read cell by cell instead",
    ("feeds/recorded/clean.py", "numbers", "ValueError"): "the cell is marked as no number and its row is dropped and counted",
    ("feeds/recorded/source.py", "CsvSource.chunks", "self._failures"): "raises, unless the piece is merely empty",
    ("intake/body.py", "read_body", "_Repeated"): "the problem is named and refused at the end of the function",
    ("intake/hook.py", "Hook._take", "TimeoutError"): "answered as 503",
    ("intake/hook.py", "Hook._take", "InterlockError"): "answered as 503",
    ("runtime/commands.py", "give", "LeaseHeld"): "tried again a bounded number of times, then raised",
    ("runtime/control.py", "ControlServer._answer", "(ValueError, TypeError, KeyError)"): "answered as an error two lines below",
    ("runtime/desk.py", "Desk._place", "NotCleared"): "reported to the engine as a refused write",
    ("runtime/desk.py", "Desk._place", "NotSent"): "reported to the engine as a write that did not leave",
    ("runtime/desk.py", "Desk._place", "OutcomeUnknown"): "reported to the engine: the order is in doubt",
    ("runtime/desk.py", "Desk._place", "Exception"): "the top of the runtime: the order is in doubt",
    ("runtime/desk.py", "Desk._cancel", "NotCleared"): "reported to the engine as a refused cancel",
    ("runtime/desk.py", "Desk._cancel", "(NotSent, OutcomeUnknown)"): "reported to the engine",
    ("runtime/desk.py", "Desk._lookup", "InterlockError"): "reported to the engine",
    ("runtime/desk.py", "Desk._read", "InterlockError"): "reported to the engine as a failed read",
    ("runtime/environment.py", "problems", "ConfigError"): "becomes a line of the answer",
    ("runtime/wiring.py", "local_key", "FileExistsError"): "the key was made at an earlier start and is read below",
    ("storage/audit.py", "_verify", "JournalDamaged"): "damage is the answer of a verification",
}

REFUSALS = {"Refuse", "Refusal", "StrategyDisabled", "WriteRefused", "WriteUnknown", "CancelRejected", "ReadFailed",
            "LineChanged", "Failed", "_refusal", "_Broke"}
"""What is no to whoever asked: a check's refusal, a report that nothing left or that nothing is known, an error answer."""

DEGRADES: dict[Handler, str] = {
    ("engine/step.py", "unpack", "(msgspec.DecodeError, msgspec.ValidationError)"): "snapshot.unreadable",
    ("rescue/act.py", "Act._note", "StorageError"): "rescue.without_journal",
    ("rescue/fence.py", "take", "StorageError"): "reserve.spent",
    ("rescue/record.py", "open_record", "StorageError"): "reserve.spent",
    ("rescue/run.py", "_fenced", "StorageError"): "rescue.without_fence",
    ("rescue/run.py", "_recorded", "(StorageError, JournalDamaged)"): "rescue.without_journal",
    ("rescue/run.py", "_leave_note", "StorageError"): "rescue.without_note",
    ("runtime/commands.py", "_append", "StorageError"): "reserve.spent",
}
"""Handlers whose fallback is taken elsewhere: by the caller, or by a process that has no record to name it in and says it to the
person instead. The registered name of each."""

READS: dict[Handler, str] = {
    ("brokers/paper/port.py", "_Session._take", "msgspec.DecodeError"): "query: the line is ended; its client is told by that",
    ("brokers/paper/remote.py", "SocketBroker._proven", "MalformedMessage"): "parsing: no proof, which the gate refuses",
    ("brokers/paper/socket.py", "SocketLine._read", "OSError"): "query: the line is down, and that is told",
    ("brokers/paper/socket.py", "SocketLine._take_lines", "msgspec.DecodeError"): "parsing: the line is ended, and that is told",
    ("brokers/paper/wire.py", "_Pause.__await__", "RuntimeError"): "query: no event loop; the driver waits by hand",
    ("cli/shown.py", "decided", "InputError"): "query: the person looks again, and decides on that",
    ("engine/vitals.py", "Vitals.degraded", "ArithmeticError"): "parsing: a record that is no number is a missing reading",
    ("feeds/recorded/clean.py", "_times_of_text.is_a", "pa.ArrowInvalid"): "parsing: it is not of this spelling",
    ("feeds/recorded/clean.py", "numbers", "pa.ArrowNotImplementedError"): "parsing: no cell is a number; the rows are dropped",
    ("intake/body.py", "read_body", "UnicodeDecodeError"): "parsing: a body with its problem, which the first gate refuses",
    ("intake/body.py", "read_body", "(ValueError, RecursionError)"): "parsing: a body with its problem, which is refused",
    ("intake/body.py", "read_body", "_TooDeep"): "parsing: a body with its problem, which the first gate refuses",
    ("intake/hook.py", "Hook._take", "TooLarge"): "query: answered as 413",
    ("intake/message.py", "read_alert", "Unreadable"): "parsing: returns the refusal that it carries",
    ("intake/message.py", "_nanos", "ValueError"): "parsing: it is no time of this spelling",
    ("rescue/act.py", "Act._place", "NotCleared"): "query: said and recorded as a refused write",
    ("rescue/act.py", "Act._place", "NotSent"): "query: said and recorded as a write that did not leave",
    ("rescue/fence.py", "_take", "LeaseHeld"): "query: who hangs is overruled, which is what the rescue is for",
    ("rescue/watchdog.py", "look", "StorageError"): "query: what cannot be read counts as silence",
    ("rescue/watchdog.py", "_look_at_beat", "FileNotFoundError"): "query: nothing has beaten yet",
    ("rescue/watchdog.py", "_look_at_beat", "(OSError, msgspec.DecodeError)"): "query: what cannot be read counts as silence",
    ("rescue/watchdog.py", "notify", "(OSError, ValueError, subprocess.TimeoutExpired)"): "query: said in words",
    ("runtime/control.py", "ControlServer._serve", "(TimeoutError, ConnectionError, ValueError)"): "query: the caller has gone",
    ("runtime/control.py", "ControlServer._answer", "InterlockError"): "query: answered as an error",
    ("runtime/control.py", "ask", "(ConnectionRefusedError, FileNotFoundError)"): "query: no engine runs",
    ("runtime/drill.py", "_is_ready", "(OSError, http.client.HTTPException)"): "query: not ready",
    ("runtime/drill.py", "_why_not", "InterlockError"): "query: why not, in words",
    ("runtime/environment.py", "is_taken", "OSError"): "query: somebody listens there",
    ("runtime/inbox.py", "Inbox.wait", "TimeoutError"): "query: nothing arrived in that time",
    ("runtime/inbox.py", "writable", "UnicodeEncodeError"): "parsing: the same command, spelled so that it can be written",
    ("runtime/live.py", "_terminal", "OSError"): "query: there is no terminal",
    ("runtime/live.py", "_text_of", "OSError"): "query: the machine does not tell",
    ("runtime/live.py", "LiveDoor._fresh", "TimeoutError"): "query: what is shown is as old as it says",
    ("runtime/venue.py", "token", "FileExistsError"): "query: the token was made at an earlier start",
    ("runtime/venue.py", "_last_port", "(OSError, ValueError, KeyError, TypeError)"): "parsing: no port is known",
    ("storage/audit.py", "verify", "JournalDamaged"): "query: damage is the answer of a verification",
    ("storage/audit.py", "_claimed", "JournalDamaged"): "parsing: it claims nothing",
    ("storage/audit.py", "_copy_batches", "JournalDamaged"): "query: damage is the answer of a repair",
    ("storage/committer.py", "Committer._try", "StorageError"): "query: handed to whoever waits, and raised there",
    ("storage/journal.py", "open_journal", "JournalDamaged"): "query: a torn tail is cut and reported, any other damage raised",
    ("storage/lease.py", "read_record", "FileNotFoundError"): "query: it was never leased",
    ("storage/lease.py", "_is_locked", "BlockingIOError"): "query: somebody else has it",
    ("storage/reserve.py", "Reserve.is_full", "FileNotFoundError"): "query: there is none",
    ("storage/sqlite/wal.py", "torn_bytes", "FileNotFoundError"): "query: there is no tail",
    ("web/app.py", "_read", "OSError"): "query: the page was not built; the answer says what to run",
    ("web/auth.py", "Entrance.knows", "CookieError"): "parsing: not known, which refuses",
    ("web/auth.py", "is_same_origin", "ValueError"): "parsing: another origin, which refuses",
    ("web/serve.py", "page_token", "FileExistsError"): "query: the token was made at an earlier start",
    ("web/socket.py", "Pages._tell", "(WebSocketDisconnect, TimeoutError, RuntimeError)"): "query: the page has gone",
}
"""Handlers that return a value which is no refusal: they parse or look something up. Each reason says which."""

SIMULATED = "simulation/"
"""The simulator plays the world that fails; nothing of the desk is degraded there."""

BROAD: dict[Handler, str] = {
    ("simulation/run.py", "run_seeds", "Exception"): "a broken run is a failed seed, and the others go on",
    ("simulation/loop.py", "SimLoop.run_in_executor.work", "Exception"): "whoever waits for the work is told",
    ("gate/judge.py", "_attempt", "Exception"): "a size or an order that breaks is a closed gate",
    ("gate/judge.py", "ask", "Exception"): "a check that breaks is a closed gate",
    ("decisions/stage.py", "_ask", "Exception"): "a strategy that breaks is disabled, and the desk goes on",
    ("runtime/desk.py", "Desk._place", "Exception"): "the top of the runtime: whatever broke, the order may have left",
    ("runtime/desk.py", "Desk.turn", "Exception"): "halts the desk and raises: half a turn is no record",
    ("brokers/safe.py", "SafeBroker.place", "Exception"): "a check of SafeBroker that breaks refuses the write",
    ("storage/sqlite/connection.py", "open_writer", "BaseException"): "closes the connection and raises",
    ("storage/sqlite/connection.py", "open_reader", "BaseException"): "closes the connection and raises",
}


def handlers(tree: ast.AST) -> Iterator[tuple[str, ast.ExceptHandler]]:
    for scope, node in scoped(tree):
        if isinstance(node, ast.ExceptHandler):
            yield scope, node


def caught(handler: ast.ExceptHandler) -> str:
    return ast.unparse(handler.type) if handler.type else "everything"


def is_broad(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or any(isinstance(node, ast.Name) and node.id in ("Exception", "BaseException")
                                       for node in ast.walk(handler.type))


def answers(body: list[ast.stmt]) -> bool:
    """Whether every way through ends in raise, in return or in a value that is yielded."""
    match body[-1]:
        case ast.Raise() | ast.Return() | ast.Expr(value=ast.Yield() | ast.YieldFrom()):
            return True
        case ast.If(body=then, orelse=otherwise):
            return answers(then) and bool(otherwise) and answers(otherwise)
        case ast.With(body=inner):
            return answers(inner)
        case ast.Match(cases=cases):
            return all(answers(case.body) for case in cases)
    return False


def called(node: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for each in ast.walk(node):
        if isinstance(each, ast.Call):
            yield each.func.id if isinstance(each.func, ast.Name) else getattr(each.func, "attr", ""), each


def is_refusal(value: ast.expr | None) -> bool:
    return value is not None and any(name in REFUSALS for name, _ in called(value))


def refuses(body: list[ast.stmt]) -> bool:
    """Whether every way through ends in raise, or hands on a refusal."""
    match body[-1]:
        case ast.Raise():
            return True
        case ast.Return(value=value) | ast.Expr(value=ast.Yield(value=value)):
            return is_refusal(value)
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="put")) as put):
            return is_refusal(put)
        case ast.If(body=then, orelse=otherwise):
            return refuses(then) and bool(otherwise) and refuses(otherwise)
        case ast.With(body=inner):
            return refuses(inner)
        case ast.Match(cases=cases):
            return all(refuses(case.body) for case in cases)
    return False


def fallbacks_in(node: ast.AST) -> list[str]:
    """The registered names by which `fallback` is called in there."""
    return [call.args[0].value for name, call in called(node)
            if name == "fallback" and call.args and isinstance(call.args[0], ast.Constant)
            and isinstance(call.args[0].value, str)]


def found() -> Iterator[tuple[Handler, ast.ExceptHandler]]:
    for path in sources():
        for scope, handler in handlers(tree_of(path)):
            yield (relative(path), scope, caught(handler)), handler


def test_every_handler_raises_answers_or_has_a_reason():
    unexplained = [place for place, handler in found()
                   if not answers(handler.body) and not fallbacks_in(handler) and place not in {**ANSWERS_OTHERWISE, **DEGRADES}]

    assert not unexplained, "raise, return a refusal, name a registered fallback, or give the reason here"


def test_every_handler_raises_refuses_or_names_a_fallback():
    known = {**ANSWERS_OTHERWISE, **DEGRADES, **READS}
    unexplained = [place for place, handler in found()
                   if not place[0].startswith(SIMULATED) and place not in known
                   and not refuses(handler.body) and not fallbacks_in(handler)]

    assert not unexplained, "what parses or looks something up stands in READS; what degrades calls `fallback`"


def test_every_fallback_is_registered_and_taken_somewhere():
    taken = {name for path in sources() for name in fallbacks_in(tree_of(path))} | set(DEGRADES.values())

    assert taken == set(FALLBACKS)


def test_no_fallback_is_taken_in_silence():
    """A call of `fallback` is part of something: the record that it makes is handed up."""
    silent = [f"{relative(path)}:{node.lineno}" for path in sources() for node in ast.walk(tree_of(path))
              if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and fallbacks_in(node) and
              getattr(node.value.func, "id", "") == "fallback"]

    assert not silent


def test_every_reason_says_that_it_parses_or_looks_something_up():
    assert not [place for place, reason in READS.items() if not reason.startswith(("parsing: ", "query: "))]


def test_everything_is_caught_at_few_places_only():
    assert {place for place, handler in found() if is_broad(handler)} == set(BROAD)


def test_no_reason_outlives_its_handler():
    places = {place for place, _ in found()}

    assert not {place for place in (*ANSWERS_OTHERWISE, *DEGRADES, *READS) if place not in places}


@pytest.mark.parametrize("body", ["raise Other from e", "return Refuse('a', 'b')", "self.inbox.put(WriteUnknown(1))",
                                  "if a:\n        raise\n    else:\n        return frames.encode(Failed(1))"])
def test_a_refusal_is_recognised(body):
    (_, handler), = handlers(ast.parse(f"try:\n    f()\nexcept ValueError as e:\n    {body}"))

    assert refuses(handler.body)


@pytest.mark.parametrize("body", ["return None", "return 0", "return cached", "put(Allow())", "if a:\n        raise",
                                  "return Allow()"])
def test_a_second_best_answer_is_no_refusal(body):
    (_, handler), = handlers(ast.parse(f"try:\n    f()\nexcept ValueError as e:\n    {body}"))

    assert not refuses(handler.body)


@pytest.mark.parametrize("body", ["raise Other from e", "return None", "if a:\n        return 1\n    else:\n        raise"])
def test_an_answer_is_recognised(body):
    (_, handler), = handlers(ast.parse(f"try:\n    f()\nexcept ValueError as e:\n    {body}"))

    assert answers(handler.body)


@pytest.mark.parametrize("body", ["pass", "log(e)", "x = 1", "if a:\n        return 1", "return_later()"])
def test_swallowing_is_recognised(body):
    (_, handler), = handlers(ast.parse(f"try:\n    f()\nexcept ValueError as e:\n    {body}"))

    assert not answers(handler.body)


@pytest.mark.parametrize("clause", ["except:", "except Exception:", "except (OSError, BaseException):"])
def test_catching_everything_is_recognised(clause):
    (_, handler), = handlers(ast.parse(f"try:\n    f()\n{clause}\n    raise"))

    assert is_broad(handler)
