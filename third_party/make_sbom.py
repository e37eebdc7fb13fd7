"""Writes the software bill of materials of what the build compiles in, as CycloneDX 1.6.

Usage: ``python third_party/make_sbom.py OUT.json --pin third_party/ggml/pin.json ...``

The pins beside this file own what is compiled in and its hashes; ``--with`` adds what the build
itself has found, such as pybind11. Python packages that are installed beside crispvl are not part
of it: its metadata names them. The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import re
import unicodedata
import uuid
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LICENCES = {"ggml": "MIT", "stb": "MIT"}


def version() -> str:
    """Returns crispvl's version; pyproject.toml owns it."""
    text = (HERE.parent / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "(.+)"$', text, re.MULTILINE)
    assert found is not None
    return found[1]


def pinned(pin: dict[str, str]) -> dict[str, Any]:
    """Returns the component of a pin.json: the source and the archive that it came in."""
    archive = f"pkg:pypi/{pin['package']}@{pin['package_version']}"
    return {
        **component(pin["name"], pin["version"], LICENCES[pin["name"]]),
        "hashes": [{"alg": "SHA-256", "content": pin["tree_sha256"]}],
        "externalReferences": [
            {
                "type": "source-distribution",
                "url": archive,
                "comment": pin["archive_folder"],
                "hashes": [{"alg": "SHA-256", "content": pin["archive_sha256"]}],
            }
        ],
    }


def component(name: str, version: str, licence: str) -> dict[str, Any]:
    """Returns one library that is compiled in."""
    return {
        "type": "library",
        "bom-ref": f"{name}@{version}",
        "name": name,
        "version": version,
        "licenses": [{"license": {"id": licence}}],
    }


def make_sbom(libraries: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the document; its serial number follows from its content."""
    product = {
        "type": "library",
        "bom-ref": "crispvl",
        "name": "crispvl",
        "version": version(),
        "purl": f"pkg:pypi/crispvl@{version()}",
        "licenses": [{"license": {"id": "MIT"}}],
    }
    content = {
        "metadata": {"component": product},
        "components": libraries,
        "dependencies": [
            {"ref": "crispvl", "dependsOn": [library["bom-ref"] for library in libraries]}
        ],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(content, sort_keys=True))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        **content,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the software bill of materials.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--pin", action="append", default=[], type=Path, help="a pin.json")
    parser.add_argument("--with", action="append", default=[], dest="found", metavar="N=V=L")
    options = parser.parse_args()
    # Its tables are made by the building Python (csrc/text/generate_unicode_tables.py).
    libraries = [component("unicode", unicodedata.unidata_version, "Unicode-3.0")]
    libraries += [pinned(json.loads(pin.read_text(encoding="utf-8"))) for pin in options.pin]
    libraries += [component(*found.split("=")) for found in options.found]
    text = json.dumps(make_sbom(libraries), indent=2) + "\n"
    options.out.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
