from pathlib import Path


def make(folder: Path) -> None:
    lines = ["FROM debian:bookworm-slim", *("COPY Dockerfile /" + str(n) for n in range(140))]
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
