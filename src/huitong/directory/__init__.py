"""Institutions and how they are recognised: AE titles, networks, tokens."""
