"""Rows and regimes to wishes: strategies that answer each bar, and alerts that became intents."""
