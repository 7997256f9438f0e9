"""`python -m huitong.cli`, the same as `huitong`."""

from huitong.cli import main

main(prog_name="huitong")
