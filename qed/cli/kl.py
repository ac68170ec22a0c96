"""``qed kl [FILE.py] --p LAW --q LAW``: the divergence of two laws."""

from qed.cli.laws import pair_command

command = pair_command(
    "kl", "How far is one law from another: the divergence KL(p || q), or that it is infinite, and where."
)
