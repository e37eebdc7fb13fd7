"""Makes sure that a release is one: ``python packaging/check_tag.py v0.2.0``.

The tag, the version in pyproject.toml and the newest release of CHANGELOG.md must be the same.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION = re.compile(r'^version = "([^"]+)"$', re.MULTILINE)
RELEASE = re.compile(r"^## \[(\d[^\]]*)\] - \d{4}-\d\d-\d\d$", re.MULTILINE)


def fault(tag: str, root: Path = ROOT) -> str | None:
    """Returns what does not fit a tag; None where all does."""
    version = VERSION.search((root / "pyproject.toml").read_text("utf-8"))
    release = RELEASE.search((root / "CHANGELOG.md").read_text("utf-8"))
    if version is None or release is None:
        return "[release] expected a version and a dated release; found none; write them"
    if not tag == f"v{version[1]}" == f"v{release[1]}":
        return (
            f"[release] expected one version; found the tag {tag}, {version[1]} in pyproject.toml "
            f"and {release[1]} in CHANGELOG.md; change what is wrong"
        )
    return None


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(fault(sys.argv[1]))
