"""Recorded files, played: bars or trades, Parquet or CSV, each row judged before the first one leaves."""

from interlock.feeds.recorded.clean import BadRow
from interlock.feeds.recorded.kinds import source_of
from interlock.feeds.recorded.recording import Recording, merge, open_recording

__all__ = ["BadRow", "Recording", "merge", "open_recording", "source_of"]
