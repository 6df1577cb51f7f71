"""What a command may end with besides success; each is one line on standard error."""


class Mistake(Exception):
    """The command was called in a way that it cannot serve: exit code 2."""


class Failure(Exception):
    """What the command was asked to do did not work: exit code 1."""
