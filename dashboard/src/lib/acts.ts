// A person's acts. Each is one POST; the answer says what came of it.

export interface Answer {
  ok: boolean;
  status: number;
  code: string;
  reason: string;
  /** Orders that are being cancelled; null where the answer does not say. */
  cancelled: number | null;
  /** The whole answer. */
  found: Record<string, unknown>;
}

export const MOVED = "command.state_moved";

/** A refusal in a person's words, with its code to look up. */
export const told = (answer: Answer): string => (answer.code === "" ? answer.reason : `${answer.reason} (${answer.code})`);

export async function act(path: string, body?: Record<string, unknown>): Promise<Answer> {
  try {
    const response = await fetch(path, {
      method: "POST",
      ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    });
    const found = (await response.json().catch(() => ({}))) as Record<string, unknown>;
    return {
      ok: response.ok && found["ok"] !== false,
      status: response.status,
      code: String(found["code"] ?? ""),
      reason: String(found["reason"] ?? (response.ok ? "done" : `the desk answered ${response.status}`)),
      found,
      cancelled: Array.isArray(found["orders_to_cancel"]) ? found["orders_to_cancel"].length : null,
    };
  } catch {
    return {
      ok: false, status: 0, code: "desk.unreachable", cancelled: null, found: {},
      reason: "The desk cannot be reached from this page. Run `interlock kill` on its machine.",
    };
  }
}
