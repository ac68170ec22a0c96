"""``qed expect FILE.py:FUNCTION --measure MEASURE [--tol T]``: the integral of a function against a measure."""

from qed.cli.against import integral_command

command = integral_command(
    "expect", "What is the mean of the function under a probability law, or its integral against a measure."
)
