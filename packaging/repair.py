"""Turns a built wheel into one for other machines: ``python packaging/repair.py FROM_DIR TO_DIR``.

On Linux auditwheel names the oldest glibc that the wheel runs with; elsewhere it is taken as it is.
cibuildwheel does the same in its own images (pyproject.toml), whose old glibc is what makes a wheel
manylinux_2_28; one built on a newer system gets that system's tag.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def main(source: Path, target: Path) -> None:
    (wheel,) = source.glob("crispvl-*.whl")
    target.mkdir(parents=True, exist_ok=True)
    if sys.platform == "linux":
        command = [sys.executable, "-m", "auditwheel", "repair", "-w", str(target), str(wheel)]
        subprocess.run(command, check=True)
    else:
        shutil.copy(wheel, target)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
