"""What fails beneath the grader: the engine, a registry, a disk, a clock; and the grader itself, killed."""
