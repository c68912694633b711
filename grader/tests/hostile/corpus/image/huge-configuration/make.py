from pathlib import Path


def make(folder: Path) -> None:
    lines = ["FROM debian:bookworm-slim", *(f"LABEL l{n}={'x' * 50_000}\nENV e{n}={'x' * 50_000}" for n in range(100))]
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
