"""What a room offers over FHIR, as a table of resource types and operations; the app joins the tables of all rooms.

A handler is given the key that access granted to the caller (`W`, in the rooms above `access` a `Work`), works in a
thread, and returns resources or raises an error of `base.errors`. Everything of HTTP is the app's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from huitong.wire.fhir.bundle import Page
from huitong.wire.fhir.resources import Resource
from huitong.wire.fhir.search import COMMON, Search, SearchParameter

W = TypeVar("W", contravariant=True)


@dataclass(frozen=True, slots=True)
class OperationCall:
    """What an operation is asked."""

    #: The Parameters resource; of a GET made of its query string, each value a `valueString`.
    parameters: Resource
    #: Logical id where the address names one, else empty.
    id: str = ""


@dataclass(frozen=True)
class Operation(Generic[W]):
    """An operation (FHIR R4 3.2.0) on a type, on its instances, or on both."""

    #: Without the dollar: "match".
    name: str
    #: Canonical address of its definition.
    definition: str
    #: A Page is answered as searchset Bundle, a resource as it is.
    run: Callable[[W, OperationCall], Resource | Page]
    about: str
    on_type: bool = True
    on_instance: bool = False
    #: Whether GET will do: it changes nothing and its parameters are simple.
    by_get: bool = False


@dataclass(frozen=True)
class ResourceType(Generic[W]):
    """A type of resource that is served."""

    name: str
    #: The resource of this logical id. Raises NotFound, Gone.
    read: Callable[[W, str], Resource]
    search: Callable[[W, Search], Page]
    parameters: tuple[SearchParameter, ...]
    operations: tuple[Operation[W], ...] = ()
    #: Canonical addresses of the profiles that its resources keep to.
    profiles: tuple[str, ...] = ()
    about: str = ""

    def search_parameters(self) -> dict[str, SearchParameter]:
        """By name, with those that all types have."""
        return {each.name: each for each in (*COMMON, *self.parameters)}
