// How far a kill reaches: everything, a lane, an account, or an account within a lane.

import type { Desk } from "./desk.svelte";
import type { Position } from "./types";

export interface Reach {
  lane?: string;
  account?: string;
}

/** From the desk's own words: "everything", "lane futures", "account paper-a", "lane futures account paper-a". */
export function readReach(words: string): Reach {
  const lane = /(?:^|\s)lane (\S+)/.exec(words)?.[1];
  const account = /(?:^|\s)account (\S+)/.exec(words)?.[1];
  return { ...(lane === undefined ? {} : { lane }), ...(account === undefined ? {} : { account }) };
}

export function nameReach(reach: Reach): string {
  const parts = [reach.lane && `lane ${reach.lane}`, reach.account && `account ${reach.account}`].filter(Boolean);
  return parts.join(", ") || "everything";
}

/** The positions that a kill of this reach leaves open. */
export function heldWithin(desk: Desk, reach: Reach): Position[] {
  const lane = desk.lanes.find((one) => one.name === reach.lane);
  return desk.positions.filter(
    (held) =>
      (reach.account === undefined || held.account === reach.account) &&
      (reach.lane === undefined || lane?.accounts.includes(held.account)),
  );
}
