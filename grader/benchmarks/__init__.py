"""How fast the grader is, measured beside a peer in the same run: `python -m grader.benchmarks NAME`."""
