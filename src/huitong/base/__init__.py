"""Settings, errors, clock and logging: what every room may use, and which knows no room."""
