// How numbers, ages and names are spelled. Strings stay strings: grouping and signs are put in, digits are never changed.

import { magnitude, places, sign } from "./decimal";
import type { Truth } from "./types";

export const UNKNOWN = "–";
const MINUS = "\u2212";
const SYMBOLS: Record<string, string> = { USD: "$", EUR: "€", GBP: "£" };

function group(digits: string): string {
  const [whole = "", fraction] = digits.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** Pads to so many places; never cuts. */
export function pad(text: string, wanted: number): string {
  const missing = wanted - places(text);
  if (missing <= 0) return text;
  return (text.includes(".") ? text : `${text}.`) + "0".repeat(missing);
}

export function money(text: string | null | undefined, currency = "USD"): string {
  if (text == null) return UNKNOWN;
  return `${text.startsWith("-") ? MINUS : ""}${SYMBOLS[currency] ?? ""}${group(pad(magnitude(text), 2))}`;
}

/** A price with all the places of its tick, so that columns stand still. */
export function price(text: string, tick = ""): string {
  return pad(text, places(tick));
}

/** Money with its sign always shown, so that colour is not the only mark. */
export function result(text: string | null | undefined, currency = "USD"): string {
  if (text == null) return UNKNOWN;
  return sign(text) > 0 ? `+${money(text, currency)}` : money(text, currency);
}

export function signed(text: string | null | undefined): string {
  if (text == null) return UNKNOWN;
  return `${sign(text) > 0 ? "+" : sign(text) < 0 ? MINUS : ""}${magnitude(text)}`;
}

export function tone(text: string | null | undefined): "up" | "down" | "" {
  const which = sign(text);
  return which > 0 ? "up" : which < 0 ? "down" : "";
}

export function count(value: number): string {
  return group(String(value));
}

export function age(ms: number | null | undefined): string {
  if (ms == null) return "no proof";
  if (ms < 1000) return "now";
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

export const TRUTHS: Record<Truth | "mixed", string> = {
  paper_sim: "PAPER SIM",
  runtime_sim: "RUNTIME SIM",
  broker_verified: "BROKER VERIFIED",
  unknown: "UNKNOWN",
  mixed: "MIXED",
};

export const words = (text: string): string => text.replaceAll("_", " ");
