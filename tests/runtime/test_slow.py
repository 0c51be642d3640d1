"""A check that takes its time is counted each time, and told once."""

from interlock.model.record import Alarm
from interlock.runtime.slow import SlowChecks


def test_each_slow_answer_is_counted_and_the_first_of_a_check_is_told():
    told: list[Alarm] = []
    slow = SlowChecks(told.append)

    for check, nanos in (("guard.9_degradation", 7_000_000), ("guard.9_degradation", 9_000_000), ("order.rate", 5_500_000)):
        slow.slow(check, nanos)

    assert slow.counts == {"guard.9_degradation": 2, "order.rate": 1}
    assert [alarm.key for alarm in told] == ["slow_check.guard.9_degradation", "slow_check.order.rate"]
    assert "7.0 ms" in told[0].text
