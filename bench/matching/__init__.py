"""How well people are matched: training with Splink, FEBRL, a made population of known truth, the look-up.

`splinking`, `train` and `febrl` run in a virtual environment of their own (`setup`), all else in that of the clone.
"""
