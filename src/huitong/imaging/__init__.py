"""Pictures in and out. Entered from outside by `actions`, `model` and `errors` only."""
