"""A pytest plugin that hears which reason codes the product really gives while a test runs.

It listens at the doors through which a reason leaves a room, never at the place where it is made: the gate's answers,
SafeBroker's refusals, the journal, the answers of hook, page and commands. A code that a test merely spells is not heard.
"""

import functools
import importlib
import inspect
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

SEAMS = (
    "interlock.gate.judge:ask",
    "interlock.gate.judge:Refused",
    "interlock.brokers.safe:SafeBroker.place",
    "interlock.brokers.safe:SafeBroker.cancel",
    "interlock.storage.journal:Journal.append",
    "interlock.intake.hook:_say",
    "interlock.intake.perimeter:Perimeter._refusal",
    "interlock.intake.stage:Intake.react",
    "interlock.engine.step:Engine.step",
    "interlock.engine.step:Engine.outcome",
    "interlock.engine.commands:answer",
    "interlock.decisions.alerts.convert:convert",
    "interlock.decisions.stage:Decisions.decide",
    "interlock.execution.stage:Execution.react",
    "interlock.routing.stage:Routing.route",
    "interlock.runtime.inbox:CommandDoor.submit",
    "interlock.runtime.commands:give",
    "interlock.rescue.gate:judge",
    "interlock.rescue.run:rescue",
    "starlette.responses:JSONResponse.render",
    "interlock.web.app:Json.render",
)
"""module:name. A door that a later build no longer has is a failure of the plugin, not silence."""

OUT = "INTERLOCK_CODES_HEARD"
"""Where the plugin leaves what it heard: {test: {"codes": [...], "seconds": ...}}."""

_SPELLED = re.compile(r"(?:(?<=\[)|(?<=frozen: )|(?<=; ))[a-z_]+(?:\.[a-z_]+)*(?=[\]:])")
"""A code in a sentence: "[code] why", and the reasons of a freeze, "code: why; code: why"."""

_heard: set[str] = set()


def codes_in(value: Any, depth: int = 0) -> Iterator[str]:
    """Every reason code that an answer holds."""
    if isinstance(value, int | float | bytes) or value is None or depth > 4:
        return
    if isinstance(value, str):
        yield from _SPELLED.findall(value)
    elif isinstance(value, BaseException):
        yield from (each for each in [getattr(value, "code", None)] if isinstance(each, str))
        yield from _SPELLED.findall(str(value))
    elif isinstance(value, dict):
        for name, each in value.items():
            if name in ("code", "refused") and isinstance(each, str):
                yield each
            else:
                yield from codes_in(each, depth + 1)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from codes_in(each, depth + 1)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            each = getattr(value, name)
            if name == "code" and isinstance(each, str):
                yield each
            elif name in ("answers", "result", "verdict", "sized", "reason"):
                yield from codes_in(each, depth + 1)
            elif name == "key" and isinstance(each, str):
                yield each.partition(".")[0]            # of an alarm
    elif hasattr(value, "code") and isinstance(value.code, str):
        yield value.code


def hear(value: Any) -> Any:
    _heard.update(codes_in(value))
    return value


def _listening(call: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(call):
        @functools.wraps(call)
        async def waits(*args: Any, **more: Any) -> Any:
            hear(args[1:])
            try:
                return hear(await call(*args, **more))
            except Exception as error:
                hear(error)
                raise
        return waits

    @functools.wraps(call)
    def answers(*args: Any, **more: Any) -> Any:
        try:
            answer = call(*args, **more)
        except Exception as error:
            hear(error)
            raise
        if inspect.isgenerator(answer):
            return (hear(each) for each in answer)
        hear(args[1:])                                  # what is written down or sent says so in its arguments
        hear(more)
        if isinstance(answer, bytes) and answer[:1] in b"{[":
            try:
                hear(msgspec.json.decode(answer))
            except msgspec.DecodeError:
                return answer
        return hear(answer)
    return answers


def pytest_configure(config: pytest.Config) -> None:
    for seam in SEAMS:
        module_name, _, path = seam.partition(":")
        place: Any = importlib.import_module(module_name)
        *outer, name = path.split(".")
        for each in outer:
            place = getattr(place, each)
        found = getattr(place, name)
        if inspect.isclass(found):
            def made(*args: Any, _found: Any = found, **more: Any) -> Any:
                return hear(_found(*args, **more))

            setattr(place, name, made)
        else:
            setattr(place, name, _listening(found))
            for other in _importers(found):
                setattr(other, name, getattr(place, name))


def _importers(found: Any) -> list[Any]:
    """Modules that have imported a function by its name."""
    import sys

    return [module for key, module in list(sys.modules.items())
            if key.startswith("interlock.") and getattr(module, found.__name__, None) is found]


_told: dict[str, dict[str, Any]] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    _heard.clear()
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        _told[report.nodeid] = {"passed": report.passed, "codes": sorted(_heard), "seconds": round(report.duration, 3)}


def pytest_sessionfinish() -> None:
    Path(os.environ[OUT]).write_text(json.dumps(_told))


# -- the table: which test brings about which code

TABLE = Path(__file__).with_name("provocations.json")


def by_function(told: dict[str, dict[str, Any]]) -> dict[str, tuple[set[str], float]]:
    """Test function -> the codes that it (with all its rows) was heard to bring about, and how long it took. A function with a
    failing row brings about nothing."""
    found: dict[str, tuple[set[str], float]] = {}
    failed = {node.partition("[")[0] for node, each in told.items() if not each["passed"]}
    for node, each in told.items():
        name = node.partition("[")[0]
        if name not in failed:
            codes, seconds = found.get(name, (set(), 0.0))
            found[name] = codes | set(each["codes"]), seconds + each["seconds"]
    return found


def chosen(told: dict[str, dict[str, Any]], wanted: list[str], kept: dict[str, str]) -> dict[str, str]:
    """For each code the test that is in the table already, else one that is run anyhow, else the quickest."""
    functions = by_function(told)
    table = {code: name for code, name in kept.items() if code in wanted}
    for code in wanted:
        if code in table:
            continue
        able = [name for name, (codes, _) in functions.items() if code in codes]
        taken = [name for name in able if name in table.values()]
        if able:
            table[code] = min(taken or able, key=lambda name: functions[name][1])
    return dict(sorted(table.items()))


def main() -> None:
    """Run the given tests and enter what they bring about: `python -m tests.house.recorder tests/gate tests/brokers`."""
    import subprocess
    import sys
    import tempfile

    from interlock.records import catalogue

    with tempfile.TemporaryDirectory() as folder:
        heard = Path(folder) / "heard.json"
        subprocess.run([sys.executable, "-m", "pytest", *sys.argv[1:], "-q", "-p", "no:cacheprovider", "-n0", "-p",
                        "tests.house.recorder"], env=os.environ | {OUT: str(heard)}, check=False)
        told = json.loads(heard.read_text())
    wanted = [code.code for code in catalogue()]
    table = chosen(told, wanted, json.loads(TABLE.read_text()) if TABLE.exists() else {})
    TABLE.write_text(json.dumps(table, indent=1) + "\n")
    print("without a provocation:", *(code for code in wanted if code not in table), sep="\n  ")


if __name__ == "__main__":
    main()
