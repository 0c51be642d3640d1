"""What a file is, by its columns, and which instrument it holds, by its name; what cannot be played is refused."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from interlock.errors import InputError
from interlock.model.instrument import Instrument

PRICES: Final = ("open", "high", "low", "close")
CLOSING_QUOTE: Final = ("bid", "ask", "bid_size", "ask_size")

_CONTRACT: Final = re.compile(r"([A-Z0-9]{1,10}?)([FGHJKMNQUVXZ])(\d{4}|\d{1,2})")
_SYMBOL: Final = re.compile(r"[A-Z0-9][A-Z0-9./]{0,15}")
_MONTHS: Final = "FGHJKMNQUVXZ"


class Contract(NamedTuple):
    """A dated future, ordered by when it is delivered."""

    year: int
    month: int

    def code(self, root: str) -> str:
        """Its name with a whole year, e.g. ESZ2013."""
        return f"{root}{_MONTHS[self.month - 1]}{self.year}"


def split_contract(text: str) -> tuple[str, int, str] | None:
    """Root, month and the digits of the year of a contract code; None for anything else.

    >>> split_contract("6EH4"), split_contract("ESZ2013"), split_contract("SPY")
    (('6E', 3, '4'), ('ES', 12, '2013'), None)
    """
    found = _CONTRACT.fullmatch(text)
    return (found[1], _MONTHS.index(found[2]) + 1, found[3]) if found else None


def whole_year(digits: str, seen_in: int) -> int:
    """The year that one, two or four digits mean on a row of the year `seen_in`: at earliest the year before."""
    if len(digits) == 4:
        return int(digits)
    span = 10 if len(digits) == 1 else 100
    earliest = seen_in - 1
    return earliest + (int(digits) - earliest) % span


def refuse_kind(file: str, name: str, columns: Iterable[str]) -> None:
    """Raise InputError when the columns are those of a file that holds neither bars nor trades, naming its kind."""
    names = set(columns)
    if "strike" in names:
        kind, because = "an option chain", ["strike"]
    elif marks := names & {"order_id", "action", "first_id", "bid_orders"}:
        kind, because = "an order book", sorted(marks)
    elif "ts_event" not in names and (marks := names & {"date", "quote_date"}):
        kind, because = "daily bars", sorted(marks)
    elif marks := names & {"bid_open", "ask_open"}:
        kind, because = "bid and ask bars without trades", sorted(marks)
    else:
        return
    what = f"{name} is {kind}" if name else f"this is {kind}"
    raise InputError(f"{file}: {what} (column {', '.join(because)}); expected trade bars or trades")


def is_bars(file: str, columns: Sequence[str]) -> bool:
    """Whether the file holds bars; False for trades. Raises InputError naming the columns that are missing or twice."""
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise InputError(f"{file}: column {', '.join(twice)} stands there twice")
    if "price" in columns and not any(name in columns for name in PRICES):
        kind, expected = "trades", ["ts_event", "price"]
    else:
        kind, expected = "bars", ["ts_event", *PRICES, "volume"]
    missing = [name for name in expected if name not in columns]
    if missing:
        raise InputError(f"{file}: wrong columns: expected {', '.join(expected)} for {kind}; "
                         f"missing {', '.join(missing)}; found {', '.join(columns) or 'none'}")
    return kind == "bars"


def instrument_of(file: str, name: str, symbol: str | None, instruments: Mapping[str, Instrument]) -> Instrument:
    """The instrument of a file: `symbol` as given, else the first word of its own `name` without slash.

    A contract code means its root (ESH4 and ESH2024 mean ES). Raises InputError when nothing is named or not defined.
    """
    words = [symbol] if symbol is not None else name.split()[:1]
    if not words:
        raise InputError(f"{file}: which instrument is this? The file does not name one; give it as SYMBOL=FILE")
    word = words[0].strip(",;:").replace("/", "")
    if word in instruments:
        return instruments[word]
    contract = split_contract(word)
    if contract is not None and contract[0] in instruments:
        return instruments[contract[0]]
    raise InputError(f"{file}: {word} has no definition; expected one in the configuration (increment, tick, "
                     "multiplier, lot, calendar, fees), or a defined instrument given as SYMBOL=FILE")


def source_of(argument: str) -> tuple[str | None, str]:
    """Split `[SYMBOL=]FILE`.

    >>> source_of("MES=es.parquet"), source_of("a=b/es.csv"), source_of("es.csv")
    (('MES', 'es.parquet'), (None, 'a=b/es.csv'), (None, 'es.csv'))
    """
    symbol, sign, path = argument.partition("=")
    if sign and path and _SYMBOL.fullmatch(symbol):
        return symbol.replace("/", ""), path
    return None, argument
