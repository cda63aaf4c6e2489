"""The docs say what the program does."""

import ast
import re
from pathlib import Path

import pytest

from gateway.grpc.status import STATUS as GRPC_STATUS
from gateway.rest.problems import STATUS as REST_STATUS
from gateway.settings import ClientSettings, RemoteNodeSettings, Settings

ROOT = Path(__file__).parents[2]
SOURCES = [
    path
    for layer in ("domains", "edge_runtime", "gateway", "clients/python/hedgerow_client")
    for path in sorted((ROOT / layer).rglob("*.py"))
    if "versions" not in path.parts
]
NOT_OURS = ("var", "node_modules")
PAGES = [
    path for path in ROOT.rglob("*.md") if not any(part.startswith(".venv") or part in NOT_OURS for part in path.parts)
]


def test_every_setting_is_documented_with_its_meaning() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    for settings in (Settings, ClientSettings):
        for name, field in settings.model_fields.items():
            assert f"| `HEDGEROW_{name.upper()}` |" in page
            assert f"| {field.description} |" in page
    for name, field in RemoteNodeSettings.model_fields.items():
        assert f"| `{name}` | {field.description} |" in page


def test_the_table_of_errors_is_that_of_the_program() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    for code, status in REST_STATUS.items():
        assert f"| `{code}` | {status} | {GRPC_STATUS[code].name} |" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_links_to_is_there(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_public_name_has_a_docstring(source: Path) -> None:
    tree = ast.parse(source.read_text())
    assert ast.get_docstring(tree), "the module"
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        assert ast.get_docstring(node), node.name
