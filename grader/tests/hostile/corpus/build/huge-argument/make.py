from pathlib import Path


def make(folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM debian:bookworm-slim\nRUN : " + "x" * 300_000 + "\n")
