from pathlib import Path


def make(folder: Path) -> None:
    lines = ["FROM debian:bookworm-slim", f"ENV A={'x' * 200_000}", "RUN true"]
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
