"""Makes the part of a web address that names a page out of the page's title."""

import re
import unicodedata


def slugify(title):
    """`Crème brûlée, for two!` becomes `creme-brulee-for-two`."""
    letters = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return "-".join(re.findall(r"[a-z0-9]+", letters.lower()))
