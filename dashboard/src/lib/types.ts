// What the server sends (src/interlock/runtime/board.py). Prices, quantities and money are decimal strings; times are
// nanoseconds of the engine clock, read as numbers: good to a microsecond, which is more than a screen shows.

export interface Identity {
  mode: string;
  state_id: string;
  clock: string;
  version: string;
  simulated: boolean;
}

export interface Instrument {
  symbol: string;
  tick: string;
  multiplier: string;
  exchange: string;
  timeframe: number;
}

export interface Strategy {
  name: string;
  kind: string;
  fires_left?: number | null;
}

export interface Lane {
  name: string;
  mode: string;
  strategies: Strategy[];
  accounts: string[];
  tier: number;
  tier_reasons: string[];
}

export type Truth = "paper_sim" | "runtime_sim" | "broker_verified" | "unknown";

export interface Account {
  name: string;
  mode: string;
  truth: Truth;
  ts_proof: number | null;
  age_ms: number | null;
  evidence: string;
  enabled: boolean;
  frozen_by: string | null;
  line: "new" | "connecting" | "up" | "failing" | "down";
  /** When the broker's whole answer was last compared with our books, and how many differences it showed. */
  ts_read: number | null;
  differences: number | null;
  tier: number;
  tier_reasons: string[];
  account_id: string | null;
  equity: string | null;
  cash: string | null;
  day_pnl: string | null;
  currency: string;
}

export interface Position {
  account: string;
  instrument: string;
  quantity: string;
  average_price: string;
  protected: string;
  stop: string | null;
  target: string | null;
  pnl: string | null;
  strategy: string | null;
  notional: string | null;
}

export interface Order {
  client_order_id: string;
  signal_id: string;
  account: string;
  instrument: string;
  side: string;
  quantity: string;
  filled: string;
  state: string;
  outcome: string | null;
  purpose: string;
  stop?: string | null;
  limit?: string | null;
  price?: string | null;
}

export interface Check {
  check: string;
  answer: string;
  code?: string | null;
  reason?: string | null;
  numbers?: Record<string, string>;
}

export interface Verdict {
  n: number;
  ts: number;
  signal_id: string;
  account: string;
  lane: string;
  strategy: string;
  instrument: string;
  side: string;
  result: "cleared" | "refused";
  code?: string | null;
  reason?: string | null;
  quantity?: string | null;
  purpose?: string | null;
  checks: Check[];
}

export interface Alert {
  n: number;
  ts: number;
  status: string;
  code?: string | null;
  reason?: string | null;
  strategy?: string | null;
  action?: string | null;
  symbol?: string | null;
  instrument?: string | null;
  signal_id?: string | null;
}

export interface Fill {
  n: number;
  ts: number;
  account: string;
  instrument: string;
  side: string;
  quantity: string;
  price: string;
  purpose?: string | null;
  strategy?: string | null;
}

export interface Said {
  n: number;
  ts: number;
  text: string;
}

export interface Alarm {
  key: string;
  severity: string;
  text: string;
  ts: number;
}

/** What an account's own broker has listed since the kill; `clean` null: it has not told yet. */
export interface Proof {
  account: string;
  clean: boolean | null;
  left: string[];
  notional: string | null;
  ts: number | null;
}

export interface Killed {
  proofs: Proof[];
  reach: string;
  why: string;
  ts: number;
  cancelled: number | null;
  at_risk: string | null;
}

/** Something that waits for a person. `state` rows are what, ours, theirs; `digest` names what is shown here. */
export interface Question {
  id: string;
  kind: string;
  scope: string;
  account: string | null;
  text: string;
  state: [string, string, string][];
  digest: string;
  answers: string[];
}

/** A live account as its broker tells it now, for the person who is to confirm it. */
export interface LiveAccount {
  account: string;
  confirmed: boolean;
  number: string | null;
  net_liquidation: string | null;
  cash: string | null;
  currency: string | null;
  endpoint: string | null;
  positions: { instrument: string; quantity: string }[];
  age_s: number | null;
  digest: string | null;
}

export interface FlattenResult {
  instrument: string;
  result: "flat" | "residual" | "unknown";
  quantity: string;
  why: string;
  ts: number;
}

/** The last flatten of an account; the results are its broker's word. */
export interface Flattened {
  account: string;
  instrument: string | null;
  why: string;
  ts: number;
  is_over: boolean;
  results: FlattenResult[];
}

export interface Drill {
  orders: number;
  cancelled: number;
  confirmed_ms: number;
  ts: number;
}

export interface Feed {
  source: string;
  provenance: string;
  state: string;
  progress: number | null;
  rows: number;
  dropped: Record<string, number>;
}

export interface Quote {
  bid: string;
  ask: string;
  bid_size: string;
  ask_size: string;
  ts: number;
  age_ms: number;
  provenance: string;
}

export type BarRow = [ts: number, o: string, h: string, l: string, c: string, volume: string, provenance: string];

export interface Sections {
  identity: Identity;
  instruments: Instrument[];
  lanes: Lane[];
  accounts: Account[];
  positions: Position[];
  alarms: Alarm[];
  killed: Killed[];
  questions: Question[];
  flattens: Flattened[];
  drill: Drill | null;
  feeds: Feed[];
  quotes: Record<string, Quote>;
  orders: Order[];
  verdicts: Verdict[];
  alerts: Alert[];
  fills: Fill[];
  decisions: Said[];
  health: { status: string };
}

export interface Snapshot extends Sections {
  type: "snapshot";
  seq: number;
  now: number;
  release_phrase: string;
}

export interface Change extends Partial<Sections> {
  type: "change";
  seq: number;
  now: number;
  bars?: Record<string, BarRow[]>;
}

export type Message = Snapshot | Change | { type: "resync" };
