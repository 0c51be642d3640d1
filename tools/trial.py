"""Tries mutants: which tests reach them, and whether one of those fails. See `tools.mutate`."""

import ast
import contextlib
import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import io
import json
import os
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, Final

from tools.mutants import Mutant, text_of, tree_of

SURVIVED, NOTICED, UNSERVED, BROKEN = 0, 1, 3, 4
MEMORY: Final = 16 << 30
PATIENCE_S: Final = 20.0
"""Beside ten times what the tests took: a change that loops for ever is noticed too."""


@dataclass(frozen=True)
class Target:
    """Modules (or folders) below the source root, and the tests that must notice a change of theirs."""

    changed: tuple[str, ...]
    tests: tuple[str, ...]
    leave_out: tuple[str, ...] = ()


@dataclass
class Outcome:
    """By which test each mutant was noticed, tests that fail anyway, and mutants of modules that no test imports."""

    noticed_by: dict[str, str] = field(default_factory=dict)
    set_aside: list[str] = field(default_factory=list)
    never_served: list[str] = field(default_factory=list)


def trial(root: Path, source: Path, tests: Sequence[str], mutants: Sequence[Mutant], workers: int) -> Outcome:
    """Try every mutant, and say by which test it was noticed."""
    for name in ("numpy", "msgspec", "hypothesis", "hypothesis.stateful", "pytest"):     # what no target is part of
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        session = _Session(source, mutants, workers, Path(folder))
        in_parallel([("session", 3600.0, lambda: _pytest(root, tests, [session]))], 1, Path(folder), is_limited=False)
        found = json.loads((Path(folder) / "session.json").read_text())
        outcome.noticed_by, outcome.set_aside = found["noticed_by"], found["set_aside"]
        served = [mutant for mutant in mutants if mutant.key in set(found["to_serve"])]
        jobs = [(mutant.key, PATIENCE_S + 10 * found["seconds"], _server(root, source, mutant, tests, found["set_aside"]))
                for mutant in served]
        for key, status, by in in_parallel(jobs, workers, Path(folder)):
            if status == NOTICED:
                outcome.noticed_by[key] = by
            elif status == UNSERVED:
                outcome.never_served.append(key)
    return outcome


# -- processes

Job = tuple[str, float, Callable[[], int]]


def in_parallel(jobs: Iterable[Job], workers: int, folder: Path, *, is_limited: bool = True) -> Iterator[tuple[str, int, str]]:
    """Run each job in a forked process; yields its name, its status and what it wrote beside."""
    return iter(list(_in_parallel(jobs, workers, folder, is_limited)))


def _in_parallel(jobs: Iterable[Job], workers: int, folder: Path, is_limited: bool) -> Iterator[tuple[str, int, str]]:
    waiting, running = iter(jobs), dict[int, tuple[str, float, Path]]()
    is_done = False
    while not is_done or running:
        while not is_done and len(running) < workers:
            job = next(waiting, None)
            if job is None:
                is_done = True
                break
            place = Path(tempfile.mkdtemp(dir=folder))
            running[_forked(job[2], place, is_limited)] = job[0], time.monotonic() + job[1], place
        for child, (name, until, place) in tuple(running.items()):
            done, status = os.waitpid(child, os.WNOHANG)
            if not done and time.monotonic() > until:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                done, status = child, 9
            if done:
                del running[child]
                said = (place / "said").read_text() if (place / "said").exists() else "it did not end or broke the process"
                code = os.waitstatus_to_exitcode(status)
                if code == BROKEN:
                    raise RuntimeError(f"the trial of {name} broke:\n{said}")
                yield name, code if code in (SURVIVED, UNSERVED) else NOTICED, said
        time.sleep(0.004)


def _forked(run: Callable[[], int], place: Path, is_limited: bool) -> int:
    child = os.fork()
    if child:
        return child
    status = BROKEN
    try:
        os.setsid()
        if is_limited:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(place)
        _Say.place = place
        status = run()
    except MemoryError:
        status = NOTICED
    except BaseException:  # noqa: BLE001
        (place / "said").write_text(traceback.format_exc())
    finally:
        os._exit(status)


class _Say:
    place: Path

    @classmethod
    def text(cls, text: str) -> None:
        (cls.place / "said").write_text(text)


def _pytest(root: Path, tests: Sequence[str], plugins: Sequence[object]) -> int:
    """pytest without its own terminal, and hypothesis without chance, memory, deadlines and shrinking."""
    import pytest
    from hypothesis import HealthCheck, Phase, settings

    settings.register_profile("mutants", deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate],
                              suppress_health_check=list(HealthCheck))
    settings.load_profile("mutants")
    os.chdir(root)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        status = int(pytest.main([
            "-o", "addopts=", "--import-mode=importlib", "-s", "-p", "no:terminal", "-p", "no:cacheprovider",
            "-p", "no:faulthandler", "-p", "_hypothesis_pytestplugin", *tests], plugins=list(plugins)))
    if status in (3, 4, 5):
        raise RuntimeError(f"pytest ended with {status}\n{text.getvalue()}")
    return status


class _Stop:
    """Hears the reports; at the first failure the process is done."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.is_stopping = True

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed.append(report.nodeid)
            if self.is_stopping:
                _Say.text(report.nodeid)
                os._exit(NOTICED)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            _Say.text(f"{report.nodeid} (cannot be imported)" if self.is_stopping else str(report.longrepr))
            os._exit(NOTICED if self.is_stopping else BROKEN)


def _run(items: Sequence[Any]) -> None:
    for item, following in zip(items, (*items, None)[1:], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)


# -- one session: collected once, forked for each mutant

class _Session(_Stop):
    def __init__(self, source: Path, mutants: Sequence[Mutant], workers: int, folder: Path) -> None:
        super().__init__()
        self.is_stopping = False
        self._source, self._mutants, self._workers, self._folder = source, mutants, workers, folder
        self._lines = _Lines({str(source / mutant.path) for mutant in mutants})
        self._lines.start()

    def pytest_runtestloop(self, session: Any) -> bool:
        at_import = self._lines.stop()
        items = list(session.items)
        ((_, status, said),) = in_parallel([("without a change", 1800.0, lambda: self._baseline(items))], 1, self._folder)
        if status != SURVIVED:
            raise RuntimeError(f"the run without a change: {said}")
        told = json.loads(said)
        set_aside, seconds, reached = set(told["failed"]), told["seconds"], told["reached"]
        by_line: dict[tuple[str, int], set[int]] = defaultdict(set)
        for number, lines in enumerate(reached):
            for file, line in lines:
                by_line[file, line].add(number)
        functions = _functions(self._source, {mutant.path for mutant in self._mutants})
        to_serve: list[str] = []
        jobs: list[Job] = []
        for mutant in self._mutants:
            file = str(self._source / mutant.path)
            pairs = _exchanged(self._source, mutant, functions)
            if pairs is None or any((file, line) in at_import for _, code in pairs for line in _span(code)):
                to_serve.append(mutant.key)
                continue
            chosen = {number for line in range(mutant.first, mutant.last + 1) for number in by_line[file, line]}
            if not chosen:
                chosen = {number for _, code in pairs for line in _span(code) for number in by_line[file, line]}
            ordered = sorted((number for number in chosen if items[number].nodeid not in set_aside), key=seconds.__getitem__)
            jobs.append((mutant.key, PATIENCE_S + 10 * sum(seconds[number] for number in ordered),
                         self._trial(pairs, [items[number] for number in ordered])))
        gc.freeze()
        noticed = {key: by for key, status, by in in_parallel(jobs, self._workers, self._folder) if status == NOTICED}
        (self._folder / "session.json").write_text(json.dumps({
            "noticed_by": noticed, "set_aside": sorted(set_aside), "to_serve": to_serve, "seconds": sum(seconds)}))
        return True

    def _baseline(self, items: Sequence[Any]) -> int:
        """Every test twice: watched, for the lines it reaches, and not watched."""
        seconds, reached = [], []
        for item, following in zip(items, (*items, None)[1:], strict=True):
            self._lines.start()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            reached.append(self._lines.stop())
        for item, following in zip(items, (*items, None)[1:], strict=True):
            began = time.monotonic()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            seconds.append(time.monotonic() - began)
        # What a fixture does for the first test of a file, it does for all of them.
        shared: dict[str, set[tuple[str, int]]] = defaultdict(set)
        for item, lines in zip(items, reached, strict=True):
            if any(scopes[-1].scope != "function" for scopes in item._fixtureinfo.name2fixturedefs.values()):
                shared[item.location[0]] |= lines
        _Say.text(json.dumps({"failed": sorted(set(self.failed)), "seconds": seconds, "reached": [
            sorted(lines | shared[item.location[0]] if item.location[0] in shared else lines)
            for item, lines in zip(items, reached, strict=True)]}))
        return SURVIVED

    def _trial(self, pairs: Sequence[tuple[FunctionType, CodeType]], items: Sequence[Any]) -> Callable[[], int]:
        def run() -> int:
            for function, code in pairs:
                function.__code__ = code
            self.is_stopping = True
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                _run(items)
            return SURVIVED
        return run


class _Lines:
    """Which lines of some files are run through."""

    def __init__(self, files: set[str]) -> None:
        self._files = files
        self._seen: set[tuple[str, int]] = set()

    def start(self) -> None:
        self._seen = set()
        threading.settrace(self._called)
        sys.settrace(self._called)

    def stop(self) -> set[tuple[str, int]]:
        sys.settrace(None)
        threading.settrace(None)
        return self._seen

    def _called(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._line(frame, event, argument) if frame.f_code.co_filename in self._files else None

    def _line(self, frame: FrameType, _: str, __: object) -> Any:
        self._seen.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


# -- a function's code replaced

def _functions(source: Path, paths: set[str]) -> dict[tuple[str, str, int], list[FunctionType]]:
    """The functions of the modules that are changed, wherever they are held."""
    files = {str(source / path) for path in paths}
    found: dict[tuple[str, str, int], list[FunctionType]] = defaultdict(list)
    for each in gc.get_objects():
        if type(each) is FunctionType and each.__code__.co_filename in files:
            found[each.__code__.co_filename, each.__qualname__, each.__code__.co_firstlineno].append(each)
    return found


def _exchanged(source: Path, mutant: Mutant, functions: dict[tuple[str, str, int], list[FunctionType]]
               ) -> list[tuple[FunctionType, CodeType]] | None:
    """What gets which code; None where the change is not one inside functions that are there already."""
    file = str(source / mutant.path)
    plain = compile(ast.parse(text_of(source, mutant.path)), file, "exec", dont_inherit=True)
    pairs = _differing(plain, compile(tree_of(source, mutant), file, "exec", dont_inherit=True))
    if not pairs:
        return None
    exchanged = []
    for before, after in pairs:
        held = [each for each in functions.get((file, before.co_qualname, before.co_firstlineno), ()) if each.__code__ == before]
        if not held or before.co_freevars != after.co_freevars:
            return None
        exchanged += [(each, after) for each in held]
    return exchanged


def _differing(before: CodeType, after: CodeType) -> list[tuple[CodeType, CodeType]] | None:
    """The functions that differ; None where what stands outside of any differs."""
    if before == after:
        return []
    if before.co_flags & inspect.CO_OPTIMIZED:
        return [(before, after)]
    if before.co_code != after.co_code or before.co_names != after.co_names or len(before.co_consts) != len(after.co_consts):
        return None
    pairs: list[tuple[CodeType, CodeType]] = []
    for old, new in zip(before.co_consts, after.co_consts, strict=True):
        if isinstance(old, CodeType) and isinstance(new, CodeType):
            inner = _differing(old, new)
            if inner is None:
                return None
            pairs += inner
        elif (type(old), old) != (type(new), new):
            return None
    return pairs


def _span(code: CodeType) -> set[int]:
    """Lines of the body, without the head that an import runs through."""
    return {line for _, _, line in code.co_lines() if line is not None and line > code.co_firstlineno}


# -- a module served in place of its file

def _server(root: Path, source: Path, mutant: Mutant, tests: Sequence[str], set_aside: Sequence[str]) -> Callable[[], int]:
    def run() -> int:
        served = _Served(source, mutant)
        sys.meta_path.insert(0, served)
        _pytest(root, tests, [_Leaving(set(set_aside))])
        return SURVIVED if served.is_loaded else UNSERVED
    return run


class _Leaving(_Stop):
    def __init__(self, set_aside: set[str]) -> None:
        super().__init__()
        self._set_aside = set_aside

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [item for item in items if item.nodeid not in self._set_aside]


class _Served(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, source: Path, mutant: Mutant) -> None:
        self._module = mutant.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        self._path, self._tree = source / mutant.path, tree_of(source, mutant)
        self.is_loaded = False

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name != self._module:
            return None
        return importlib.util.spec_from_loader(name, self, origin=str(self._path), is_package=self._path.name == "__init__.py")

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self._path)
        self.is_loaded = True
        exec(compile(self._tree, str(self._path), "exec", dont_inherit=True), module.__dict__)
