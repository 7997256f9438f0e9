"""Numbers in addresses (`{pk:int}`): no more digits than a key of the database can have; longer ones are no address."""

from __future__ import annotations

from starlette.convertors import IntegerConvertor, register_url_convertor


class _Number(IntegerConvertor):
    regex = "[0-9]{1,18}"


def bound() -> None:
    """For all routes that are made from now on."""
    register_url_convertor("int", _Number())
