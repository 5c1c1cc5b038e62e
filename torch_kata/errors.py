"""A user's mistake: one line that says what is wrong, where, and what to do."""


class UsageError(Exception):
    """Shown as one line, without a traceback; the program ends with status 2."""
