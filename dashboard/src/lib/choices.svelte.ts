// What the viewer chose for this screen; kept in this browser only.

export type Theme = "auto" | "light" | "dark";
export const ZONES = ["local", "UTC", "America/New_York", "America/Chicago"] as const;
export type Zone = (typeof ZONES)[number];

function kept(name: string): string | null {
  try {
    return localStorage.getItem(`interlock.${name}`);
  } catch {
    return null; // storage is switched off in this browser: choices last as long as the page
  }
}

function keep(name: string, value: string): void {
  try {
    localStorage.setItem(`interlock.${name}`, value);
  } catch {
    // as above
  }
}

const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");

class Choices {
  theme = $state<Theme>((kept("theme") as Theme | null) ?? "auto");
  zone = $state<Zone>((kept("zone") as Zone | null) ?? "local");
  systemIsDark = $state(prefersDark.matches);

  constructor() {
    if (!["auto", "light", "dark"].includes(this.theme)) this.theme = "auto";
    if (!ZONES.includes(this.zone)) this.zone = "local";
    prefersDark.addEventListener("change", (event) => (this.systemIsDark = event.matches));
  }

  get isDark(): boolean {
    return this.theme === "auto" ? this.systemIsDark : this.theme === "dark";
  }

  get timeZone(): string | undefined {
    return this.zone === "local" ? undefined : this.zone;
  }

  toggleTheme(): void {
    this.theme = this.isDark ? "light" : "dark";
    keep("theme", this.theme);
  }

  chooseZone(zone: Zone): void {
    this.zone = zone;
    keep("zone", zone);
  }

  /** Time of day of nanoseconds, in the chosen zone. */
  time(ns: number): string {
    return this.spell(ns / 1e6, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  }

  date(ns: number): string {
    return this.spell(ns / 1e6, { weekday: "short", day: "2-digit", month: "short", year: "numeric" });
  }

  spell(ms: number, options: Intl.DateTimeFormatOptions): string {
    const key = `${this.timeZone ?? ""}${JSON.stringify(options)}`;
    let format = formats.get(key);
    if (format === undefined) {
      format = new Intl.DateTimeFormat("en-GB", { ...options, ...(this.timeZone ? { timeZone: this.timeZone } : {}) });
      formats.set(key, format);
    }
    return format.format(ms);
  }
}

const formats = new Map<string, Intl.DateTimeFormat>();

export const choices = new Choices();
