"""The command line: the verbs of the library with the same names."""
