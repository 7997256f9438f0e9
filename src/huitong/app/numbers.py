"""Numbers in addresses (`{pk:int}`): no more digits than a key of the database can have; longer ones are no address."""

from __future__ import annotations

from starlette.convertors import IntegerConvertor, register_url_convertor

from huitong.base.numbers import KEY_DIGITS


class _Number(IntegerConvertor):
    regex = f"[0-9]{{1,{KEY_DIGITS}}}"


def bound() -> None:
    """For all routes that are made from now on."""
    register_url_convertor("int", _Number())
