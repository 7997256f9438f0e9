"""Keeping: database, blobs, ledger. The only room that knows SQLite, files and what makes a write durable."""
