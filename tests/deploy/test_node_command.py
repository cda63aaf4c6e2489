"""The units, the images and the page on Coral devices start a node with options that it has."""

import re

import pytest

from tests.deploy.linters import DEPLOY, IMAGES, ROOT, run

PAGE = ROOT / "docs" / "install-coral.md"
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


@pytest.fixture(scope="module")
def known() -> set[str]:
    """The options of `hedgerow node serve`."""
    done = run("hedgerow", "node", "serve", "--help")
    assert done.returncode == 0, done.stderr
    return set(_OPTION.findall(done.stdout))


def test_the_unit_starts_a_node_with_options_that_it_has(known: set[str]) -> None:
    text = (DEPLOY / "hedgerow-node.service").read_text().replace("\\\n", " ")
    lines = re.findall(r"^(?:ExecStart=|# NODE_OPTIONS=).+$", text, re.MULTILINE)
    assert len(lines) == 2
    assert options(*lines) <= known


@pytest.mark.parametrize("image", IMAGES[1:])
def test_the_image_starts_a_node_with_options_that_it_has(image: str, known: set[str]) -> None:
    lines = re.findall(r"^(?:ENTRYPOINT|CMD) .+$", (DEPLOY / image).read_text(), re.MULTILINE)
    assert len(lines) == 2
    assert {"--listen", "--data", "--client-ca"} <= options(*lines) <= known


def test_the_page_names_options_that_a_node_has(known: set[str]) -> None:
    page = PAGE.read_text()
    section = page[page.index("## Certificates") : page.index("## Coral Dev Board")]
    named = options(*re.findall(r"`(--[a-z-]+)`", section))
    started = options(*re.findall(r"`(?:NODE_OPTIONS=|\.\.\. hedgerow-node )([^`]+)`", page))
    assert {"--token-file", "--plaintext"} <= named <= known
    assert {"--name", "--device", "--client-ca"} <= started <= known


def options(*texts: str) -> set[str]:
    """The options that stand in some texts."""
    return {option for text in texts for option in _OPTION.findall(text)}
