"""The history of the tables, one file a step: `NNNN_what.py`, numbers without gaps.

A step is never changed once it was released, imports nothing from the house, and works while the version before it is
still running: add first, fill, and take away one release later. `migrate.py` runs them; their sum equals `schema.py`.
"""
