"""`python -m grader.benchmarks single|watch|list|checks|scan`."""

from __future__ import annotations

import sys

from grader.benchmarks import checks, listing, scan, single, watch

BENCHMARKS = {
    "single": single.main,
    "watch": watch.main,
    "list": listing.main,
    "checks": checks.main,
    "scan": scan.main,
}


def main() -> int:
    """Runs the benchmark named on the command line."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in BENCHMARKS:
        print(f"usage: python -m grader.benchmarks {'|'.join(BENCHMARKS)} [ROUNDS]", file=sys.stderr)
        return 2
    return BENCHMARKS[name](int(sys.argv[2]) if len(sys.argv) > 2 else 15)


sys.exit(main())
