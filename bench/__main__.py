"""python -m bench [appends|edge|tokens|nodes|capacity|peers|facilitation|solve]: every figure, or those of one file."""

from __future__ import annotations

import sys
from importlib import import_module

from bench.measure import table

PARTS = ("appends", "edge", "tokens", "nodes", "capacity", "peers", "facilitation", "solve")

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        print(f"{name}\n{table(list(import_module(f'bench.{name}').rows()))}\n", flush=True)
