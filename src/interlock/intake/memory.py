"""Which alerts have been accepted, so that a repeat is known as one: by its bytes, its id, or its meaning.

The memory is bounded. What it forgets it still refuses: for each (strategy, symbol, action) it keeps the newest
bar_time it has forgotten, and nothing at or before that can be told from a repeat.
"""

from collections import deque
from typing import Final, TypeAlias

from msgspec import Struct

from interlock.model.ids import LaneName, SignalId
from interlock.model.money import MINUTE, Nanos
from interlock.model.signal import Alert

SAME_BYTES: Final = MINUTE
"""How long equal bytes are taken for a resend."""

_Subject: TypeAlias = tuple[str, str, str, str]


class Original(Struct, frozen=True, array_like=True):
    """One accepted alert, as much of it as a repeat is known by."""

    signal_id: SignalId
    lane: LaneName
    transport_hash: str
    strategy: str
    symbol: str
    action: str
    bar_time: Nanos
    alert_id: str | None
    ts: Nanos

    @property
    def subject(self) -> _Subject:
        return self.lane, self.strategy, self.symbol, self.action


class Recollection(Struct, frozen=True, array_like=True):
    """The memory at rest: originals oldest first, and the newest forgotten bar_time per subject."""

    originals: list[Original]
    forgotten: list[tuple[str, str, str, str, Nanos]]


class Memory:
    """The last `bound` accepted alerts and the three ways of looking one up."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._originals: deque[Original] = deque()
        self._by_bytes: dict[tuple[str, str], Original] = {}
        self._by_id: dict[tuple[str, str, str], Original] = {}
        self._by_meaning: dict[tuple[_Subject, Nanos], Original] = {}
        self._forgotten: dict[_Subject, Nanos] = {}

    def __len__(self) -> int:
        return len(self._originals)

    def add(self, original: Original) -> None:
        self._originals.append(original)
        self._by_bytes[original.lane, original.transport_hash] = original
        self._by_meaning[original.subject, original.bar_time] = original
        if original.alert_id is not None:
            self._by_id[original.lane, original.strategy, original.alert_id] = original
        while len(self._originals) > self._bound:
            self._forget(self._originals.popleft())

    def same_bytes(self, lane: LaneName, transport_hash: str, ts: Nanos) -> SignalId | None:
        """The alert accepted from these bytes no more than a minute ago."""
        original = self._by_bytes.get((lane, transport_hash))
        return original.signal_id if original is not None and ts - original.ts <= SAME_BYTES else None

    def same_id(self, lane: LaneName, alert: Alert) -> SignalId | None:
        if alert.alert_id is None:
            return None
        original = self._by_id.get((lane, alert.strategy, alert.alert_id))
        return None if original is None else original.signal_id

    def same_meaning(self, lane: LaneName, alert: Alert) -> SignalId | None:
        original = self._by_meaning.get((_subject(lane, alert), alert.bar_time))
        return None if original is None else original.signal_id

    def is_beyond(self, lane: LaneName, alert: Alert) -> bool:
        """Whether the alert's bar lies where accepted alerts have been forgotten."""
        forgotten = self._forgotten.get(_subject(lane, alert))
        return forgotten is not None and alert.bar_time <= forgotten

    def recollect(self) -> Recollection:
        return Recollection(list(self._originals), [(*subject, ts) for subject, ts in self._forgotten.items()])

    def recall(self, kept: Recollection) -> None:
        """Be as the memory was that `kept` came from; a smaller bound forgets what it cannot hold."""
        for index in (self._originals, self._by_bytes, self._by_id, self._by_meaning):
            index.clear()
        self._forgotten = {(lane, strategy, symbol, action): bar_time
                           for lane, strategy, symbol, action, bar_time in kept.forgotten}
        for original in kept.originals:
            self.add(original)

    def _forget(self, original: Original) -> None:
        if self._by_bytes.get((original.lane, original.transport_hash)) is original:
            del self._by_bytes[original.lane, original.transport_hash]
        if original.alert_id is not None:
            self._by_id.pop((original.lane, original.strategy, original.alert_id), None)
        self._by_meaning.pop((original.subject, original.bar_time), None)
        self._forgotten[original.subject] = max(original.bar_time, self._forgotten.get(original.subject, 0))


def _subject(lane: LaneName, alert: Alert) -> _Subject:
    return lane, alert.strategy, alert.symbol, alert.action.value
