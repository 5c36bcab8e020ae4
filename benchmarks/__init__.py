"""Benchmarks: measurements and long-running experiments that are too slow or too machine-dependent for the tests."""
