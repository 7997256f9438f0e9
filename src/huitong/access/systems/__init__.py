"""Institutions' systems that sign in with a key of their own: SMART Backend Services."""
