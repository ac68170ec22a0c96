"""The parts of `qed.backprop` (qed/calculus/backprop.py): one forward run, one reverse sweep, and what they show.

tape.py is what the answer holds; sweep.py and naming.py make its lines; layers.py, kinds.py, chains.py and reach.py
find the layers and where the gradient shrinks; rules.py follows the error of a derivative rule; observed.py asks JAX;
nonfinite.py, worked.py, listing.py and told.py put it into words.
"""
