"""Errors that say whose fault they are: each carries the HTTP status that a client sees."""


class HeterosisError(Exception):
    """Anything that heterosis itself reports. ``status`` is the HTTP status of an answer that carries it."""

    status = 500


class UsageError(HeterosisError):
    """What a user of the command line or the library asked for cannot be done; the message says what to do."""

    status = 400


class InvalidInputError(HeterosisError):
    """A request that cannot be served as it is: the client's fault. The message names the field."""

    status = 400


class NotFoundError(HeterosisError):
    """No such model, version or path."""

    status = 404


class TooLargeError(HeterosisError):
    """A body past the size limit."""

    status = 413


class RefusedError(HeterosisError):
    """A request that was refused because the load is beyond what can be answered in time."""

    status = 429
    retry_after_s = 0.0


class DeadlineError(HeterosisError):
    """A request whose deadline passed, or could no longer be met, before it was answered."""

    status = 504


class UnavailableError(HeterosisError):
    """The server is starting, stopping, or has no instance for a stage."""

    status = 503
    retry_after_s = 0.0


class StalePlanError(HeterosisError):
    """A new plan that was made from one which is no longer in force."""

    status = 409


class StageError(HeterosisError):
    """A stage's own code or model failed on one call: the pipeline author's fault. The message names the stage."""

    status = 500


class EngineError(HeterosisError):
    """An engine is missing, refused an artifact, or was given a tensor that does not fit."""

    status = 500


class HardwareError(HeterosisError):
    """A device, meter or power mode that is not there or not permitted; the message says which, and what helps."""

    status = 500
