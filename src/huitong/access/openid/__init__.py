"""Sign-in by an OpenID Provider (OpenID Connect Core 1.0): whose account it is there, and here."""
