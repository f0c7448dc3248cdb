"""Every error that snnlab raises on purpose.

All derive from `SnnlabError`. A message names the argument or file, what is accepted, the value found and, if there is
one, the fix.
"""

from snnlab._namesake import refuse_foreign_init

refuse_foreign_init()  # here, because nearly every module imports this one


class SnnlabError(Exception):
    """Base of all errors that snnlab raises on purpose.

    Example:
        >>> import snnlab
        >>> try:
        ...     snnlab.load_data("digit")
        ... except SnnlabError as error:
        ...     print(type(error).__name__)
        ArgumentError
    """


class ArgumentError(SnnlabError, ValueError):
    """An argument has a wrong value, shape or type; the message names it.

    Example:
        >>> import snnlab
        >>> snnlab.SnnConfig(hidden=0)
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: hidden: must be an integer >= 1 and <= 4194304, got 0
    """


class DataError(SnnlabError):
    """A data set is missing, damaged, or not what its name says.

    Example:
        >>> import snnlab
        >>> snnlab.load_data("no/such/folder")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        snnlab.errors.DataError: no/such/folder: does not exist; a data set may be an .npz file with x and y, ...
    """


class FileFormatError(SnnlabError):
    """A file exists but cannot be read in the expected format.

    Example:
        >>> import snnlab
        >>> snnlab.load("no-such.safetensors")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        snnlab.errors.FileFormatError: no-such.safetensors: cannot be read as safetensors (...)
    """


class WriteError(SnnlabError, OSError):
    """A file cannot be written: the disk is full, read-only or gone. What was there before is still there.

    Example:
        >>> from snnlab.history import History
        >>> History().save("/proc/run.json")
        Traceback (most recent call last):
        ...
        snnlab.errors.WriteError: /proc/run.json: cannot be written (No such file or directory)
    """

    def __str__(self) -> str:
        return f"{self.filename}: cannot be written ({self.strerror})"


class StateError(SnnlabError, RuntimeError):
    """A call comes at the wrong moment, such as a second start.

    Example:
        >>> raise StateError("export: still training, epoch 2 of 5; wait, or pause() or stop() first")
        Traceback (most recent call last):
        ...
        snnlab.errors.StateError: export: still training, epoch 2 of 5; wait, or pause() or stop() first
    """


class DivergenceError(SnnlabError, ArithmeticError):
    """The loss, its gradient or the weights became infinite or NaN. The last good state is kept.

    Attributes:
        step: the optimizer step that could not be taken, counted from 0.
        term: the term of the loss whose value or gradient is not finite, or None.
        layer: the first layer whose parameter, output or gradient is not finite, or None.
        learning_rate: its value then, or None if it is no knob of the optimizer.
        advice: a lower learning rate to continue with, or None if that would not help.
        back_to: the number of steps to go back to, or None if that would not help.

    Example:
        >>> import snnlab
        >>> digits = snnlab.load_data("digits").subset(train=64, test=64)
        >>> net = snnlab.build(snnlab.SnnConfig(hidden=5, num_steps=20), sample_shape=(8, 8), num_classes=10)
        >>> trainer = snnlab.Trainer(net, digits, loss=lambda record, y: record.peak.sum() / 0.0, batch_size=32)
        >>> list(trainer)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        snnlab.errors.DivergenceError: step 0: ...
    """

    def __init__(
        self,
        message: str,
        *,
        step: int | None = None,
        term: str | None = None,
        layer: str | None = None,
        learning_rate: float | None = None,
        advice: float | None = None,
        back_to: int | None = None,
    ):
        super().__init__(message)
        self.step, self.term, self.layer = step, term, layer
        self.learning_rate, self.advice, self.back_to = learning_rate, advice, back_to
