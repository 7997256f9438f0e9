"""What was found of a secret, remembered between looks at the database: cookies come with every image."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

#: What another process has ended ends here within so long.
LOOK_S = 2.0
#: Remembered at a time; beyond it all are asked for anew.
_MOST = 20_000

V = TypeVar("V")


class Recalled(Generic[V]):
    """One for each kind of secret and process; any thread."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._known: dict[str, tuple[V, float]] = {}
        self._epoch = 0

    def get(self, secret: str, look: Callable[[], V | None]) -> V | None:
        """What `look` finds, or found lately; that there is nothing is not remembered."""
        known = self._known.get(secret)
        if known is not None and self._monotonic() < known[1]:
            return known[0]
        epoch, until = self._epoch, self._monotonic() + LOOK_S
        self._known.pop(secret, None)
        found = look()
        if found is not None:
            if len(self._known) >= _MOST:
                self._known = {}
            if epoch == self._epoch:
                self._known[secret] = found, until
        return found

    def forget(self) -> None:
        """Something ended, and that is committed: what is being looked up just now is not remembered either."""
        self._epoch += 1
        self._known = {}
