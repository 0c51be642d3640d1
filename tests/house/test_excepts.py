"""Nothing is swallowed: every handler re-raises, answers with a value, or stands here with its reason."""

import ast
from collections.abc import Iterator

import pytest
from tests.house.repository import relative, scoped, sources, tree_of

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
    ("simulation/nodes.py", "SimRemote.open", "ConnectFailed"): "told as a line that is down",
    ("simulation/world.py", "World.run", "Stuck"): "a violation of its own",
    ("simulation/world.py", "_reconnect", "ConnectFailed"): "somebody will try again",
    ("simulation/loop.py", "SimLoop.run_in_executor.work", "Exception"): "whoever waits for the work is told",
    ("cli/run.py", "command", "ValueError"): "zero stands for no number and is refused by the next line",
    ("engine/step.py", "Engine.restore", "(InputError, KeyError)"):
        "a part of a snapshot that another configuration wrote is left out and named in the notes; it warms anew",
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
    ("storage/mirror.py", "Mirror.add", "OSError"): "returned in words; a mirror may fall behind and never stops the desk",
    ("storage/mirror.py", "Mirror.catch_up", "OSError"): "returned in words",
    ("storage/mirror.py", "Mirror.catch_up", "msgspec.DecodeError"): "returned in words",
}

BROAD: dict[Handler, str] = {
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


def found() -> Iterator[tuple[Handler, ast.ExceptHandler]]:
    for path in sources():
        for scope, handler in handlers(tree_of(path)):
            yield (relative(path), scope, caught(handler)), handler


def test_every_handler_raises_answers_or_has_a_reason():
    unexplained = [place for place, handler in found() if not answers(handler.body) and place not in ANSWERS_OTHERWISE]

    assert not unexplained, "raise, return a refusal, or name the reason here"


def test_everything_is_caught_at_few_places_only():
    assert {place for place, handler in found() if is_broad(handler)} == set(BROAD)


def test_no_reason_outlives_its_handler():
    assert set(ANSWERS_OTHERWISE) <= {place for place, _ in found()}


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
