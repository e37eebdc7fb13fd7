"""Makes the README's links absolute, for the package index, which shows it away from its files.

    python packaging/readme_links.py https://github.com/OWNER/NAME v0.2.0

The release workflow runs it before it builds, with the address of the repository that it runs in.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
LINK = re.compile(r"(!?)(\[[^\]]*\])\((?!https?://|#)([^)]+)\)")


def absolute(page: str, repository: str, tag: str) -> str:
    """Returns a page whose relative links and pictures lead to the repository as of a tag."""

    def replaced(match: re.Match[str]) -> str:
        picture, title, path = match.groups()
        kind = "raw" if picture else "blob"
        return f"{picture}{title}({repository}/{kind}/{tag}/{path})"

    return LINK.sub(replaced, page)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    README.write_text(absolute(README.read_text("utf-8"), *sys.argv[1:]), "utf-8")
