"""The compiled step of the structure detector: 15-minute parents from one-minute children, classified as they close."""

from typing import Final

import numpy as np

from interlock.model.kernels import ATR, EMA, Record, atr, ema, kernel

PARENT: Final = 900_000_000_000        # ns
WARMUP: Final = 50                     # parents without an opinion
_DISPLACEMENTS: Final = 10
_CLOSES: Final = 21                    # this one and the twenty before it
_REACH: Final = 2                      # bars on either side of a swing
_WINDOW: Final = 2 * _REACH + 1

UNKNOWN, EXPANSION, TREND_UP, TREND_DN, COMPRESSION, RANGE, TRANSITION = range(7)
NAMES: Final = ("unknown", "expansion", "trend_up", "trend_dn", "compression", "range", "transition")
DWELL: Final = 3                       # parents that a regime lasts at least, unless the market expands

STRUCTURE: Final = np.dtype([
    ("n_steps", "i8"), ("ts_event", "i8"), ("ts_known", "i8"), ("looked", "i8"), ("regime", "i8"), ("age", "i8"),
    # the parent that is being built
    ("start", "i8"), ("end", "i8"), ("children", "i8"), ("open", "i8"), ("high", "i8"), ("low", "i8"), ("close", "i8"),
    # what is known of the closed ones
    ("count", "i8"), ("closes", "i8", (_CLOSES,)), ("highs", "i8", (_WINDOW,)), ("lows", "i8", (_WINDOW,)),
    ("displacements", "i8", (_DISPLACEMENTS,)),
    ("mean50", EMA), ("atr5", ATR), ("atr10", ATR), ("atr14", ATR), ("atr50", ATR), ("range14", "f8"),
    # swings: the latest unbroken ones, the trend they make, and the last four that alternate
    ("has_high", "?"), ("has_low", "?"), ("swing_high", "i8"), ("swing_low", "i8"), ("trend", "i8"),
    ("swings", "i8"), ("swing_side", "i8"), ("swing_price", "i8", (4,))])


@kernel
def efficiency(closes: Record, count: int) -> float:
    """Net change over twenty bars by the way that was gone, signed; 0 where nothing moved.

    `closes` is the ring of the last 21, `count` how many were ever put in.
    """
    at = count % len(closes)           # the oldest
    first = closes[at]
    before = first
    way = 0
    for _ in range(1, len(closes)):
        at += 1
        if at == len(closes):
            at = 0
        way += abs(closes[at] - before)
        before = closes[at]
    if way == 0:
        return 0.0
    return float(before - first) / float(way)


@kernel
def alternate(s: Record, side: int, price: int) -> None:
    """Put a confirmed swing among the last four alternating ones; of two on the same side the more extreme stays."""
    swings = s["swing_price"]
    if s["swings"] > 0 and s["swing_side"] == side:
        if side * price > side * swings[3]:
            swings[3] = price
        return
    for i in range(3):
        swings[i] = swings[i + 1]
    swings[3] = price
    s["swing_side"] = side
    s["swings"] += 1


@kernel
def confirm(s: Record) -> None:
    """Confirm the swings of the bar two back: strictly beyond the two before it, not behind the two after it."""
    if s["count"] < _WINDOW:
        return
    highs, lows = s["highs"], s["lows"]
    oldest = s["count"] % _WINDOW
    a, b, middle = oldest, (oldest + 1) % _WINDOW, (oldest + 2) % _WINDOW
    c, d = (oldest + 3) % _WINDOW, (oldest + 4) % _WINDOW
    high, low = highs[middle], lows[middle]
    if high > highs[a] and high > highs[b] and high >= highs[c] and high >= highs[d]:
        s["has_high"] = True
        s["swing_high"] = high
        alternate(s, 1, high)
    if low < lows[a] and low < lows[b] and low <= lows[c] and low <= lows[d]:
        s["has_low"] = True
        s["swing_low"] = low
        alternate(s, -1, low)


@kernel
def span(s: Record) -> int:
    """From the lowest to the highest of the last four alternating swings; -1 while there are fewer."""
    if s["swings"] < 4:
        return -1
    prices = s["swing_price"]
    highest, lowest = prices[0], prices[0]
    for i in range(1, 4):
        highest, lowest = max(highest, prices[i]), min(lowest, prices[i])
    return highest - lowest            # type: ignore[no-any-return]


@kernel
def classify(s: Record, quick: float, middling: float, slow: float, mean50: float, range_before: float) -> int:
    """The first regime whose conditions hold; the one in force is held to its easier exit thresholds.

    Inputs: average true ranges over 5, 10 and 50 bars, the mean of 50 closes, and the range of 14 bars one bar before.
    """
    now = s["regime"]
    burst = quick / slow if slow > 0.0 else 1.0
    squeeze = middling / slow if slow > 0.0 else 1.0
    net = 0
    for displacement in s["displacements"]:
        net += displacement
    drive = efficiency(s["closes"], s["count"])
    close = s["closes"][(s["count"] - 1) % _CLOSES]
    away = close - mean50
    if burst >= (1.3 if now == EXPANSION else 1.6) or abs(net) >= 3:
        return EXPANSION
    if abs(away) >= 0.5 * range_before:
        if s["trend"] > 0 and away > 0.0 and drive >= (0.35 if now == TREND_UP else 0.45):
            return TREND_UP
        if s["trend"] < 0 and away < 0.0 and -drive >= (0.35 if now == TREND_DN else 0.45):
            return TREND_DN
    if squeeze <= (0.80 if now == COMPRESSION else 0.70):
        return COMPRESSION
    width = span(s)
    if abs(drive) <= (0.32 if now == RANGE else 0.25) and 0 <= width <= 3.0 * range_before:
        return RANGE
    return TRANSITION


@kernel
def close_parent(s: Record) -> None:
    """Fold the finished parent: displacement, break of structure, ranges and means, swings; then look at the regime."""
    opened, high, low, close = s["open"], s["high"], s["low"], s["close"]
    s["children"] = 0
    range_before = s["range14"] if s["count"] > 0 else np.nan
    body = abs(close - opened)
    displacement = 0
    if range_before == range_before and body >= 1.2 * range_before and body >= 0.6 * (high - low):
        displacement = 1 if close > opened else (-1 if close < opened else 0)
    s["displacements"][s["count"] % _DISPLACEMENTS] = displacement
    if s["has_high"] and close > s["swing_high"]:
        s["trend"] = 1
        s["has_high"] = False
    elif s["has_low"] and close < s["swing_low"]:
        s["trend"] = -1
        s["has_low"] = False
    s["closes"][s["count"] % _CLOSES] = close
    s["highs"][s["count"] % _WINDOW] = high
    s["lows"][s["count"] % _WINDOW] = low
    s["count"] += 1
    quick = atr(s["atr5"], high, low, close, 5)
    middling = atr(s["atr10"], high, low, close, 10)
    s["range14"] = atr(s["atr14"], high, low, close, 14)
    slow = atr(s["atr50"], high, low, close, 50)
    mean50 = ema(s["mean50"], float(close), 50)
    confirm(s)
    if s["count"] <= WARMUP:
        return
    found = classify(s, quick, middling, slow, mean50, range_before)
    is_free = s["regime"] == UNKNOWN or found == EXPANSION or s["age"] >= DWELL
    if found != s["regime"] and is_free:
        s["regime"] = found
        s["age"] = 1
    else:
        s["age"] += 1


@kernel
def structure(s: Record, ts_event: int, timeframe: int, anchor: int, session_end: int, ts_known: int, is_synth: bool,
              opened: int, high: int, low: int, close: int) -> int:
    """Fold one child bar. Parents begin at multiples of 15 minutes from `anchor`, the open of the session (0: midnight
    UTC), and end with it (`session_end`, 0: no end). Returns how many parents closed.

    A parent closes with its last child, or, where that never came, before the first child of another one. Synthetic
    children move time but not the parent.
    """
    s["n_steps"] += 1
    s["ts_event"] = ts_event
    closed = 0
    start = anchor + (ts_event - anchor) // PARENT * PARENT
    if s["children"] > 0 and start != s["start"]:
        close_parent(s)
        closed += 1
    if not is_synth:
        if s["children"] == 0:
            s["start"] = start
            s["end"] = start + PARENT
            if start < session_end < start + PARENT:
                s["end"] = session_end
            s["open"] = opened
            s["high"] = high
            s["low"] = low
        s["high"] = max(s["high"], high)
        s["low"] = min(s["low"], low)
        s["close"] = close
        s["children"] += 1
    if s["children"] > 0 and ts_event + timeframe >= s["end"]:
        close_parent(s)
        closed += 1
    if closed > 0:
        s["ts_known"] = ts_known
        s["looked"] += closed
    return closed
