"""A rate that each of many may use: token buckets in memory, in the form of the generic cell rate algorithm.

ITU-T I.371: of each key one number is kept, the time at which its bucket would be full again. Pure but for that memory;
time comes in. For one thread.
"""

from __future__ import annotations

from collections.abc import Hashable


class Buckets:
    """Allows each key `burst` at once, and `per_s` a second in the long run."""

    def __init__(self, per_s: float, burst: int, most_keys: int = 100_000) -> None:
        # A little more than the burst, so that sums of fractions do not cost the last of it.
        self._interval_s, self._room_s = 1 / per_s, (burst + 1e-6) / per_s
        self._most_keys = most_keys
        self._full_at_s: dict[Hashable, float] = {}

    def take(self, key: Hashable, now_s: float) -> float:
        """0 where it may go on; else the seconds after which it may."""
        full_at_s = self._full_at_s.get(key, now_s)
        if full_at_s < now_s:
            full_at_s = now_s
        next_s = full_at_s + self._interval_s
        if next_s - now_s > self._room_s:
            return next_s - now_s - self._room_s
        self._full_at_s[key] = next_s
        if len(self._full_at_s) > self._most_keys:
            self._forget(now_s)
        return 0.0

    def __len__(self) -> int:
        return len(self._full_at_s)

    def _forget(self, now_s: float) -> None:
        """Those that are full; where that is not half, those that used least lately."""
        emptied = {key: at_s for key, at_s in self._full_at_s.items() if at_s > now_s}
        if len(emptied) > self._most_keys // 2:
            newest = sorted(emptied.items(), key=lambda each: each[1])[-(self._most_keys // 2) :]
            emptied = dict(newest)
        self._full_at_s = emptied
