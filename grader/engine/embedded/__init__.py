"""The parts of the embedded engine (`engine.private`): its dockerd, its disk, its network, its limits."""
