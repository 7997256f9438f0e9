"""The command line: commands, their flags and what they print. Decides nothing that `app` could decide."""

from huitong.cli.commands import main

__all__ = ["main"]
