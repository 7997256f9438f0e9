"""A made province: people with a known truth, and what institutions registered of them, with the errors of life.

Everything follows from a seed and a number of people: the same two give the same files, byte for byte. People come in
households and in batches that are drawn apart, so that ten million need no more memory than ten thousand. What is
drawn from is `population.toml`, with its sources. Later kinds of data (visits, results, cases) are drawn for the same
people in modules beside `people` and `records`.
"""

from huitong.cli.simulate.people import Person, people
from huitong.cli.simulate.records import Record, records
from huitong.cli.simulate.writing import Written, write

__all__ = ["Person", "Record", "Written", "people", "records", "write"]
