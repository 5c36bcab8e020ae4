"""Real servers on loopback ports, installed as Python wheels: the demo, the tests and the benchmarks use no others.

Each server is a context manager. It starts the server with its data in `folder`, waits until the server answers, and
stops it at the end of the block.
"""
