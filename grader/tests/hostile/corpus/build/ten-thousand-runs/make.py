from pathlib import Path


def make(folder: Path) -> None:
    lines = ["FROM debian:bookworm-slim", *(f"RUN true {number}" for number in range(10_000))]
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
