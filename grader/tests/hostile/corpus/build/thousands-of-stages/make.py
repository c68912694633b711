from pathlib import Path


def make(folder: Path) -> None:
    lines = ["FROM debian:bookworm-slim AS s0", *(f"FROM s{number} AS s{number + 1}" for number in range(3000))]
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
