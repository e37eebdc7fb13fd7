"""The page in a browser: what a person sees, presses and hears."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .conftest import EXAMPLES, RunningServer

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
if BROWSER is None:
    pytest.skip("no Chromium is installed", allow_module_level=True)

PHONE = {"width": 390, "height": 844}
READ = "#copy:not([disabled])"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=BROWSER, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, server: RunningServer) -> Iterator[Any]:
    """The page, opened; whatever goes wrong in it, or leaves the server, fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(30_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console", lambda message: wrong.append(message.text) if message.type == "error" else None
    )
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((server.url, "data:", "blob:"))
            else wrong.append(request.url)
        ),
    )
    page.goto(server.url)
    page.wrong = wrong
    yield page
    context.close()
    assert page.wrong == []


def drop(page: Any, name: str, data: bytes, kind: str) -> None:
    """Drops a file upon the page, as a person does."""
    page.evaluate(
        """([name, bytes, kind]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name, { type: kind }));
            for (const event of ["dragover", "drop"])
                document.body.dispatchEvent(new DragEvent(
                    event, { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }""",
        [name, list(data), kind],
    )


def violations(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core")
    found = axe.Axe().run(page).response["violations"]
    return [f"{violation['id']}: {violation['nodes'][0]['html']}" for violation in found]


def test_a_dropped_picture_is_read_beside_itself(page: Any, receipt: bytes) -> None:
    drop(page, "receipt.png", receipt, "image/png")
    page.wait_for_selector(READ)
    assert "CORNER CAFE" in page.inner_text("#text")
    assert page.get_attribute("#sheet img", "alt") == "Page 1"
    assert "words" in page.inner_text("#facts")
    assert page.inner_text("#status").startswith("Done")


def test_a_pasted_picture_is_read(page: Any, receipt: bytes) -> None:
    page.evaluate(
        """(bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "pasted.png", { type: "image/png" }));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
        }""",
        list(receipt),
    )
    page.wait_for_selector(READ)
    assert "Bagel" in page.inner_text("#text")


def test_the_pages_of_a_document_can_be_chosen_by_keyboard(page: Any) -> None:
    from PIL import Image

    from .conftest import encoded

    pages = [
        Image.open(EXAMPLES / name).convert("RGB") for name in ("receipt.png", "paragraph.png")
    ]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    drop(page, "two.tif", data, "image/tiff")
    page.wait_for_selector(READ)
    assert page.locator("#pages button").count() == 2
    page.focus("#pages button:nth-child(2)")
    page.keyboard.press("Enter")
    assert page.get_attribute("#pages button:nth-child(2)", "aria-current") == "page"
    assert "CORNER" not in page.inner_text("#text")


def test_what_is_wrong_is_said_aloud(page: Any) -> None:
    drop(page, "broken.png", b"\x89PNG\r\n\x1a\n" + bytes(50), "image/png")
    alert = page.wait_for_selector("#error:not([hidden])")
    assert alert.get_attribute("role") == "alert"
    assert "document" in alert.inner_text()
    page.wrong.clear()  # the browser notes every 400


def test_reading_can_be_stopped(page: Any, client: httpx.Client) -> None:
    from PIL import Image

    from .conftest import encoded

    wide = Image.open(EXAMPLES / "receipt.png").convert("RGB").resize((2400, 1600))
    data = encoded(wide, "TIFF", save_all=True, append_images=[wide] * 15)
    drop(page, "many.tif", data, "image/tiff")
    page.click("#stop:not([hidden])")
    page.wait_for_selector("#stop", state="hidden")
    assert page.inner_text("#status") == "Stopped."
    for _ in range(100):
        text = client.get("/metrics").text
        if 'crispvl_requests_running{model="crispvl-nano"} 0.0' in text:
            break
        page.wait_for_timeout(100)
    assert 'crispvl_requests_running{model="crispvl-nano"} 0.0' in text


def test_a_question_is_answered_below_the_text(page: Any) -> None:
    page.click("#sample")
    page.wait_for_selector(READ)
    page.fill("#question", "OCR")
    page.keyboard.press("Enter")
    page.wait_for_selector(".turn:not(.mine):not(.live)")
    mine, answer = page.locator(".turn").all_inner_texts()
    assert mine == "OCR"
    assert answer


def test_what_was_read_can_be_saved(page: Any) -> None:
    page.click("#sample")
    page.wait_for_selector(READ)
    for kind, name in (("text", "sample.txt"), ("markdown", "sample.md"), ("json", "sample.json")):
        page.click("#save summary")
        with page.expect_download() as download:
            page.click(f'[data-format="{kind}"]')
        assert download.value.suggested_filename == name
        assert "CORNER CAFE" in download.value.path().read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{"width": 1280, "height": 800}, PHONE])
def test_nobody_is_shut_out(page: Any, scheme: str, size: dict[str, int]) -> None:
    """axe-core finds nothing, before and after reading, and a phone need not scroll sideways."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    assert violations(page) == []
    page.click("#sample")
    page.wait_for_selector(READ)
    page.wait_for_timeout(1200)  # the lines have faded
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_the_page_is_of_this_server_alone(client: httpx.Client) -> None:
    response = client.get("/")
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    for address in ("http://", "https://", "//"):
        assert f'"{address}' not in response.text
    again = client.get("/", headers={"if-none-match": response.headers["etag"]})
    assert again.status_code == 304
    assert client.get("/static/..%2Foptions.py").status_code == 404
