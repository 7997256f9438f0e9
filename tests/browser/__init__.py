"""A package, so that the fixtures of its scope end with it: a running Playwright holds the thread's event loop, and
tests that come after would find no other."""
