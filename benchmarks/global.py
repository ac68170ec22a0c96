"""`python -m benchmarks.global`: the benchmark of global minima under its short name.

It is in global_minima.py, since `global` is a keyword and cannot stand behind `import`.
"""

import sys

from benchmarks.global_minima import main

if __name__ == "__main__":
    main(sys.argv[1:])
