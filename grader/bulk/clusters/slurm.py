"""Grades a class in jobs of SLURM. Copy this file, mend what is in capitals, and run on a login node

    python slurm.py 03 submissions/ --out grades/

with what `grader bulk` takes. It needs `pip install 'image-grader[cluster]' dask-jobqueue`, in a folder that all nodes
share. The nodes need an engine for whoever submits the job: rootless Docker or Podman as a rule.
"""

import subprocess
import sys

from dask_jobqueue import SLURMCluster
from distributed import Client

JOBS = 8
PARTITION = "compute"
#: How a job finds its engine, and whatever else a shell does before it works.
PROLOGUE = ["export DOCKER_HOST=unix:///run/user/$(id -u)/docker.sock"]


def main() -> int:
    """Submits the jobs, grades as soon as the first one runs, and ends them."""
    cluster = SLURMCluster(
        queue=PARTITION,
        cores=1,
        processes=1,
        memory="4GB",
        walltime="02:00:00",
        job_script_prologue=PROLOGUE,
        # A job that SLURM ends early leaves Dask the time to give its work to another.
        worker_extra_args=["--lifetime", "115m", "--lifetime-stagger", "4m"],
    )
    with cluster:
        cluster.scale(jobs=JOBS)
        with Client(cluster) as client:
            client.wait_for_workers(1)
        return subprocess.run(
            ["grader", "bulk", *sys.argv[1:], "--cluster", cluster.scheduler_address], check=False
        ).returncode


if __name__ == "__main__":
    raise SystemExit(main())
