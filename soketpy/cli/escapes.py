"""Text of servers for a terminal: no control character reaches the terminal."""


def escaped(text: str) -> str:
    """Return a text without control characters and line breaks: they appear as in a string of Python."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
