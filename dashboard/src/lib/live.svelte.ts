// Live accounts as their brokers tell them, for the person who is to confirm them. On a paper desk this asks nothing.

import { desk } from "./desk.svelte";
import type { Reach } from "./reach";
import type { LiveAccount } from "./types";

const ASK = { waiting: 2_000, quiet: 10_000 }; // ms; each look at an account that waits has its broker read

class Live {
  /** This process can only watch: no account can be confirmed in it. */
  isWatch = $state(false);
  accounts = $state.raw<LiveAccount[]>([]);

  get isLive(): boolean {
    return desk.isLoaded && desk.identity.mode === "live";
  }

  get unconfirmed(): LiveAccount[] {
    return this.isLive ? this.accounts.filter((one) => !one.confirmed) : [];
  }

  /** Those in reach that nobody has confirmed: their stops and positions take a number. */
  heldWithin(reach: Reach): LiveAccount[] {
    return this.unconfirmed.filter((one) => reach.account === undefined || reach.account === one.account);
  }

  async look(): Promise<void> {
    try {
      const response = await fetch("/api/confirm");
      if (!response.ok) return;
      const found = (await response.json()) as { watch: boolean; accounts: LiveAccount[] };
      this.isWatch = found.watch;
      this.accounts = found.accounts;
    } catch {
      // the desk is away: the page says so, and asks again when it is back
    }
  }

  /** Looks now and again until the returned function is called. */
  follow(): () => void {
    let next: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    const again = async (): Promise<void> => {
      await this.look();
      if (!isOver) next = setTimeout(again, this.unconfirmed.length > 0 && !this.isWatch ? ASK.waiting : ASK.quiet);
    };
    void again();
    return () => {
      isOver = true;
      clearTimeout(next);
    };
  }
}

export const live = new Live();
