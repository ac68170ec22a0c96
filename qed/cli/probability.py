"""``qed probability FILE.py:EVENT --measure MEASURE``: how much of a measure lies where the event is true."""

from qed.cli.against import integral_command

command = integral_command(
    "probability", "How probable is an event, a function of the file that returns a truth value."
)
