// Exact arithmetic on decimal strings, so that nothing a trader reads has been through a float.

interface Scaled {
  units: bigint;
  places: number;
}

function parse(text: string): Scaled | null {
  const found = /^([+-]?)(\d+)(?:\.(\d+))?$/.exec(text);
  if (found === null) return null;
  const fraction = found[3] ?? "";
  const units = BigInt((found[2] ?? "0") + fraction);
  return { units: found[1] === "-" ? -units : units, places: fraction.length };
}

function spell(value: Scaled): string {
  const negative = value.units < 0n;
  const digits = (negative ? -value.units : value.units).toString().padStart(value.places + 1, "0");
  const whole = digits.slice(0, digits.length - value.places);
  const fraction = value.places > 0 ? digits.slice(digits.length - value.places).replace(/0+$/, "") : "";
  return `${negative ? "-" : ""}${whole}${fraction === "" ? "" : `.${fraction}`}`;
}

function combine(a: string, b: string, sign: 1n | -1n): string | null {
  const left = parse(a);
  const right = parse(b);
  if (left === null || right === null) return null;
  const places = Math.max(left.places, right.places);
  const scale = (value: Scaled): bigint => value.units * 10n ** BigInt(places - value.places);
  return spell({ units: scale(left) + sign * scale(right), places });
}

/** a + b; null where either is no decimal. */
export const plus = (a: string, b: string): string | null => combine(a, b, 1n);

/** a - b; null where either is no decimal. */
export const minus = (a: string, b: string): string | null => combine(a, b, -1n);

/** -1, 0 or 1; 0 for what is no decimal. */
export function sign(text: string | null | undefined): -1 | 0 | 1 {
  const value = text == null ? null : parse(text);
  if (value === null || value.units === 0n) return 0;
  return value.units > 0n ? 1 : -1;
}

export const magnitude = (text: string): string => text.replace(/^[+-]/, "");

/** The sum, or null where one of them is not known. */
export function total(values: (string | null | undefined)[]): string | null {
  let sum: string | null = "0";
  for (const value of values) {
    if (value == null || sum === null) return null;
    sum = plus(sum, value);
  }
  return sum;
}

/** How many decimal places the text has. */
export const places = (text: string): number => text.split(".")[1]?.length ?? 0;
