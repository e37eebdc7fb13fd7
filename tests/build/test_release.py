"""A release has one version, and wheels for three systems."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from .conftest import ROOT

WORKFLOW = ROOT / ".github" / "workflows" / "wheels.yml"


def packaging(name: str) -> ModuleType:
    """A script of the folder of that name."""
    path = ROOT / "packaging" / f"{name}.py"
    if not (path.is_file() and (ROOT / "CHANGELOG.md").is_file()):
        pytest.skip("this tree lacks the packaging or the changes")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def check_tag() -> ModuleType:
    return packaging("check_tag")


def test_the_readmes_links_lead_to_files_of_the_repository_wherever_it_is_shown() -> None:
    page = (ROOT / "README.md").read_text("utf-8")
    shown = packaging("readme_links").absolute(page, "https://host/us/crispvl", "v1.2.3")
    kinds = {"raw": 0, "blob": 0}
    for kind, path in re.findall(
        r"\(https://host/us/crispvl/(raw|blob)/v1\.2\.3/([^)#]+)\)", shown
    ):
        assert (ROOT / path).is_file(), path
        kinds[kind] += 1
    assert kinds["raw"] == 1
    assert kinds["blob"] > 5
    assert re.findall(r"\]\((?!https://)", shown) == []


def test_the_changes_end_with_the_version_that_is_built(check_tag: ModuleType) -> None:
    version = check_tag.VERSION.search((ROOT / "pyproject.toml").read_text("utf-8"))[1]
    assert check_tag.fault(f"v{version}") is None


@pytest.mark.parametrize(
    ("tag", "version", "release"),
    [("v0.2.1", "0.2.0", "0.2.0"), ("v0.2.0", "0.2.1", "0.2.0"), ("v0.2.0", "0.2.0", "0.1.0"),
     ("0.2.0", "0.2.0", "0.2.0")],
)  # fmt: skip
def test_a_release_of_two_versions_is_refused(
    tag: str, version: str, release: str, check_tag: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text(f'name = "x"\nversion = "{version}"\n')
    changes = f"## [Unreleased]\n\n## [{release}] - 2026-01-02\n\n## [0.0.1] - 2025-01-02\n"
    (tmp_path / "CHANGELOG.md").write_text(changes)
    assert tag in str(check_tag.fault(tag, tmp_path))


def test_wheels_of_three_systems_are_built_before_anything_is_published() -> None:
    if not WORKFLOW.is_file():
        pytest.skip("the source distribution has no workflows")
    text = WORKFLOW.read_text("utf-8")
    systems = re.search(r"os: \[(.*)\]", text)
    assert systems is not None
    assert {name.split("-")[0] for name in systems[1].split(", ")} == {"ubuntu", "macos", "windows"}
    needed = re.search(r"publish:\n    needs: \[(.*)\]", text)
    assert needed is not None
    assert {"ci", "sdist", "wheel", "try"} <= set(needed[1].split(", "))
    assert 'packaging/check_tag.py "$GITHUB_REF_NAME"' in text
    assert text.index("packaging/readme_links.py") < text.index("make sdist")


def test_the_second_source_distribution_does_not_hold_the_first() -> None:
    if not WORKFLOW.is_file():
        pytest.skip("the source distribution has no workflows")
    kept = re.search(r"cp -r dist (\S+)", WORKFLOW.read_text("utf-8"))
    assert kept is not None
    # Whatever lies in the checkout and git does not ignore is packed.
    assert kept[1].startswith('"$RUNNER_TEMP/')
