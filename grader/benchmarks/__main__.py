"""`python -m grader.benchmarks single|watch|list|checks|scan|bulk`."""

from __future__ import annotations

import sys

from grader.benchmarks import bulk, checks, listing, scan, single, watch

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
    if name == "bulk":
        numbers = [int(word) for word in sys.argv[2:] if word.isdigit()]
        return bulk.main(numbers[0] if numbers else bulk.CLASS, ten_times="--ten-times" in sys.argv)
    if name not in BENCHMARKS:
        print(f"usage: python -m grader.benchmarks {'|'.join(BENCHMARKS)} [ROUNDS]", file=sys.stderr)
        print("       python -m grader.benchmarks bulk [SUBMISSIONS] [--ten-times]", file=sys.stderr)
        return 2
    return BENCHMARKS[name](int(sys.argv[2]) if len(sys.argv) > 2 else 15)


sys.exit(main())
