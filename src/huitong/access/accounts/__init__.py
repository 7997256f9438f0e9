"""Accounts of staff and residents: who signs in, with what, and for how long it holds."""
