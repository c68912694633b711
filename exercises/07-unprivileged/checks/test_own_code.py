"""The app cannot change its own program: read from the image and from the kernel, never asked of the app."""

import posixpath

import pytest


def test_the_app_cannot_change_its_own_program(app, image):
    """The app cannot change its own program"""
    users = {user for process in app.processes() for user in process.users}
    if 0 in users:
        pytest.fail("the app runs as root, who may change it like everything else", pytrace=False)
    programs = {path for path in image.files if path.endswith(".py") and not image.from_base(path)}
    folders = {posixpath.dirname(path) for path in programs} - {""}
    open_ones = [path for path in sorted(programs | folders) if may_write(image.files[path].entry, users)]
    if open_ones:
        told = ", ".join(f"/{path} ({described(image, path)})" for path in open_ones)
        user = ", ".join(map(str, sorted(users)))
        pytest.fail(f"the app runs as user {user}, and may change {told}", pytrace=False)


def may_write(entry, users):
    """Whose it is can always give himself the right, so that the owner's bits do not matter."""
    return entry.uid in users or bool(entry.mode & 0o002)


def described(image, path):
    entry, line = image.files[path].entry, image.line_of(path)
    return f"owner {entry.uid}, mode {entry.mode & 0o7777:04o}" + (f", by line {line}" if line else "")
