"""People, as they are: they act on what was on their screen, click twice, contradict each other, type the wrong thing, are away.

What a person is shown is what the engine would show; what they do is recorded as an act with the digest they saw. In
liveness mode, and when a run comes to rest, they come back and answer what is open.
"""

from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from interlock.model.command import (
    RELEASE_PHRASE,
    Command,
    CommandGiven,
    Decide,
    DisableAccount,
    Enable,
    Flatten,
    Kill,
    Reconcile,
    Reconnect,
    Release,
)
from interlock.model.ids import AccountName, LaneName
from interlock.model.money import SECOND, Nanos
from interlock.model.signal import AlertAccepted, AlertReceived
from interlock.simulation import scenes
from interlock.simulation.history import Act, Shown, Signal
from interlock.simulation.plans import Value, Work

if TYPE_CHECKING:
    from interlock.simulation.core import Process, Run

MILLISECOND = 1_000_000


class People:
    """Everybody outside: who sends alerts, who watches the screen, who trades by hand."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._shown: dict[str, tuple[str, Nanos]] = {}     # question -> digest on the screen, and since when
        self._alerts: list[tuple[str, dict[str, Any]]] = []
        self._numbers = 0
        self._is_back = False

    # -- the plan's workload

    def do(self, work: Work) -> None:
        run, args = self._run, work.args
        match work.kind:
            case "price":
                market = run.markets[str(args["symbol"])]
                market.ticks = scenes.BASE[market.symbol] + int(args["ticks"])
                market.spread, market.size = int(args.get("spread", 1)), int(args.get("size", 40))
                run._quote(market.symbol)
            case "state":
                run._halt(str(args["symbol"]), bool(args.get("halted", False)))
            case "mute":
                run.markets[str(args["symbol"])].muted_until = run.now + int(args.get("for_ns", SECOND))
            case "alert":
                self._alert(args)
            case "person.kill":
                self.kill(args)
            case "person.manual_trade":
                run.venue.trade_by_hand(str(args["account"]), str(args["symbol"]), Fraction(int(args["quantity"])), run.now)
            case "person.cancel_stop":
                run.venue.cancel_stop_by_hand(str(args["account"]), run.now)
            case "person.move_stop":
                run.venue.move_stop_by_hand(str(args["account"]), Fraction(int(args["ticks"]), 4), run.now)
            case _:
                self._person(work.kind, args)

    def kill(self, args: dict[str, Value]) -> None:
        lane, account = _name(args, "lane"), _name(args, "account")
        self._command(Kill("simulated", None if lane is None else LaneName(lane),
                           None if account is None else AccountName(account), str(args.get("scope", "risk"))), args)

    def _person(self, kind: str, args: dict[str, Value]) -> None:
        account = _name(args, "account")
        name = None if account is None else AccountName(account)
        lane = _name(args, "lane")
        command: Command
        match kind:
            case "person.release":
                seen = self._digest("kill.", args)
                command = Release(str(args.get("phrase", RELEASE_PHRASE)), None if lane is None else LaneName(lane), name, seen)
            case "person.decide":
                question = str(args.get("question", f"drift.{account}"))
                command = Decide(question, str(args.get("answer", "adopt-broker")), self._digest(question, args))
            case "person.reconnect":
                command = Reconnect(AccountName(account or "alfa"), self._digest(f"line.{account}", args))
            case "person.enable":
                latch = str(args["latch"])
                command = Enable(latch, self._digest(latch, args))
            case "person.flatten":
                command = Flatten("simulated", name, _name(args, "instrument"), self._flatten_digest(account, args))
            case "person.reconcile":
                command = Reconcile(name)
            case "person.disable":
                command = DisableAccount(AccountName(account or "alfa"), "simulated")
            case _:
                raise KeyError(f"nobody knows how to {kind}")
        self._command(command, args)

    def _command(self, command: Command, args: dict[str, Value]) -> None:
        for each in range(1 + int(args.get("again", 0))):
            self._run.at(self._run.now + each * int(args.get("again_ms", 80)) * MILLISECOND,
                         lambda: self._give(command, str(args.get("who", "ann"))))

    def _give(self, command: Command, who: str) -> None:
        run = self._run
        process = run.process
        run._operate("command")
        if process is None or process.is_dead:
            return
        seen = str(getattr(command, "seen", ""))

        def answered(value: Any, error: Exception | None) -> None:
            is_ok = error is None and isinstance(value, dict) and "refused" not in value
            run.record(Act(ts=run.now, who=who, command=command, seen=seen, answer=repr(value or error), ok=is_ok))

        run.record(Act(ts=run.now, who=who, command=command, seen=seen))

        def give() -> None:
            from interlock.runtime.inbox import Item
            from interlock.simulation.core import Reply
            reply: Any = Reply(answered)
            process.inbox.items.appendleft(Item(CommandGiven(command, who, "cli", 0), reply))

        process.do(give)

    # -- alerts

    def _alert(self, args: dict[str, Value]) -> None:
        run = self._run
        lane, index = str(args["lane"]), int(args.get("row", 0))
        strategy, script, symbol = scenes.STRATEGIES[lane][index]
        market, contract = run.markets[symbol], run.terms.contracts[symbol]
        action = str(args["action"])
        sign = -1 if action == "sell" else 1
        price = (market.ticks + int(args.get("off", 0))) * contract.tick
        stop = price - sign * int(args.get("stop", 8)) * contract.tick
        target = price + sign * int(args.get("target", 12)) * contract.tick
        self._numbers += 1
        sent = datetime.fromtimestamp((run.now - int(args.get("late_ms", 0)) * MILLISECOND) / 1e9, tz=UTC)
        body: dict[str, Any] = {
            "strategy": strategy, "action": action, "symbol": symbol, "source_symbol": f"{symbol}1!", "script_id": script,
            "secret": "s", "price": _text(price), "stop": _text(stop),
            "bar_time": sent.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "sent_time": sent.strftime("%Y-%m-%dT%H:%M:%SZ")}
        if args.get("target", 12):
            body["target"] = _text(target)
        times = 1 + int(args.get("repeat", 0))
        for fault in run._operate("signal"):
            run._struck(fault)
            if fault.verb == "signal.duplicate":
                times += int(fault.args.get("times", 1))
            elif fault.verb == "signal.burst":
                for each in range(int(fault.args.get("times", 3))):
                    self._numbers += 1
                    other = dict(body, id=f"burst{self._numbers}",
                                 bar_time=_later(sent, each + 1))
                    self._post(lane, other)
        for each in range(times):
            run.at(run.now + each * 120 * MILLISECOND, lambda: self._post(lane, body))

    def replay_alerts(self) -> None:
        """The signal source tells its history again."""
        for lane, body in tuple(self._alerts):
            self._post(lane, body, remember=False)

    def _post(self, lane: str, body: dict[str, Any], *, remember: bool = True) -> None:
        run = self._run
        process = run.process
        if remember:
            self._alerts.append((lane, body))
        if process is None or process.is_dead:
            return
        hidden = dict(body, secret="[secret]")
        digest = _hash(lane, body)

        def answered(value: Any, error: Exception | None) -> None:
            code = "unwritten" if error is not None else "accepted" if isinstance(value, AlertAccepted) else \
                str(getattr(value, "code", value))
            run.record(Signal(ts=run.now, lane=lane, body=hidden, code=code))

        def give() -> None:
            from interlock.runtime.inbox import Item
            from interlock.simulation.core import Reply
            received = AlertReceived(lane=LaneName(lane), body=hidden, length=200, transport_hash=digest, has_secret=True,
                                     is_secret_right=True, ts_recv=run.now)
            reply: Any = Reply(answered)
            process.inbox.items.append(Item(received, reply))

        process.do(give)

    # -- what is on the screen

    def _questions(self, process: "Process") -> tuple[Any, ...]:
        try:
            from interlock.engine.questions import questions
        except ImportError:
            return ()
        return tuple(questions(process.engine))

    def look(self) -> None:
        """The screen is read: what is open now is what people know."""
        run = self._run
        if run.process is None or run.process.is_dead:
            return
        for question in self._questions(run.process):
            known = self._shown.get(question.id)
            if known is None or known[0] != question.digest:
                self._shown[question.id] = question.digest, run.now
                run.record(Shown(ts=run.now, what="question", key=question.id, text=question.digest))

    def _digest(self, question: str, args: dict[str, Value]) -> str:
        """The digest that the person has before their eyes; with `stale`, of what they looked at earlier."""
        if not args.get("stale"):
            self.look()
        found = [digest for name, (digest, _) in self._shown.items() if name.startswith(question)]
        return found[-1] if found else str(args.get("seen", ""))

    def _flatten_digest(self, account: str | None, args: dict[str, Value]) -> str:
        process = self._run.process
        if process is None or process.is_dead:
            return ""
        try:
            from interlock.engine.questions import digest_of, positions_state
        except ImportError:
            return ""
        name = None if account is None else AccountName(account)
        return str(digest_of(positions_state(process.engine, name, _name(args, "instrument"))))

    # -- coming back

    def come_back(self) -> None:
        """From now on somebody is there: lines are opened again, and what is open is answered."""
        if self._is_back:
            return
        self._is_back = True
        self._attend()

    def _attend(self) -> None:
        run = self._run
        process = run.process
        if process is not None and not process.is_dead:
            if not process.line.is_up:
                self._open_line(process)
            for question in self._questions(process):
                if question.id.startswith("line.") or not question.answers or question.id.startswith("kill."):
                    continue
                if question.id.startswith("drift."):
                    self._command(Decide(question.id, "adopt-broker", question.digest), {})
                else:
                    self._command(Enable(question.id, question.digest), {})
        run.at(run.now + 4 * SECOND, self._attend)

    def _open_line(self, process: "Process") -> None:
        asked = [question for question in self._questions(process) if question.id.startswith("line.")]
        if asked:
            for question in asked:
                self._command(Reconnect(AccountName(question.id.partition(".")[2]), question.digest), {})
        else:
            process.do(process.line.connect)


def _name(args: dict[str, Value], key: str) -> str | None:
    value = args.get(key)
    return None if value is None or value == "" else str(value)


def _text(value: Fraction) -> str:
    from interlock.simulation.venue import text
    return text(value)


def _later(sent: datetime, steps: int) -> str:
    from datetime import timedelta
    return (sent + timedelta(microseconds=steps)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _hash(lane: str, body: dict[str, Any]) -> str:
    import hashlib
    return hashlib.sha256(repr((lane, sorted(body.items()))).encode()).hexdigest()
