"""The computation graph that a function traces to, its source lines, and the loops that walk it."""
