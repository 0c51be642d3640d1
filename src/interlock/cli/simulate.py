"""`interlock simulate`: attack the platform with seeded faults, and say what held."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.answer import FOUND, Json, errors_said, leave, print_json, story
from interlock.errors import InputError

HELP = """Run the platform against seeded faults, and judge every run by what must always be true.

Each seed is one run: prices, alerts, people and faults are drawn from it, the real stages run, and oracles that share no
code with them read only the wire, the disk and the venue's own ledger. Exit 1 when something was violated.

Example: interlock simulate --seeds 500
"""


def command(
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 200,
    first: Annotated[int, typer.Option("--from", min=0, help="The first of them.")] = 0,
    profile: Annotated[str, typer.Option(help="What is drawn: smoke, merge, nightly, liveness, quiet or long.")] = "merge",
    scale: Annotated[str, typer.Option(help="What is simulated: core, world or both.")] = "core",
    seed: Annotated[int | None, typer.Option(min=0, help="Run this one alone.")] = None,
    plan: Annotated[Path | None, typer.Option(help="Run a stored plan instead of a seed's.", exists=True, dir_okay=False)] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Tell the one run as a story, a line for each thing.")] = False,
    whole: Annotated[bool, typer.Option("--whole", help="With --trace: quotes, reads and ticks too.")] = False,
    keep: Annotated[Path | None, typer.Option(help="Shrink a run that fails and store its plan in this directory.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Worker processes; as many as processors if not given.")] = None,
    as_json: Json = False,
) -> None:
    with errors_said():
        from interlock.simulation import plans, run

        if profile not in plans.PROFILES:
            raise InputError(f"there are the profiles {', '.join(plans.PROFILES)}; found {profile!r}")
        if scale not in run.SCALES:
            raise InputError(f"there are the scales {', '.join(run.SCALES)}; found {scale!r}")
        if profile == "long" and scale != "world":
            raise InputError(f"the profile long runs whole processes: give it --scale world; found {scale!r}")
        if seed is not None or plan is not None:
            _one(seed or 0, profile, scale, plan, keep, is_traced=trace and not as_json, is_whole=whole, as_json=as_json)
            return

        def progress(done: int, tally: run.Tally) -> None:
            if sys.stderr.isatty():
                print(f"\r{done} of {seeds} seeds, {len(tally.failed)} violations", end="", file=sys.stderr, flush=True)
                if done >= seeds:
                    story("")

        tally = run.run_many(seeds, first=first, profile=profile, scale=scale, processes=processes, progress=progress)
    if as_json:
        print_json(tally.as_json())
    else:
        for line in run.report(tally):
            print(line)
    if tally.failed:
        leave(FOUND)


def _one(seed: int, profile: str, scale: str, stored: Path | None, keep: Path | None, *, is_traced: bool, is_whole: bool,
         as_json: bool) -> None:
    from interlock.simulation import plans, run, shrink
    from interlock.simulation import trace as traces

    given = None if stored is None else plans.decode(stored.read_bytes())
    chosen, history, result = run.replay(seed, profile, "core" if scale == "both" else scale, plan=given)
    found = result.violation
    if is_traced:
        for line in traces.story(history, whole=is_whole):
            print(line)
    if as_json:
        print_json({"seeds": 1, "violations": [] if found is None else [{"seed": chosen.seed, "invariant": found.invariant}],
                    "witnesses": {name: result.witnesses.get(name, 0) for name in sorted(result.witnesses)}, "seconds": 0.0})
    else:
        said = "nothing violated" if found is None else f"{found.invariant}: {found.text}"
        print(f"seed {chosen.seed} ({chosen.profile}, {chosen.mode}, {chosen.scene}): {said}; {result.steps} steps, "
              f"digest {result.digest[:16]}")
    if found is None:
        return
    if keep is not None:
        smaller = shrink.shrink(chosen, run.judge)
        if smaller is not None:
            path = shrink.keep(smaller, keep, f"{found.invariant.lower()}-{chosen.seed}")
            story(f"{path}: {len(smaller.plan.faults)} faults, {len(smaller.plan.work)} acts, after {smaller.runs} runs")
    leave(FOUND)
