"""python -m bench [appends|edge]: every figure, or those of one file."""

from __future__ import annotations

import sys

from bench import appends, edge
from bench.measure import table

PARTS = {"appends": appends.rows, "edge": edge.rows}

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        print(f"{name}\n{table(PARTS[name]())}\n", flush=True)
