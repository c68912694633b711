"""Grades a class on hosts that are reached with SSH. Copy this file, name your hosts, and run

    python ssh.py 03 submissions/ --out grades/

with what `grader bulk` takes. It needs `pip install 'image-grader[cluster]' asyncssh` here. Each host needs an engine,
and `image-grader[cluster]` of the same version in the Python named below. Hosts that others can reach want TLS, see the
README.
"""

import subprocess
import sys

from distributed import SSHCluster

#: The scheduler's host comes first: this one, at an address that the others reach. A name twice is two workers.
HOSTS = ["192.0.2.1", "lab1", "lab2", "lab3"]
#: Where the grader is installed on the hosts.
PYTHON = "/opt/grader/bin/python"


def main() -> int:
    """Starts the cluster, grades, and ends it."""
    with SSHCluster(HOSTS, remote_python=PYTHON, worker_options={"nthreads": 1}) as cluster:
        return subprocess.run(
            ["grader", "bulk", *sys.argv[1:], "--cluster", cluster.scheduler_address], check=False
        ).returncode


if __name__ == "__main__":
    raise SystemExit(main())
