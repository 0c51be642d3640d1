"""The story of a run has a line for each thing that an observer saw, in the order in which it was seen."""

from interlock.simulation import run, trace
from interlock.simulation.history import VenueFill, Wire


def test_a_story_tells_every_order_and_every_fill_once_and_in_order():
    _, history, result = run.replay(3, "merge")
    told = list(trace.story(history))
    times = [float(line.split()[0]) for line in told]
    fills = [event for event in history.events if isinstance(event, VenueFill)]
    placed = [event for event in history.events
              if isinstance(event, Wire) and event.kind == "place" and event.direction == "out" and not event.is_answer]

    assert result.violation is None
    assert times == sorted(times)
    assert fills, "a seed in which something trades"
    assert [sum(fill.execution in line and "venue: fill" in line for line in told) for fill in fills] == [1] * len(fills)
    assert sum(" -> place " in line for line in told) == len(placed)
    assert len(list(trace.story(history, whole=True))) > len(told)
