"""The status page, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.browser import Browser, browser
from tests.fixed_node import BACK, CPU, EMBEDDED, FARM, GONE, FixedNode
from tests.gateway_thread import GatewayThread


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.fixture
def node() -> FixedNode:
    return FixedNode(EMBEDDED, FARM, GONE)


@pytest.fixture
def gateway(node: FixedNode, tmp_path: Path) -> Iterator[GatewayThread]:
    with GatewayThread(node, tmp_path) as running:
        yield running


def shown(window: Browser, gateway: GatewayThread) -> None:
    """Opens the page as a new reader and gives it a key."""
    window.open(f"{gateway.url}/status")
    window.script("sessionStorage.clear()")
    window.open(f"{gateway.url}/status")
    window.wait_for("API key")
    window.type("#key", gateway.key())
    window.wait_for("Live")


def test_the_page_holds_no_key_loads_nothing_from_elsewhere_and_says_so(gateway: GatewayThread) -> None:
    response = httpx.get(f"{gateway.url}/status")
    assert response.status_code == 200
    assert "http:" not in response.text
    assert "https:" not in response.text
    assert "hgr_" not in response.text
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_a_reader_sees_every_device_with_its_state_in_words_and_what_is_simulated(
    window: Browser, gateway: GatewayThread
) -> None:
    shown(window, gateway)
    cards = {
        card.splitlines()[0]: card
        for card in window.script("return [...document.querySelectorAll('.device')].map((card) => card.innerText)")
    }
    assert set(cards) == {"cpu", "simulated:usb3", "edgetpu:pci:0"}
    assert "serving" in cards["cpu"]
    assert "SIMULATED" not in cards["cpu"]
    assert "25 % busy" in cards["cpu"]
    assert "1 of 2" in cards["cpu"]
    lost = cards["simulated:usb3"]
    for words in ("faulty: lost", "SIMULATED", "no sensor", "2 × lost", "out of service for 12\u00a0s, next try in 4\u00a0s"):
        assert words in lost
    assert "54 °C" in cards["edgetpu:pci:0"]
    assert "not reachable" in window.text
    assert "silent for 2 s" in window.text
    assert window.console() == []


def test_what_a_device_says_of_its_fault_is_text_and_never_markup(window: Browser, gateway: GatewayThread) -> None:
    shown(window, gateway)
    assert "<b>went away</b>" in window.text
    assert window.script("return document.querySelectorAll('#nodes b').length") == 0


def test_a_device_that_comes_back_turns_serving_on_the_page_by_itself_and_is_announced(
    window: Browser, gateway: GatewayThread, node: FixedNode
) -> None:
    shown(window, gateway)
    window.script("window.card = document.querySelectorAll('.device')[1]")
    node.states_now[0] = msgspec.structs.replace(EMBEDDED, devices=[CPU, BACK])
    window.wait_for("50 % busy")
    assert "faulty" not in window.script("return window.card.innerText"), "the card is the same and has changed"
    assert "simulated:usb3 on embedded: serving" in window.script("return document.getElementById('changes').textContent")
    assert "Last fault" in window.text, "the last cause stays"


def test_a_gateway_that_does_not_answer_is_told_and_the_old_state_is_marked_as_old(
    window: Browser, node: FixedNode, tmp_path: Path
) -> None:
    with GatewayThread(node, tmp_path) as gateway:
        shown(window, gateway)
    window.wait_for("No answer from the gateway; what is shown was so at")
    assert window.script("return document.getElementById('nodes').className") == "stale"


def test_a_key_that_may_not_see_nodes_is_refused_in_words_and_forgotten(window: Browser, gateway: GatewayThread) -> None:
    window.open(f"{gateway.url}/status")
    window.wait_for("API key")
    window.type("#key", gateway.key(["read"]))
    window.wait_for("lacks the scope nodes or admin")
    assert window.script("return sessionStorage.length") == 0


def test_the_page_fits_a_phone_and_a_desk_in_light_and_dark(window: Browser, gateway: GatewayThread) -> None:
    shown(window, gateway)
    colours = set()
    for width, height in ((360, 740), (1280, 800)):
        for dark in (False, True):
            window.look(width=width, height=height, dark=dark)
            assert window.script("return document.documentElement.scrollWidth") <= width
            colours.add(window.script("return getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2
