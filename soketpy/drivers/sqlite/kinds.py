"""The kinds of jobs of the thread of a queue."""

from enum import Enum


class Kind(Enum):
    """The kind of a job. It decides on the transaction, and on what happens if the transaction fails.

    A PUT and a CHANGE survive a crash of the machine. A RESULT survives a crash of the process; if it cannot be stored,
    the thread keeps it and stores it with a later job.
    """

    READ = 0
    CHANGE = 1
    RESULT = 2
    PUT = 3
