"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import settings

# CI tries the same examples every time, so that a red run is this change's doing; at a desk they are new each time.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("desk", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "desk")
