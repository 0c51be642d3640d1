"""Every failure as one tree; each leaf says what the desk does about it.

A refusal (ours) and a reject (the venue's) are values, not exceptions: they belong to ordinary days.
"""


class InterlockError(Exception):
    """Root of every failure that Interlock raises itself."""


class ConfigError(InterlockError):
    """Halt: refuse to start. The message says what was expected and what was found."""


class InputError(InterlockError):
    """Refuse the message (or the file) and record it."""


class MalformedMessage(InputError):
    """Refuse: bytes that do not say what their kind must say."""


class Unsupported(InterlockError):
    """Refuse: this broker cannot express that order."""


class NotCleared(InterlockError):
    """Refuse at the last room before the wire: no valid clearance, or content that differs from it.

    Attributes:
        code: the stable reason code.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class BrokerError(InterlockError):
    """A broker did not do what was asked."""


class NotSent(BrokerError):
    """Certainly never left; may be tried again, through the gate."""


class OutcomeUnknown(BrokerError):
    """It may have arrived. Reconcile; never resend."""


class StorageError(InterlockError):
    """Halt: what we cannot write down we do not do."""


class JournalDamaged(StorageError):
    """Halt: the record is damaged before its end; says where and how to look at it."""


class LeaseHeld(StorageError):
    """Refuse to start: another process holds this state directory."""


class LedgerMismatch(InterlockError):
    """Halt that account until a person has decided."""


class InvariantBroken(InterlockError):
    """Halt: our own mistake."""
