// The desk as this page knows it: one socket, one snapshot, then changes. Silence makes everything here stale.

import { magnitude } from "./decimal";
import type {
  Account, Alarm, Alert, BarRow, Change, Drill, Feed, Fill, Flattened, Identity, Instrument, Killed, Lane, Message, Order,
  Position, Question, Quote, Said, Snapshot, Truth, Verdict,
} from "./types";

const SILENCE_MAX = 3_500; // ms; the desk speaks at least once a second
const KEPT = { verdicts: 200, alerts: 500, fills: 500, decisions: 500, bars: 1000, closed: 500 };
const GIVE_UP = 8_000; // ms; a socket that is silent for longer is dead, whatever it says of itself
const RETRY = { first: 400, most: 4_000 };

export type Connection = "connecting" | "open" | "lost" | "locked";

function appended<T>(rows: T[], more: T[] | undefined, most: number): T[] {
  return more === undefined ? rows : [...rows, ...more].slice(-most);
}

export class Desk {
  connection = $state<Connection>("connecting");
  heardAt = $state(performance.now());
  clock = $state(performance.now());
  now = $state(0);
  health = $state("starting");
  releasePhrase = $state("");
  identity = $state.raw<Identity>({ mode: "unknown", state_id: "", clock: "", version: "", simulated: false });
  instruments = $state.raw<Instrument[]>([]);
  lanes = $state.raw<Lane[]>([]);
  accounts = $state.raw<Account[]>([]);
  positions = $state.raw<Position[]>([]);
  alarms = $state.raw<Alarm[]>([]);
  killed = $state.raw<Killed[]>([]);
  questions = $state.raw<Question[]>([]);
  flattens = $state.raw<Flattened[]>([]);
  drill = $state.raw<Drill | null>(null);
  feeds = $state.raw<Feed[]>([]);
  quotes = $state.raw<Record<string, Quote>>({});
  orders = $state.raw<Order[]>([]);
  verdicts = $state.raw<Verdict[]>([]);
  alerts = $state.raw<Alert[]>([]);
  fills = $state.raw<Fill[]>([]);
  decisions = $state.raw<Said[]>([]);
  /** Counts up whenever `bars` changed. */
  barsSeen = $state(0);
  bars = new Map<string, BarRow[]>();
  chosen = $state("");

  private seq = -1;
  private wait = RETRY.first;
  private socket: WebSocket | null = null;

  /** ms since the desk was last heard. */
  get silence(): number {
    return Math.max(0, this.clock - this.heardAt);
  }

  get isStale(): boolean {
    return this.connection !== "open" || this.silence > SILENCE_MAX;
  }

  get isLoaded(): boolean {
    return this.now > 0; // reactive, as `seq` is not
  }

  start(): () => void {
    this.connect();
    const ticking = setInterval(() => {
      this.clock = performance.now();
      if (this.silence > GIVE_UP && this.socket?.readyState === WebSocket.OPEN) this.drop(this.socket);
    }, 500);
    const wake = (): void => {
      this.clock = performance.now();
      if (document.visibilityState === "visible" && this.connection === "lost") this.connect();
    };
    document.addEventListener("visibilitychange", wake);
    return () => {
      clearInterval(ticking);
      document.removeEventListener("visibilitychange", wake);
      this.socket?.close();
    };
  }

  /** The label as it may be believed now: a page that hears nothing knows nothing. */
  truthOf(account: Account | undefined): Truth {
    return account === undefined || this.isStale ? "unknown" : account.truth;
  }

  evidenceOf(account: Account): string {
    return this.isStale ? `no word from the desk for ${Math.floor(this.silence / 1000)} s` : account.evidence;
  }

  /** An aggregate: one label where all agree, else mixed. */
  truthOfLane(lane: Lane): Truth | "mixed" {
    const labels = new Set(lane.accounts.map((name) => this.truthOf(this.accounts.find((one) => one.name === name))));
    const [only] = labels;
    return labels.size === 1 && only !== undefined ? only : labels.size === 0 ? "unknown" : "mixed";
  }

  /** Whether the line to this account's broker is lost, as the desk says. */
  isOffline(account: Account): boolean {
    return account.line === "down" || account.line === "connecting";
  }

  get offline(): Account[] {
    return this.accounts.filter((account) => this.isOffline(account));
  }

  isNaked(position: Position): boolean {
    return magnitude(position.quantity) !== position.protected;
  }

  async choose(symbol: string): Promise<void> {
    this.chosen = symbol;
    await this.loadBars(symbol);
  }

  private async loadBars(symbol: string): Promise<void> {
    try {
      const response = await fetch(`/api/bars/${encodeURIComponent(symbol)}`);
      if (!response.ok) return;
      const { bars } = (await response.json()) as { bars: BarRow[] };
      const last = bars.at(-1)?.[0] ?? 0;
      const newer = (this.bars.get(symbol) ?? []).filter((bar) => bar[0] > last);
      this.bars.set(symbol, [...bars, ...newer].slice(-KEPT.bars));
      this.barsSeen += 1;
    } catch {
      // the desk is away: the socket notices, and the next snapshot loads them again
    }
  }

  private connect(): void {
    if (this.socket !== null && this.socket.readyState <= WebSocket.OPEN) return;
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    this.socket = socket;
    socket.onmessage = (event: MessageEvent<string>) => this.hear(JSON.parse(event.data) as Message);
    socket.onclose = () => this.drop(socket);
  }

  private drop(socket: WebSocket): void {
    if (this.socket !== socket) return;
    this.socket = null;
    socket.onmessage = null;
    socket.close();
    if (this.connection !== "locked") this.connection = "lost";
    void this.ask();
    setTimeout(() => this.connect(), this.wait);
    this.wait = Math.min(this.wait * 1.7, RETRY.most);
  }

  /** A refused socket does not say why; the API does. */
  private async ask(): Promise<void> {
    try {
      const response = await fetch("/api/positions");
      if (this.connection !== "open") this.connection = response.status === 401 ? "locked" : "lost";
    } catch {
      if (this.connection !== "open") this.connection = "lost";
    }
  }

  private hear(message: Message): void {
    if (message.type === "resync" || (message.type === "change" && message.seq !== this.seq + 1)) {
      if (this.socket !== null) this.drop(this.socket);
      return;
    }
    this.heardAt = this.clock = performance.now();
    this.seq = message.seq;
    this.now = message.now;
    if (message.type === "snapshot") this.begin(message);
    else this.change(message);
  }

  private begin(message: Snapshot): void {
    this.connection = "open";
    this.wait = RETRY.first;
    this.releasePhrase = message.release_phrase;
    this.quotes = message.quotes;
    this.orders = message.orders;
    this.verdicts = message.verdicts;
    this.alerts = message.alerts;
    this.fills = message.fills;
    this.decisions = message.decisions;
    this.bars.clear();
    this.sections(message);
    const wanted = this.instruments.some((one) => one.symbol === this.chosen) ? this.chosen : this.first();
    if (wanted !== "") void this.choose(wanted);
  }

  private change(message: Change): void {
    this.sections(message);
    if (message.quotes) this.quotes = { ...this.quotes, ...message.quotes };
    if (message.orders) this.orders = mergedOrders(this.orders, message.orders);
    this.verdicts = appended(this.verdicts, message.verdicts, KEPT.verdicts);
    this.alerts = appended(this.alerts, message.alerts, KEPT.alerts);
    this.fills = appended(this.fills, message.fills, KEPT.fills);
    this.decisions = appended(this.decisions, message.decisions, KEPT.decisions);
    if (message.bars) {
      for (const [symbol, rows] of Object.entries(message.bars)) {
        const held = this.bars.get(symbol) ?? [];
        const last = held.at(-1)?.[0] ?? 0; // what was loaded meanwhile may come again
        this.bars.set(symbol, [...held, ...rows.filter((bar) => bar[0] > last)].slice(-KEPT.bars));
      }
      this.barsSeen += 1;
    }
    if (this.chosen === "" && this.first() !== "") void this.choose(this.first());
  }

  private sections(message: Snapshot | Change): void {
    if (message.identity) this.identity = message.identity;
    if (message.instruments) this.instruments = message.instruments;
    if (message.lanes) this.lanes = message.lanes;
    if (message.accounts) this.accounts = message.accounts;
    if (message.positions) this.positions = message.positions;
    if (message.alarms) this.alarms = message.alarms;
    if (message.killed) this.killed = message.killed;
    if (message.questions) this.questions = message.questions;
    if (message.flattens) this.flattens = message.flattens;
    if (message.drill !== undefined) this.drill = message.drill;
    if (message.feeds) this.feeds = message.feeds;
    if (message.health) this.health = message.health.status;
  }

  /** What to show first: an instrument that is held, or the first tab. */
  private first(): string {
    return this.positions[0]?.instrument ?? this.instruments[0]?.symbol ?? "";
  }
}

function mergedOrders(orders: Order[], changed: Order[]): Order[] {
  const merged = new Map(orders.map((order) => [order.client_order_id, order]));
  for (const order of changed) merged.set(order.client_order_id, order);
  let surplus = [...merged.values()].filter((order) => order.state === "closed").length - KEPT.closed;
  for (const [id, order] of merged) {
    if (surplus <= 0) break;
    if (order.state === "closed") {
      merged.delete(id);
      surplus -= 1;
    }
  }
  return [...merged.values()];
}

export const desk = new Desk();
