"""Huitong (汇通): a record made in one institution is found, trusted and used in every other."""

__version__ = "0.1.0"
