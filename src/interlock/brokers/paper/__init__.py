"""The built-in paper venue: a broker like any other, with its own book, reached only through `ports.Broker`."""

from interlock.brokers.paper.adapter import PaperBroker
from interlock.brokers.paper.book import Book, NoBook, SqliteBook
from interlock.brokers.paper.paper import Paper
from interlock.brokers.paper.plan import Fault, Plan, Verb
from interlock.brokers.paper.venue import PaperVenue
from interlock.brokers.paper.wire import Wire
from interlock.matching import Rules

__all__ = [
    "Book", "Fault", "NoBook", "Paper", "PaperBroker", "PaperVenue", "Plan", "Rules", "SqliteBook", "Verb", "Wire",
]
