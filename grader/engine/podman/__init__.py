"""What is different with Podman: its own builder, Buildah, and its own API, libpod."""
