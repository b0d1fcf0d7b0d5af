"""Measurements, each a ratio against a bound that is measured in the same run. Never tests: machines differ."""
