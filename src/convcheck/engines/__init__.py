"""Engines: what is under test, and the adapters that present libraries and user functions as such."""
