"""A cache that forgets what was used longest ago once it weighs too much."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Lru(Generic[K, V]):
    """Thread-safe; `limit` is in the unit of the weights given to `put` (bytes, entries)."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._weight = 0
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self._weight = 0

    def put(self, key: K, value: V, weight: int = 1) -> None:
        """What alone weighs more than a quarter of the limit is not kept: it would empty the cache.

        Nothing weighs less than 1, or what weighs nothing would be kept for ever.
        """
        weight = max(weight, 1)
        with self._lock:
            if (old := self._kept.pop(key, None)) is not None:
                self._weight -= old[1]
            if weight * 4 > self.limit:
                return
            self._kept[key] = (value, weight)
            self._weight += weight
            while self._weight > self.limit:
                _, (_, gone) = self._kept.popitem(last=False)
                self._weight -= gone
