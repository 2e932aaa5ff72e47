"""What can be wrong with the files that a command is given."""

from __future__ import annotations

from airgap_bundle.errors import InputProblem, StateProblem


class FileThere(StateProblem):
    """A file would be replaced."""

    exit_code = 33
    message = "{path} is there already"
    hint = "Name another file, or remove that one first."


class CannotRead(InputProblem):
    """A file that was named cannot be read."""

    exit_code = 17
    message = "{path} cannot be read: {why}"
    hint = "Check the path and its permissions."


class WrongInput(InputProblem):
    """What was given does not fit together."""

    exit_code = 18
    message = "{what}"
    hint = "{remedy}"
