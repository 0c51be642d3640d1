import os
from itertools import pairwise
from pathlib import Path

import pytest

from interlock.errors import InputError
from interlock.feeds.recorded import merge, open_recording
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Bar

DATA = Path(os.environ.get("INTERLOCK_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))

pytestmark = [pytest.mark.data, pytest.mark.skipif(not DATA.is_dir(), reason=f"no recordings at {DATA}")]

# instrument, kind, length in seconds, rows, dropped
PLAYED: dict[str, tuple[str, str, int, int, dict[str, int]]] = {
    "internal/crypto/btcusd_binanceus_1m_2023-03-01_2023-03-21": ("BTCUSD", "bars", 60, 30_240, {}),
    "internal/crypto/btcusdt_1m_2023-03-16_2023-05-01": ("BTCUSDT", "bars", 60, 66_087, {}),
    "internal/crypto/ethusdt_1m_2023-03-16_2023-05-01": ("ETHUSDT", "bars", 60, 66_087, {}),
    "internal/etf/spy_1m_2024-02-20_2024-05-17": ("SPY", "bars", 60, 49_720, {"off_increment": 3}),
    "internal/futures/es_1m_2022-01-16_2022-01-28": ("ES", "bars", 60, 13_560, {}),
    "internal/futures/es_5m_2021-12-05_2022-01-28": ("ES", "bars", 300, 10_716, {}),
    "internal/futures/nq_1m_2022-01-16_2022-01-28": ("NQ", "bars", 60, 13_560, {}),
    "internal/futures/nq_5m_2021-12-05_2022-01-28": ("NQ", "bars", 300, 10_716, {}),
    "open/crypto/btcusd_coinbase_1m_2016-10_2018-04": ("BTCUSD", "bars", 60, 12_855, {"no_trade": 432}),
    "open/crypto/ethusd_coinbase_1m_2017-09_2018-04": ("ETHUSD", "bars", 60, 5_758, {"no_trade": 429}),
    "open/crypto/ethusdt_1m_2021-05-15_2021-06-15": ("ETHUSDT", "bars", 60, 44_447, {}),
    "open/etf/gld_1m_2019-12_2019-12": ("GLD", "bars", 60, 1_935, {}),
    "open/etf/ief_1m_2019-12_2020-01": ("IEF", "bars", 60, 6_546, {}),
    "open/etf/iwm_1m_2019-12_2019-12": ("IWM", "bars", 60, 1_937, {}),
    "open/etf/qqq_1m_2019-12_2019-12": ("QQQ", "bars", 60, 1_940, {}),
    "open/etf/slv_1m_2019-12_2019-12": ("SLV", "bars", 60, 1_925, {}),
    "open/etf/spy_1m_2019-12_2020-01": ("SPY", "bars", 60, 8_360, {}),
    "open/etf/spy_1m_trade_quote_2013-10_2023-08": ("SPY", "bars", 60, 6_403, {"no_trade": 617}),
    "open/etf/spy_1s_trade_quote_2013-10-10": ("SPY", "bars", 1, 31_810, {"no_trade": 9_672}),
    "open/etf/tlt_1m_2019-12_2020-01": ("TLT", "bars", 60, 6_798, {}),
    "open/etf/ung_1m_2019-12_2019-12": ("UNG", "bars", 60, 1_849, {}),
    "open/etf/uso_1m_2019-12_2019-12": ("USO", "bars", 60, 3_170, {}),
    "open/etf/vxx_1m_2019-12_2019-12": ("VXX", "bars", 60, 1_929, {}),
    "open/futures/6e_1m_2024-01-01_2024-01-24": ("6E", "bars", 60, 23_112, {}),
    "open/futures/es_1m_2013-10_2013-11": ("ES", "bars", 60, 14_345, {"not_front_month": 2_085}),
    "open/futures/es_nq_1m_2024-07-01": ("ES", "bars", 60, 60, {"other_instrument": 30}),
    "open/futures/gc_1m_2013-10": ("GC", "bars", 60, 7_474, {"not_front_month": 787}),
    "open/l2/es_trades_2018-05-07": ("ES", "trades", 60, 74_907, {}),
    "open/l2/gc_trades_2013-10-08": ("GC", "trades", 60, 52_038, {"no_size": 75}),
    "open/l2/spy_trades_2013-10-10": ("SPY", "trades", 60, 449_328, {"suspicious": 2}),
}
REFUSED: dict[str, str] = {
    "internal/options/spx_0dte_oi_2026-08-13_2026-08-20": "is an option chain",
    "internal/vol/spx_1m_2026-07-17_2026-08-07": "SPX has no definition",
    "internal/vol/spx_5m_2025-02-10_2025-12-31": "SPX has no definition",
    "internal/vol/vix1d_5m_2025-02-18_2025-12-31": "VIX1D has no definition",
    "internal/vol/vix9d_1d_2024-08-22_2026-08-21": "VIX9D index is daily bars",
    "internal/vol/vix_5m_2025-08-11_2025-12-31": "VIX has no definition",
    "open/crypto/btc_perp_1m_2021-12-31_2022-02-01": "BTC-PERP has no definition",
    "open/fx/usdjpy_1m_2013-02": "is bid and ask bars without trades",
    "open/l2/btcusdt_binance_spot_l2_2024-08-08_2024-08-09": "BTCUSDT (Binance spot) is an order book",
    "open/l2/btcusdt_perp_binance_l2_2024-08-08": "is an order book",
    "open/l2/es_mbo_2023-12-25": "is an order book",
    "open/l2/es_mbp1_2024-07-01": "is an order book",
    "open/options/goog_chain_1m_2015-12-24": "GOOG option chain is an option chain",
    "open/options/goog_underlying_1m_2015-12-24": "GOOG has no definition",
    "open/options/spx_1m_2021-01-04": "is an option chain",
    "open/options/spx_index_1m_2021-01-04": "SPX has no definition",
    "open/options/spxw_1m_2021-01-04_2021-01-07": "is an option chain",
    "open/options/spxw_eod_2018-01-02_2018-02-09": "is an option chain",
    "open/options/spy_1m_2023-08-03": "is an option chain",
    "open/vol/vix_1d_1990_2026": "VIX index (Cboe) is daily bars",
}


def test_every_file_is_known_here():
    found = {str(path.relative_to(DATA).with_suffix("")) for path in DATA.rglob("*.parquet")}

    assert found == PLAYED.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", PLAYED)
def test_a_file_plays(name):
    symbol, kind, seconds, rows, dropped = PLAYED[name]

    recording = open_recording(DATA / f"{name}.parquet", instruments=INSTRUMENTS)
    messages = list(recording.messages())

    assert (recording.instrument.symbol, recording.kind, recording.timeframe) == (symbol, kind, seconds * 10**9)
    assert (recording.rows, recording.dropped) == (rows, dropped)
    assert recording.kept == rows - sum(dropped.values())
    known = [message.ts_known if isinstance(message, Bar) else message.ts_recv for message in messages]
    assert all(before <= after for before, after in pairwise(known))
    bars = [message for message in messages if isinstance(message, Bar)]
    assert all(before.ts_event < after.ts_event for before, after in pairwise(bars))
    if kind == "bars":
        assert len(bars) == len(messages) == recording.kept


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_is_refused_for_a_reason(name):
    with pytest.raises(InputError) as caught:
        open_recording(DATA / f"{name}.parquet", instruments=INSTRUMENTS)

    assert REFUSED[name] in str(caught.value)


def test_the_bars_of_a_day_agree_with_the_trades_of_that_day():
    """Two recordings of the front gold contract of 8 October 2013: its minutes, and every trade."""
    minutes = {bar.ts_event: bar for bar in
               open_recording(DATA / "open/futures/gc_1m_2013-10.parquet", instruments=INSTRUMENTS).bars()}
    built = list(open_recording(DATA / "open/l2/gc_trades_2013-10-08.parquet", instruments=INSTRUMENTS).bars())

    same = [bar for bar in built if bar.ts_event in minutes and
            (bar.open, bar.high, bar.low, bar.close) == tuple(
                getattr(minutes[bar.ts_event], name) for name in ("open", "high", "low", "close"))]
    assert len(built) > 1_200
    assert len(same) / len(built) > 0.98


def test_instruments_merge_by_the_time_their_bars_are_known():
    recordings = [open_recording(DATA / f"internal/futures/{name}_2022-01-28.parquet", instruments=INSTRUMENTS)
                  for name in ("nq_1m_2022-01-16", "es_1m_2022-01-16", "es_5m_2021-12-05")]

    merged = list(merge(recordings))

    keys = [(bar.ts_known, bar.instrument) for bar in merged if isinstance(bar, Bar)]
    assert len(merged) == sum(recording.kept for recording in recordings)
    assert keys == sorted(keys)
