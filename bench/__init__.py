"""Huitong's speed, measured beside another archive on the same machine in the same run: `python -m bench --help`."""
