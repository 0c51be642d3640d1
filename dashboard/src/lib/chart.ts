// The chart behind Chart.svelte: candles, fills and price lines drawn from the desk's rows. Floats live here only; they
// place pixels, and every number that is read stands beside the chart as the string that was sent.

import {
  CandlestickSeries, createChart, createSeriesMarkers, createTextWatermark, CrosshairMode, HistogramSeries, LineStyle,
  TickMarkType, type AutoscaleInfo, type CandlestickData, type IChartApi, type IPriceLine, type ISeriesApi, type ISeriesMarkersPluginApi,
  type ITextWatermarkPluginApi, type SeriesMarker, type Time, type UTCTimestamp,
} from "lightweight-charts";
import { choices } from "./choices.svelte";
import { minus, places, plus } from "./decimal";
import type { BarRow, Fill, Instrument, Position, Quote } from "./types";

const MINUTE = 60e9;
const BAR_WIDTH = 7;
const RIGHT_OFFSET = 14; // room for the titles of the price lines
const REDRAW_ABOVE = 100; // so many new bars at once are cheaper drawn whole

const LEVELS_WITHIN = 1.5; // of the height of the candles in view

type Autoscale = () => AutoscaleInfo | null;

export interface Legend {
  ts: number;
  open: string;
  high: string;
  low: string;
  close: string;
  volume: string;
  change: string | null;
}

export class DeskChart {
  private chart: IChartApi;
  private candles: ISeriesApi<"Candlestick">;
  private volume: ISeriesApi<"Histogram">;
  private markers: ISeriesMarkersPluginApi<Time>;
  private watermark: ITextWatermarkPluginApi<Time> | null = null;
  private lines: IPriceLine[] = [];
  private levels: number[] = [];
  private linesDrawn = "";
  private markersDrawn = "";
  private rows: BarRow[] = [];
  private symbol = "";
  private forming: { time: number; open: number; high: number; low: number; close: number } | null = null;
  private timeframe = MINUTE;

  constructor(private readonly host: HTMLElement, private readonly onlegend: (legend: Legend | null) => void) {
    this.chart = createChart(host, {
      autoSize: true,
      layout: { attributionLogo: true, fontSize: 11, fontFamily: "system-ui, sans-serif" },
      crosshair: { mode: CrosshairMode.Normal },
      rightPriceScale: { scaleMargins: { top: 0.08, bottom: 0.2 } },
      timeScale: {
        timeVisible: true,
        rightOffset: RIGHT_OFFSET,
        barSpacing: BAR_WIDTH,
        tickMarkFormatter: (time: Time, kind: TickMarkType) => tickMark(Number(time), kind),
      },
      localization: { timeFormatter: (time: Time) => longTime(Number(time)) },
    });
    this.candles = this.chart.addSeries(CandlestickSeries, {
      priceLineVisible: true, lastValueVisible: true, autoscaleInfoProvider: (own: Autoscale) => this.scaled(own()),
    });
    this.volume = this.chart.addSeries(HistogramSeries, {
      priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false,
    });
    this.chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.86, bottom: 0 } });
    this.markers = createSeriesMarkers(this.candles, []);
    this.chart.subscribeCrosshairMove((event) => {
      const row = event.time === undefined ? undefined : this.rows.findLast((one) => seconds(one[0]) === event.time);
      this.onlegend(row === undefined ? this.lastLegend() : legendOf(row));
    });
    this.restyle();
  }

  remove(): void {
    this.chart.remove();
  }

  /** Colours from the page's own variables, times in the chosen zone. */
  restyle(): void {
    const colour = this.colours();
    this.chart.applyOptions({
      layout: { background: { color: colour("--panel") }, textColor: colour("--soft") },
      grid: { vertLines: { color: colour("--raised") }, horzLines: { color: colour("--raised") } },
      rightPriceScale: { borderColor: colour("--line") },
      timeScale: { borderColor: colour("--line") },
      crosshair: {
        vertLine: { color: colour("--faint"), labelBackgroundColor: colour("--faint") },
        horzLine: { color: colour("--faint"), labelBackgroundColor: colour("--faint") },
      },
    });
    this.candles.applyOptions({
      upColor: colour("--up"), downColor: colour("--down"), borderVisible: false,
      wickUpColor: colour("--up"), wickDownColor: colour("--down"),
    });
    this.linesDrawn = this.markersDrawn = "";
    if (this.rows.length > 0) this.drawAll();
  }

  /** The bars of one instrument, oldest first; only what is new is drawn where that is possible. */
  showBars(instrument: Instrument | undefined, symbol: string, rows: BarRow[]): void {
    const before = this.rows;
    const changed = symbol !== this.symbol;
    this.rows = rows;
    if (changed) {
      this.symbol = symbol;
      this.forming = null;
      this.linesDrawn = this.markersDrawn = "";
    }
    const last = before.at(-1)?.[0] ?? 0;
    const fresh = rows.filter((row) => row[0] > last);
    if (changed || before.length === 0 || fresh.length > REDRAW_ABOVE || rows.length === 0) {
      this.timeframe = instrument?.timeframe || timeframeOf(rows);
      const precision = Math.max(places(instrument?.tick ?? ""), ...rows.slice(-50).map((row) => places(row[4])));
      const minMove = Number(instrument?.tick) || 10 ** -precision;
      this.candles.applyOptions({ priceFormat: { type: "price", precision, minMove } });
      this.drawAll();
      if (changed || before.length === 0) this.showNewest();
    } else {
      for (const row of fresh) this.drawOne(row);
    }
    this.onlegend(this.lastLegend());
  }

  /** The bar that is not finished yet, from quotes of a running market; drawn pale, because a half-open bar is no bar. */
  showQuote(quote: Quote | undefined): void {
    const last = this.rows.at(-1);
    if (quote === undefined || last === undefined || quote.provenance === "playback") return;
    const middle = (Number(quote.bid) + Number(quote.ask)) / 2;
    const time = Math.floor(quote.ts / this.timeframe) * this.timeframe;
    if (!Number.isFinite(middle) || middle <= 0 || time <= last[0]) return;
    if (this.forming === null || this.forming.time !== time) {
      const open = Number(last[4]);
      this.forming = { time, open, high: Math.max(open, middle), low: Math.min(open, middle), close: middle };
    }
    const bar = this.forming;
    bar.high = Math.max(bar.high, middle);
    bar.low = Math.min(bar.low, middle);
    bar.close = middle;
    const pale = `${this.colours()(bar.close >= bar.open ? "--up" : "--down")}80`;
    const { open, high, low, close } = bar;
    this.candles.update({ time: seconds(time), open, high, low, close, color: pale, wickColor: pale });
  }

  /** Entry, stop and target of what is held; a stop that does not rest at the venue is drawn broken and says so. */
  showPositions(positions: Position[]): void {
    const wanted = new Map<string, { price: string; title: string; colour: string; style: LineStyle }>();
    const agree = new Set(positions.map((held) => `${held.average_price} ${held.stop} ${held.target}`)).size === 1;
    for (const held of positions) {
      const naked = held.protected === "0";
      const entries: [string | null, string, string, LineStyle][] = [
        [held.average_price, "entry", "--accent", LineStyle.Solid],
        [held.stop, naked ? "stop NOT AT VENUE" : "stop", "--down", naked ? LineStyle.SparseDotted : LineStyle.Dashed],
        [held.target, "target", "--up", LineStyle.Dashed],
      ];
      for (const [price, what, colour, style] of entries) {
        if (price === null) continue;
        const title = agree ? what : `${what} ${held.account}`;
        wanted.set(`${title} ${price}`, { price, title, colour, style });
      }
    }
    const lines = [...wanted.values()];
    const drawn = JSON.stringify(lines);
    if (drawn === this.linesDrawn) return;
    this.linesDrawn = drawn;
    this.levels = lines.map((line) => Number(line.price));
    for (const line of this.lines) this.candles.removePriceLine(line);
    const colour = this.colours();
    this.lines = lines.map((line) => this.candles.createPriceLine({
      price: Number(line.price), title: line.title, color: colour(line.colour), lineStyle: line.style, lineWidth: 1,
      axisLabelVisible: true,
    }));
  }

  /** One mark per bar, side and purpose; what several accounts filled there is added up. */
  showFills(fills: Fill[]): void {
    const first = this.rows[0]?.[0];
    if (first === undefined) return;
    const marks = new Map<string, { time: number; side: string; purpose: string; quantity: string }>();
    for (const fill of fills) {
      const time = Math.floor(fill.ts / this.timeframe) * this.timeframe;
      if (time < first) continue;
      const purpose = fill.purpose ?? "";
      const key = `${time} ${fill.side} ${purpose}`;
      const quantity = plus(marks.get(key)?.quantity ?? "0", fill.quantity) ?? fill.quantity;
      marks.set(key, { time, side: fill.side, purpose, quantity });
    }
    const drawn = JSON.stringify([...marks.values()]);
    if (drawn === this.markersDrawn) return;
    this.markersDrawn = drawn;
    const colour = this.colours();
    this.markers.setMarkers([...marks.values()].sort((a, b) => a.time - b.time).map((mark): SeriesMarker<Time> => {
      const buys = mark.side === "buy";
      const enters = mark.purpose === "enter" || mark.purpose === "";
      const word = { protect: " stop", target: " target", reduce: " exit", flatten: " flat" }[mark.purpose] ?? "";
      return {
        time: seconds(mark.time),
        position: buys ? "belowBar" : "aboveBar",
        shape: enters ? (buys ? "arrowUp" : "arrowDown") : "circle",
        color: colour(enters ? "--accent" : mark.purpose === "protect" ? "--down" : "--warn"),
        text: `${buys ? "+" : "−"}${mark.quantity}${word}`,
        size: 1,
      };
    }));
  }

  /** Written over the chart wherever its prices are not a market's own. */
  showProvenance(text: string): void {
    const lines = [{ text, color: `${this.colours()("--warn")}26`, fontSize: 46, fontStyle: "bold" }];
    if (this.watermark === null) {
      const pane = this.chart.panes()[0];
      if (pane === undefined) return;
      this.watermark = createTextWatermark(pane, { horzAlign: "center", vertAlign: "center", lines });
    } else {
      this.watermark.applyOptions({ lines });
    }
  }

  showNewest(): void {
    const room = Math.round(this.host.clientWidth / BAR_WIDTH);
    const to = this.rows.length + Math.min(RIGHT_OFFSET, Math.round(room / 6));
    this.chart.timeScale().setVisibleLogicalRange({ from: to - room, to });
  }

  /** Stop and target belong into the picture, unless they lie so far away that the candles would vanish. */
  private scaled(own: AutoscaleInfo | null): AutoscaleInfo | null {
    if (own === null || own.priceRange === null) return own;
    let { minValue, maxValue } = own.priceRange;
    const reach = (maxValue - minValue) * LEVELS_WITHIN;
    for (const level of this.levels) {
      if (level < minValue - reach || level > maxValue + reach) continue;
      minValue = Math.min(minValue, level);
      maxValue = Math.max(maxValue, level);
    }
    return { ...own, priceRange: { minValue, maxValue } };
  }

  private drawAll(): void {
    const colour = this.colours();
    this.candles.setData(this.rows.map(candle));
    this.volume.setData(this.rows.map((row) => volumeBar(row, colour)));
    this.forming = null;
  }

  private drawOne(row: BarRow): void {
    const isBehind = this.forming !== null && row[0] < this.forming.time;
    this.candles.update(candle(row), isBehind);
    this.volume.update(volumeBar(row, this.colours()), isBehind);
  }

  private lastLegend(): Legend | null {
    const row = this.rows.at(-1);
    return row === undefined ? null : legendOf(row);
  }

  private colours(): (name: string) => string {
    const style = getComputedStyle(this.host);
    return (name) => style.getPropertyValue(name).trim();
  }
}

function seconds(ns: number): UTCTimestamp {
  return Math.floor(ns / 1e9) as UTCTimestamp;
}

function candle(row: BarRow): CandlestickData {
  return { time: seconds(row[0]), open: Number(row[1]), high: Number(row[2]), low: Number(row[3]), close: Number(row[4]) };
}

function volumeBar(row: BarRow, colour: (name: string) => string): { time: Time; value: number; color: string } {
  const rose = Number(row[4]) >= Number(row[1]);
  return { time: seconds(row[0]), value: Number(row[5]), color: `${colour(rose ? "--up" : "--down")}55` };
}

function legendOf(row: BarRow): Legend {
  const [ts, open, high, low, close, volume] = row;
  return { ts, open, high, low, close, volume, change: minus(close, open) };
}

/** The commonest distance is the bar's length; sessions and gaps only make longer ones. */
function timeframeOf(rows: BarRow[]): number {
  let least = Infinity;
  for (let i = 1; i < rows.length; i += 1) least = Math.min(least, (rows[i]?.[0] ?? 0) - (rows[i - 1]?.[0] ?? 0));
  return Number.isFinite(least) && least > 0 ? least : MINUTE;
}

function tickMark(at: number, kind: TickMarkType): string {
  const ms = at * 1000;
  if (kind === TickMarkType.Year) return choices.spell(ms, { year: "numeric" });
  if (kind === TickMarkType.Month) return choices.spell(ms, { month: "short" });
  if (kind === TickMarkType.DayOfMonth) return choices.spell(ms, { day: "numeric", month: "short" });
  return choices.spell(ms, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

function longTime(at: number): string {
  return choices.spell(at * 1000, {
    weekday: "short", day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
  });
}
