"""The paper broker with its venue behind a socket: a process of its own, which goes on when this one does not."""

from collections.abc import Callable, Collection, Mapping

from interlock.brokers.paper import frames, translate
from interlock.brokers.paper.adapter import PaperBroker
from interlock.brokers.paper.frames import PingFrame, Pong
from interlock.brokers.paper.socket import SILENCE_S, SocketLine
from interlock.brokers.paper.talk import Welcome
from interlock.brokers.paper.translate import LIVE
from interlock.brokers.paper.wire import AnswerLost, ConnectFailed
from interlock.errors import ConfigError, MalformedMessage
from interlock.model.ids import AccountName
from interlock.model.instrument import Instrument
from interlock.model.market import Proof
from interlock.model.money import Nanos
from interlock.model.report import LineChanged, ReadFailed, Report
from interlock.ports import Capabilities


class SocketBroker(PaperBroker):
    """The adapter over a socket. Pings are sent at one call and proven by a later one."""

    def __init__(self, line: SocketLine, instruments: Mapping[str, Instrument], accounts: tuple[AccountName, ...],
                 capabilities: Capabilities, defined: Collection[str] | None, wake: Callable[[], None]) -> None:
        super().__init__(line, instruments, accounts, capabilities, defined)
        self._socket = line
        self._wake_desk = wake
        self._proofs: list[Proof] = []

    def ping(self, ts: Nanos) -> list[Proof]:
        """The proofs that came since the last call, each with the time at which it was asked for; and ask again."""
        if self._socket.is_up:
            for account in self._accounts:
                try:
                    self._socket.ping(frames.encode(PingFrame(account)), lambda body, account=account:  # type: ignore[misc]
                                      self._proven(body, account, ts))
                except (ConnectFailed, AnswerLost):
                    break                          # the line is down, and that was told
        proofs, self._proofs = self._proofs, []
        return proofs

    def _proven(self, body: bytes, account: AccountName, ts: Nanos) -> None:
        try:
            answer = translate.answer(body)
        except MalformedMessage:
            return                                 # no proof: what depends on it goes stale by itself
        if isinstance(answer, Pong) and answer.account == account:
            self._proofs.append(Proof(account, answer.sequence, ts, answer.ts))


    def _decode(self, item: bytes | LineChanged) -> Report:
        """An event that cannot be read shows that something is not known; it does not end the stream."""
        try:
            return super()._decode(item)
        except MalformedMessage as error:
            return ReadFailed(self._accounts[0], f"an event could not be read: {error}")

    def _wake(self) -> None:
        super()._wake()
        self._wake_desk()


class RemotePaper:
    """`broker` is the door; `open` and `ping` are for whoever drives the desk. It has no time of its own to move.

    Args:
        token: what the venue gave for a session (`trade.token` or `flatten.token` in its state directory).
        wake: called when something has arrived.
        is_live_expected: whether the venue must call its environment live; None takes either.
    """

    is_simulator = True

    def __init__(self, instruments: Mapping[str, Instrument], accounts: tuple[AccountName, ...], *, host: str, port: int,
                 token: str, capabilities: Capabilities, timeout: float, wake: Callable[[], None] = lambda: None,
                 defined: Collection[str] | None = None, is_live_expected: bool | None = None,
                 silence: float = SILENCE_S) -> None:
        self.accounts = accounts
        self._is_live_expected = is_live_expected
        self.line = SocketLine(host, port, token, timeout=timeout, silence=silence, check=self._check)
        self.broker = SocketBroker(self.line, instruments, accounts, capabilities, defined, wake)
        self.ping = self.broker.ping

    async def open(self) -> None:
        """Connect. A venue that cannot be reached is a line that is down; one of the other kind raises ConfigError."""
        try:
            await self.line.reconnect()
        except ConnectFailed as error:
            if str(error) in (PAPER_AT_LIVE, LIVE_AT_PAPER):
                raise ConfigError(str(error)) from error
            self.broker.tell_line(False, str(error))

    def close(self) -> None:
        self.line.close()

    def _check(self, welcome: Welcome) -> str:
        is_live = welcome.environment == LIVE
        if self._is_live_expected is None or is_live is self._is_live_expected:
            return ""
        return PAPER_AT_LIVE if is_live else LIVE_AT_PAPER


PAPER_AT_LIVE = "a paper configuration points at a venue that calls its environment live; give desk.mode or the venue another"
LIVE_AT_PAPER = "a live configuration points at a venue that calls its environment paper; give desk.mode or the venue another"
