"""The small record that SafeBroker reads at each write: kill and config epoch from the journal, the lease from its file."""

from collections.abc import Callable

from interlock.model.clearance import Epochs


class EpochRecord:
    """Kill and config epochs are set the moment the engine has decided, before anything of that turn is written."""

    def __init__(self, *, kill: int, config: int, lease: Callable[[], int]) -> None:
        self.kill = kill
        self.config = config
        self._lease = lease

    def read(self) -> Epochs:
        """Raises StorageError when the lease cannot be read, which refuses the write."""
        return Epochs(kill=self.kill, lease=self._lease(), config=self.config)
