"""The exceptions with which a command ends if it does not succeed. Each is printed as one line on standard error."""


class Mistake(Exception):
    """A mistake in the call: exit code 2."""


class Failure(Exception):
    """A failure of what the command was asked to do: exit code 1."""
