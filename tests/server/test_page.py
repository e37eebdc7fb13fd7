"""The page in a browser: what a person sees, presses and hears."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from crispvl import CrispOCR
from crispvl.results.document import Document
from crispvl.results.generation import Generation, Timings
from crispvl.results.html_report import html_report
from crispvl.results.page import Page
from PIL import Image

from .conftest import EXAMPLES, RunningServer, encoded

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
if BROWSER is None:
    pytest.skip("no Chromium is installed", allow_module_level=True)

SAMPLE = Path(str(files("crispvl.web") / "sample.png"))
PHONE = {"width": 390, "height": 844}
READ = "#copy:not([disabled])"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with playwright.sync_playwright() as running:
        try:
            chromium = running.chromium.launch(executable_path=BROWSER, args=arguments)
        except playwright.Error as error:
            pytest.skip(f"Chromium does not start here: {str(error).splitlines()[0]}")
        yield chromium
        chromium.close()


@contextlib.contextmanager
def opened(browser: Any, address: str) -> Iterator[Any]:
    """Opens a page; whatever goes wrong in it, or leaves its own address, fails the test."""
    with contextlib.closing(browser.new_context(viewport={"width": 1280, "height": 800})) as own:
        page = own.new_page()
        page.set_default_timeout(30_000)
        page.wrong = []
        page.may_lack_answers = False  # the browser notes each, at a moment of its own

        def note_errors(message: Any) -> None:
            is_expected = page.may_lack_answers and message.text.startswith("Failed to load")
            if message.type == "error" and not is_expected:
                page.wrong.append(message.text)

        def note_strangers(request: Any) -> None:
            if not request.url.startswith((address, "data:", "blob:")):
                page.wrong.append(request.url)

        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.on("console", note_errors)
        page.on("request", note_strangers)
        page.goto(address)
        yield page
    assert page.wrong == []


@pytest.fixture
def page(browser: Any, server: RunningServer) -> Iterator[Any]:
    """The page of a server."""
    with opened(browser, server.url) as page:
        yield page


@pytest.fixture(scope="module")
def report(ocr: CrispOCR, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a file that `crispvl view` writes of two pages."""
    pages = [Image.open(path).convert("RGB") for path in (SAMPLE, EXAMPLES / "receipt.png")]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    path = tmp_path_factory.mktemp("view") / "two.html"
    path.write_text(html_report(replace(ocr.recognize(data), source="two.tif"), pages), "utf-8")
    return path.as_uri()


def drop(page: Any, name: str, data: bytes, kind: str) -> None:
    """Drops a file upon the page, as a person does."""
    page.evaluate(
        """([name, packed, kind]) => {
            const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, { type: kind }));
            for (const event of ["dragover", "drop"])
                document.body.dispatchEvent(new DragEvent(
                    event, { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }""",
        [name, base64.b64encode(data).decode(), kind],
    )


def saved(page: Any, kind: str, name: str) -> str:
    """Downloads what was read in a format, and returns it."""
    page.click("#save summary")
    with page.expect_download() as download:
        page.click(f'[data-format="{kind}"]')
    assert download.value.suggested_filename == name
    text = download.value.path().read_text("utf-8")
    assert isinstance(text, str)
    return text


def lit(page: Any, place: str) -> list[str | None]:
    """Returns which lines are lit up on one side."""
    found = page.query_selector_all(f"{place} .on")
    return [node.get_attribute("data-line") for node in found]


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
    page.may_lack_answers = True
    drop(page, "broken.png", b"\x89PNG\r\n\x1a\n" + bytes(50), "image/png")
    alert = page.wait_for_selector("#error:not([hidden])")
    assert alert.get_attribute("role") == "alert"
    assert "broken.png was not read. Expected an image" in alert.inner_text()
    assert "save it as PNG or JPEG" in alert.inner_text()
    assert page.is_visible("#drop")  # for the next one
    assert page.title() == "crispvl"


def test_a_locked_document_asks_for_its_password(page: Any) -> None:
    pikepdf = pytest.importorskip("pikepdf", reason="pikepdf is not installed")
    plain = encoded(Image.open(EXAMPLES / "receipt.png").convert("RGB"), "PDF")
    locked = io.BytesIO()
    with pikepdf.open(io.BytesIO(plain)) as pdf:
        pdf.save(locked, encryption=pikepdf.Encryption(owner="o", user="open"))
    page.may_lack_answers = True
    drop(page, "locked.pdf", locked.getvalue(), "application/pdf")
    page.wait_for_selector("#locked[open]")
    assert violations(page) == []
    page.keyboard.type("shut")
    page.keyboard.press("Enter")
    page.wait_for_selector("#wrong:not([hidden])")
    page.keyboard.type("open")
    page.keyboard.press("Enter")
    page.wait_for_selector(READ)
    assert "CORNER CAFE" in page.inner_text("#text")
    page.fill("#question", "OCR")
    page.keyboard.press("Enter")
    page.wait_for_selector(".turn:not(.mine):not(.live)")
    assert page.is_hidden("#error")
    drop(page, "locked.pdf", locked.getvalue(), "application/pdf")
    page.wait_for_selector("#locked[open]")
    page.keyboard.press("Escape")
    assert page.is_visible("#drop")


def test_a_server_that_ends_in_the_middle_leaves_what_was_read(
    browser: Any, serve: Callable[..., RunningServer]
) -> None:
    server = serve()
    receipt = Image.open(EXAMPLES / "receipt.png").convert("RGB")
    full = Image.new("RGB", (3 * receipt.width, 3 * receipt.height))  # takes its time to be read
    for i in range(9):
        full.paste(receipt, (i % 3 * receipt.width, i // 3 * receipt.height))
    data = encoded(
        full, "TIFF", save_all=True, append_images=[full] * 20, compression="tiff_deflate"
    )
    with opened(browser, server.url) as page:
        drop(page, "many.tif", data, "image/tiff")
        page.wait_for_selector("#text .row")
        page.may_lack_answers = True
        server.process.kill()
        alert = page.wait_for_selector("#error:not([hidden])")
        assert "many.tif was not read to the end. The server cannot" in alert.inner_text()
        assert page.is_enabled("#copy")
        assert page.is_hidden("#stop")
        page.click("#again")
        page.click("#sample")
        assert page.is_visible("#drop")


def test_a_document_is_named_however_long_its_name_is(page: Any, receipt: bytes) -> None:
    name = "a-name-" * 50 + ".png"
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 700})
        drop(page, name, receipt, "image/png")
        page.wait_for_selector(READ)
        assert page.inner_text("#name") == name
        assert page.title() == f"{name} – crispvl"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert width < 1280 or page.locator(".bar").bounding_box()["height"] < 60


def test_each_line_is_written_in_its_own_direction(page: Any, receipt: bytes) -> None:
    drop(page, "receipt.png", receipt, "image/png")
    page.wait_for_selector(READ)
    left = page.evaluate(
        r"""() => {
            const text = "\u0645\u0631\u062d\u0628\u0627\nHello";
            viewer.finish({ ...viewer.page(1).result, text, lines: [], words: [] });
            return [0, 6].map((at) => {
                const range = document.createRange();
                const letters = find("text").firstChild.nextSibling || find("text").firstChild;
                range.setStart(letters, at);
                range.setEnd(letters, at + 1);
                return range.getBoundingClientRect().left;
            });
        }"""
    )
    assert left[0] > left[1] + 100


def test_a_page_without_text_has_no_confidence(page: Any) -> None:
    drop(page, "blank.png", encoded(Image.new("RGB", (300, 400), "white"), "PNG"), "image/png")
    page.wait_for_selector(READ)
    assert page.inner_text("#facts").startswith("No text")
    assert page.inner_text("#text").strip() == "This page is blank."


def test_reading_can_be_stopped(page: Any, client: httpx.Client) -> None:
    wide = Image.open(EXAMPLES / "receipt.png").convert("RGB").resize((2400, 1600))
    data = encoded(
        wide, "TIFF", save_all=True, append_images=[wide] * 15, compression="tiff_deflate"
    )
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


def test_an_answer_can_be_stopped(page: Any) -> None:
    page.route("**/v1/chat/completions", lambda route: None)  # one that never comes
    page.click("#sample")
    page.wait_for_selector(READ)
    page.fill("#question", "OCR")
    page.keyboard.press("Enter")
    page.wait_for_selector(".turn.live")
    page.click('#ask [name="hush"]')
    page.wait_for_selector(".turn.live", state="detached")
    assert page.inner_text("#status") == "Stopped."
    page.unroute("**/v1/chat/completions")
    page.keyboard.type("OCR")  # where the focus is again
    page.click('#ask [name="send"]')
    page.wait_for_selector(".turn:not(.mine):not(.live):not(:empty)")


@pytest.mark.parametrize("layout", ["lines", "page"])
def test_what_is_said_about_questions_is_true_of_the_model_that_read(
    page: Any, layout: str
) -> None:
    page.route("**/v1/models/*", lambda route: route.fulfill(json={"layout": layout}))
    page.click("#sample")
    page.wait_for_selector("#talk")
    page.wait_for_selector("#advice", state="visible" if layout == "lines" else "hidden")


def test_a_line_is_shown_on_both_sides_by_mouse_and_by_keyboard(page: Any) -> None:
    page.click("#sample")
    page.wait_for_selector(READ)
    page.hover("#text .row:nth-of-type(3)")
    assert lit(page, "#sheet") == lit(page, "#text") == ["2"]
    page.hover('#sheet [data-line="5"]')
    assert lit(page, "#sheet") == lit(page, "#text") == ["5"]
    page.focus("#text")
    page.keyboard.press("ArrowDown")
    assert lit(page, "#sheet") == lit(page, "#text") == ["6"]
    assert page.inner_text("#status") == page.inner_text("#text .on")


def test_the_text_beside_a_page_is_the_one_that_is_saved(page: Any) -> None:
    page.click("#sample")
    page.wait_for_selector(READ)
    assert page.evaluate("document.getElementById('text').textContent") == saved(
        page, "text", "sample.txt"
    )


def test_a_page_is_seen_whole_and_can_be_made_larger(page: Any) -> None:
    page.click("#sample")
    page.wait_for_selector(READ)
    is_cut = "(sheet) => sheet.scrollHeight > sheet.clientHeight"
    assert page.eval_on_selector("#sheet", is_cut) is False
    page.click("#larger")
    assert page.eval_on_selector("#sheet", is_cut) is True
    page.click("#smaller")
    assert page.is_disabled("#smaller")
    assert page.eval_on_selector("#sheet", is_cut) is False


def test_what_was_read_can_be_saved(page: Any) -> None:
    page.click("#sample")
    page.wait_for_selector(READ)
    for kind, name in (("text", "sample.txt"), ("markdown", "sample.md"), ("json", "sample.json")):
        assert "Harbour Museum" in saved(page, kind, name)


def test_what_the_server_keeps_no_longer_can_be_saved_too(page: Any) -> None:
    page.click("#sample")
    page.wait_for_selector(READ)
    page.may_lack_answers = True
    page.evaluate("result.id = 'of-another-replica'")
    assert "Harbour Museum" in saved(page, "markdown", "sample.md")


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


def test_a_file_of_view_is_the_same_page_without_a_server(browser: Any, report: str) -> None:
    with opened(browser, report) as page:
        assert page.title() == "two.tif"
        assert "Harbour Museum" in page.inner_text("#text")
        assert page.locator("#sheet .read").count() > 10
        page.hover("#text .row:nth-of-type(2)")
        assert lit(page, "#sheet") == lit(page, "#text") == ["1"]
        assert ">Harbour</span>" in saved(page, "hocr", "two.hocr")
        assert page.locator("#ask, #drop, #stop").count() == 0
        page.click("#pages button:nth-child(2)")
        assert "CORNER CAFE" in page.inner_text("#text")
        page.click("#details summary")
        assert "300 × 316 px" in page.inner_text("#details")
        assert violations(page) == []


def test_nothing_that_a_model_writes_becomes_a_part_of_the_page(
    browser: Any, tmp_path: Path
) -> None:
    text = "<img src=x onerror=alert(1)>\n</script><script>alert(2)</script> <b>bold</b>"
    generation = Generation(
        ids=[1], logprobs=[-3.0], pieces=[text], finish_reason="stop", text=text,
        timings=Timings(), n_prompt_tokens=1,
    )  # fmt: skip
    document = Document(
        source="</title><script>alert(3)</script>",
        pages=(Page(number=1, width_px=60, height_px=60, grid=(1, 1), generation=generation),),
    )
    path = tmp_path / "report.html"
    path.write_text(html_report(document, [Image.new("RGB", (60, 60))]), "utf-8")
    with opened(browser, path.as_uri()) as page:
        page.on("dialog", lambda dialog: page.wrong.append(dialog.message))
        assert page.evaluate("document.getElementById('text').textContent").endswith(text)
        assert page.locator("#text img, #text b").count() == 0


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
