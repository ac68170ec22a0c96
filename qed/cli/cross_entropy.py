"""``qed cross_entropy [FILE.py] --p LAW --q LAW``: the cross-entropy of two laws."""

from qed.cli.laws import pair_command

command = pair_command(
    "cross_entropy", "How long is a code for p that is made for q: -E log q under p, or that it is infinite."
)
