import pytest
from slugs import slugify


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Hello World", "hello-world"),
        ("Crème brûlée, for two!", "creme-brulee-for-two"),
        ("  a  --  b  ", "a-b"),
        ("2001: A Space Odyssey", "2001-a-space-odyssey"),
        ("...", ""),
    ],
)
def test_slugs(title, slug):
    assert slugify(title) == slug


def test_a_slug_is_its_own_slug():
    assert slugify(slugify("Same again?")) == slugify("Same again?")
