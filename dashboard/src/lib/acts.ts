// A person's acts. Each is one POST; the answer says what came of it.

export interface Answer {
  ok: boolean;
  status: number;
  code: string;
  reason: string;
  cancelled: number | null;
  atRisk: string | null;
}

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
      cancelled: typeof found["cancelled"] === "number" ? found["cancelled"] : null,
      atRisk: typeof found["at_risk"] === "string" ? found["at_risk"] : null,
    };
  } catch {
    return {
      ok: false, status: 0, code: "desk.unreachable", cancelled: null, atRisk: null,
      reason: "The desk cannot be reached from this page. Run `interlock kill` on its machine.",
    };
  }
}
