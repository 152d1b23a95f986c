"""What becomes of Ctrl-C: others make errors of their own of it, which would pass for faults of a file or of a day.

Belongs here: recognising them. Does not belong here: what is done then.
"""


def means_stop(name: str, words: str) -> bool:
    """Whether an error of this class with these words is Ctrl-C: Python's, Dagster's or DuckDB's."""
    if name == "RuntimeError":
        return words == "Query interrupted"
    return name in ("KeyboardInterrupt", "DagsterExecutionInterruptedError")


def is_stop(error: BaseException) -> bool:
    """The same of an exception."""
    return means_stop(type(error).__name__, str(error))
