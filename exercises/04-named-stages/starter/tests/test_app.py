import pytest
from app import answer


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/", {}, 200),
        ("/health", {}, 200),
        ("/slug", {"title": ["Hello"]}, 200),
        ("/slug", {}, 400),
        ("/nowhere", {}, 404),
    ],
)
def test_statuses(path, query, status):
    assert answer(path, query)[0] == status


def test_slug():
    assert answer("/slug", {"title": ["Hello World"]})[1] == {"title": "Hello World", "slug": "hello-world"}
