"""Every error that snnlab raises on purpose.

All derive from :class:`SnnlabError`, and each message names what is wrong, the
value that was found, what is accepted and, where there is one, the fix.
"""


class SnnlabError(Exception):
    """Base of all errors that snnlab raises on purpose."""


class ArgumentError(SnnlabError, ValueError):
    """An argument has a wrong value, shape or type; the message names it."""


class DataError(SnnlabError):
    """A data set is missing, damaged, or not what it says it is."""


class FileFormatError(SnnlabError):
    """A file exists but cannot be read as what it should be."""


class StateError(SnnlabError, RuntimeError):
    """The call is right but comes at the wrong moment, e.g. starting twice."""


class DivergenceError(SnnlabError, ArithmeticError):
    """The loss became infinite or NaN; the state from before is kept."""
