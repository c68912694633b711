"""The recipes: which base images have a stand-in, and what it is made of."""

from __future__ import annotations

import hashlib
import pkgutil
import re
from dataclasses import dataclass

OURS = "localhost/grader-stand-in"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# What the real slim images leave out; and the write barriers, which protect nothing in a tree that is made anew.
_SLIM = tuple(
    f"--dpkgopt={option}"
    for option in (
        "path-exclude=/usr/share/doc/*",
        "path-include=/usr/share/doc/*/copyright",
        "path-exclude=/usr/share/groff/*",
        "path-exclude=/usr/share/info/*",
        "path-exclude=/usr/share/lintian/*",
        "path-exclude=/usr/share/locale/*",
        "path-exclude=/usr/share/man/*",
        "force-unsafe-io",
    )
)


@dataclass(frozen=True)
class Recipe:
    """How one stand-in is made: unpacked by mmdebstrap (``options``), or a Dockerfile over its ``parent``.

    ``files`` are those beside this module that it is made from; ``changes`` the image's configuration, in the
    Dockerfile's words, of one that is unpacked.
    """

    reference: str
    parent: str | None = None
    files: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """The reference in the characters that a tag may have."""
        return re.sub(r"[/:]", "-", self.reference)

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that change whenever this recipe, or one below it, does."""
        told = hashlib.sha256(repr(self).encode())
        for name in self.files:
            told.update(read(name))
        if self.parent:
            told.update(RECIPES[self.parent].version.encode())
        return told.hexdigest()[:12]

    def name(self, fingerprint: str) -> str:
        """The name of our own that the image has from a machine with this fingerprint."""
        return f"{OURS}:{self.slug}-{self.version}-{fingerprint}"

    def is_name(self, name: str) -> bool:
        """Whether this is a name of our own for any version of this recipe."""
        return bool(re.fullmatch(rf"{re.escape(f'{OURS}:{self.slug}')}-[0-9a-f]{{12}}-[0-9a-f]{{8}}", name))


RECIPES = {
    recipe.reference: recipe
    for recipe in (
        Recipe(
            "debian:bookworm-slim",
            options=("--variant=minbase", "--skip=output/dev", *_SLIM),
            changes=("ENV " + _PATH, 'CMD ["bash"]'),
        ),
        Recipe("python:3.11-slim", parent="debian:bookworm-slim", files=("python-slim.Dockerfile",)),
        Recipe("python:3.11", parent="python:3.11-slim", files=("python.Dockerfile",)),
        Recipe(
            "gcr.io/distroless/python3-debian12",
            files=("distroless.sh",),
            options=(
                "--variant=extract",
                "--include=base-files,ca-certificates,libgcc-s1,libgomp1,libpython3.11-stdlib,libstdc++6,netbase,python3,tzdata",
                "--skip=output/dev,chroot/start-stop-daemon,chroot/policy-rc.d",
            ),
            changes=(
                f"ENV {_PATH}",
                "ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
                "ENV LANG=C.UTF-8",
                "USER 0",
                "WORKDIR /",
                'ENTRYPOINT ["/usr/bin/python3.11"]',
            ),
        ),
        Recipe(
            "gcr.io/distroless/python3-debian12:nonroot",
            parent="gcr.io/distroless/python3-debian12",
            files=("distroless-nonroot.Dockerfile",),
        ),
    )
}


def recipe_for(reference: str) -> Recipe | None:
    """The recipe of a reference in any of its spellings, None when there is none."""
    name = reference.removeprefix("docker.io/").removeprefix("library/").removesuffix(":latest")
    return RECIPES.get(name)


def full_name(reference: str) -> str:
    """A reference with its registry and tag: Podman would put a shorter one under ``localhost/``."""
    name = reference if re.search(r"[:@][^/]*$", reference) else f"{reference}:latest"
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def read(name: str) -> bytes:
    """One of the recipes' files."""
    # Not importlib.resources: a grading by a stand-in waits for its import, and for that of zipfile.
    data = pkgutil.get_data(__package__ or "", name)
    assert data is not None  # noqa: S101  # only loaders that know no data say so
    return data
