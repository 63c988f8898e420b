"""What can go wrong in a stage: each error is one line for a person and an exit code for the workflow."""


class StageError(Exception):
    """A stage cannot give a physically meaningful result; nothing is written."""

    exit_code = 1


class InputError(StageError):
    """A parameter or an input file is not what the stage accepts."""

    exit_code = 2


class ConvergenceError(StageError):
    """A fit or a root search of the limit did not converge; there is no number to report."""

    exit_code = 7
