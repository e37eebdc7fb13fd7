"""Chat completions, as clients ask for them and as they come back."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from crispvl import CrispOCR
from crispvl.convert import convert_checkpoint
from crispvl.server.reading_prompts import reading_task
from PIL import Image
from tiny import make_checkpoint
from tiny.rows import row

from .conftest import EXAMPLES, QUESTION, RunningServer, asking, data_address, encoded

PATH = "/v1/chat/completions"


def answer(client: httpx.Client, body: dict[str, Any]) -> str:
    response = client.post(PATH, json=body)
    assert response.status_code == 200, response.text
    text = response.json()["choices"][0]["message"]["content"]
    assert isinstance(text, str)
    return text


def chunks(client: httpx.Client, body: dict[str, Any]) -> list[dict[str, Any]]:
    with client.stream("POST", PATH, json={**body, "stream": True}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]
    assert all(line.startswith(("data: ", ":")) for line in lines)
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    return [json.loads(line) for line in data[:-1]]


@pytest.fixture(scope="module")
def expected(ocr: CrispOCR, receipt: bytes) -> str:
    """What the model says to this picture without a server."""
    content = [{"type": "image", "image": receipt}, {"type": "text", "text": QUESTION}]
    return ocr.chat([{"role": "user", "content": content}]).text


def test_an_answer_is_the_one_that_the_model_gives_without_a_server(
    client: httpx.Client, receipt: bytes, expected: str
) -> None:
    response = client.post(PATH, json=asking(receipt))
    reply = response.json()
    assert reply["object"] == "chat.completion"
    assert reply["choices"][0]["message"] == {
        "role": "assistant", "content": expected, "reasoning_content": None, "refusal": None,
    }  # fmt: skip
    assert reply["choices"][0]["finish_reason"] == "stop"
    usage = reply["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens_details"]["image_tokens"] == 64
    assert reply["timings"]["predicted_n"] == usage["completion_tokens"]
    assert int(response.headers["content-length"]) == len(response.content)


def test_the_chunks_of_a_stream_begin_with_the_role_and_end_with_the_usage(
    client: httpx.Client, receipt: bytes, expected: str
) -> None:
    found = chunks(client, asking(receipt, stream_options={"include_usage": True}))
    assert found[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    *written, last = found
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in written]
    assert reasons == [None] * (len(written) - 1) + ["stop"]
    assert all(chunk["usage"] is None for chunk in written)
    assert {chunk["object"] for chunk in found} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in found}) == 1
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in written)
    assert text == expected
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] > 0


def test_usage_is_not_sent_unless_it_is_asked_for(client: httpx.Client, receipt: bytes) -> None:
    found = chunks(client, asking(receipt, max_tokens=3))
    assert all(chunk["choices"] and "usage" not in chunk for chunk in found)


@pytest.mark.parametrize("stream", [False, None])
def test_nothing_is_streamed_unless_stream_is_true(
    client: httpx.Client, receipt: bytes, stream: bool | None
) -> None:
    response = client.post(PATH, json=asking(receipt, max_tokens=3, stream=stream))
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "kind", ["application/octet-stream", "image/jpeg", "image/webp", "application/pdf", ""]
)
def test_the_type_that_a_data_address_claims_does_not_matter(
    client: httpx.Client, receipt: bytes, expected: str, kind: str
) -> None:
    part = {"type": "image_url", "image_url": {"url": data_address(receipt, kind)}}
    assert answer(client, asking(part)) == expected


def test_a_picture_may_be_named_by_a_string_alone(
    client: httpx.Client, receipt: bytes, expected: str
) -> None:
    part = {"type": "image_url", "image_url": data_address(receipt)}
    assert answer(client, asking(part)) == expected


def test_a_picture_with_transparency_is_read(client: httpx.Client, expected: str) -> None:
    with Image.open(EXAMPLES / "receipt.png") as image:
        data = encoded(image.convert("RGBA"), "PNG")
    assert answer(client, asking(data)) == expected


def test_text_may_come_before_the_picture(
    client: httpx.Client, ocr: CrispOCR, receipt: bytes
) -> None:
    content = [
        {"type": "text", "text": QUESTION},
        {"type": "image_url", "image_url": {"url": data_address(receipt)}},
    ]
    parts = [QUESTION, {"type": "image", "image": receipt}]
    expected = ocr.chat([{"role": "user", "content": parts}]).text
    body = {"messages": [{"role": "user", "content": content}]}
    assert answer(client, body) == expected


def test_the_pages_of_a_pdf_are_pictures(client: httpx.Client, ocr: CrispOCR) -> None:
    with Image.open(EXAMPLES / "receipt.png") as image:
        page = image.convert("RGB")
        data = encoded(page, "PDF", save_all=True, append_images=[page], resolution=150)
    file = {"filename": "two.pdf", "file_data": data_address(data, "application/pdf")}
    response = client.post(
        PATH, json=asking({"type": "file", "file": file}, max_tokens=4, max_tiles=1)
    )
    assert response.json()["usage"]["prompt_tokens_details"]["image_tokens"] == 2 * 64
    one = client.post(
        PATH, json=asking({"type": "file", "file": file}, max_tokens=4, max_tiles=1, pages="2")
    )
    assert one.json()["usage"]["prompt_tokens_details"]["image_tokens"] == 64


def test_detail_low_reads_a_picture_as_one_tile(client: httpx.Client) -> None:
    wide = encoded(Image.new("RGB", (1200, 300), "white"), "PNG")
    tokens = []
    for detail in ("high", "low"):
        part = {"type": "image_url", "image_url": {"url": data_address(wide), "detail": detail}}
        reply = client.post(PATH, json=asking(part, max_tokens=1, layout="page")).json()
        tokens.append(reply["usage"]["prompt_tokens_details"]["image_tokens"])
    assert tokens == [5 * 64, 64]


def test_max_completion_tokens_goes_before_max_tokens(client: httpx.Client, receipt: bytes) -> None:
    body = asking(receipt, max_tokens=9, max_completion_tokens=4)
    reply = client.post(PATH, json=body).json()
    assert reply["usage"]["completion_tokens"] == 4
    assert reply["choices"][0]["finish_reason"] == "length"


def test_an_answer_ends_before_its_stop_text(
    client: httpx.Client, receipt: bytes, expected: str
) -> None:
    body = asking(receipt, stop=["Soup", "never"])
    choice = client.post(PATH, json=body).json()["choices"][0]
    assert choice["message"]["content"] == expected[: expected.index("Soup")]
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "Soup")
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks(client, body))
    assert text == choice["message"]["content"]


def test_several_answers_are_numbered(client: httpx.Client, receipt: bytes, expected: str) -> None:
    reply = client.post(PATH, json=asking(receipt, n=2)).json()
    assert [choice["index"] for choice in reply["choices"]] == [0, 1]
    assert {choice["message"]["content"] for choice in reply["choices"]} == {expected}
    found = chunks(client, asking(receipt, n=2))
    for i in range(2):
        mine = [chunk["choices"][0] for chunk in found if chunk["choices"][0]["index"] == i]
        assert "".join(choice["delta"].get("content", "") for choice in mine) == expected


def test_log_probabilities_spell_the_answer(
    client: httpx.Client, receipt: bytes, expected: str
) -> None:
    choice = client.post(PATH, json=asking(receipt, logprobs=True)).json()["choices"][0]
    content = choice["logprobs"]["content"]
    assert bytes(byte for token in content for byte in token["bytes"]).decode() == expected
    assert all(token["logprob"] <= 0 for token in content)


def test_unknown_fields_are_ignored(client: httpx.Client, receipt: bytes, expected: str) -> None:
    body = asking(
        receipt, skip_special_tokens=False, vllm_xargs={"ngram_size": 4}, priority=1,
        mm_processor_kwargs={"max_pixels": 4}, cache_control={"type": "ephemeral"}, user="me",
    )  # fmt: skip
    assert answer(client, body) == expected


@pytest.mark.parametrize("path", ["/chat/completions", f"{PATH}/", "/chat/completions/"])
def test_the_path_may_lack_v1_and_end_in_a_slash(
    client: httpx.Client, receipt: bytes, path: str
) -> None:
    assert client.post(path, json=asking(receipt, max_tokens=1)).status_code == 200


def test_a_conversation_goes_on(client: httpx.Client, ocr: CrispOCR, receipt: bytes) -> None:
    first = asking(receipt)["messages"][0]
    turns = [
        {"role": "developer", "content": "Be exact."},
        first,
        {"role": "assistant", "content": "CORNER CAFE"},
        {"role": "user", "content": "OCR"},
    ]
    content = [{"type": "image", "image": receipt}, QUESTION]
    expected = ocr.chat(
        [
            {"role": "system", "content": "Be exact."},
            {"role": "user", "content": content},
            *turns[2:],
        ],
        max_tokens=20,
    ).text
    assert answer(client, {"messages": turns, "max_tokens": 20}) == expected


def test_the_runners_up_are_given_where_asked_for(
    client: httpx.Client, receipt: bytes, expected: str
) -> None:
    reply = client.post(PATH, json=asking(receipt, logprobs=True, top_logprobs=3)).json()
    choice = reply["choices"][0]
    assert choice["message"]["content"] == expected
    for token in choice["logprobs"]["content"]:
        assert len(token["top_logprobs"]) == 3
        first, *others = token["top_logprobs"]
        assert (first["bytes"], first["logprob"]) == (
            token["bytes"],
            pytest.approx(token["logprob"]),
        )
        assert all(other["logprob"] <= first["logprob"] for other in others)


def test_penalties_change_what_is_written(client: httpx.Client, receipt: bytes) -> None:
    body = asking(receipt, max_tokens=40)
    penalised = answer(client, {**body, "presence_penalty": 2, "frequency_penalty": 2})
    assert penalised != answer(client, body)
    assert answer(client, {**body, "presence_penalty": 0, "frequency_penalty": 0}) == answer(
        client, body
    )


SAMPLE = files("crispvl.web").joinpath("sample.png")


@pytest.mark.parametrize(
    ("prompt", "task"),
    [
        ("", "text"),
        ("OCR", "text"),
        ("What does this page say?", "text"),
        ("Read this page.", "text"),
        ("Convert this page to markdown.", "markdown"),
    ],
)
def test_a_model_of_lines_reads_pages_by_their_lines_where_their_text_is_asked_for(
    client: httpx.Client, ocr: CrispOCR, prompt: str, task: Any
) -> None:
    page = SAMPLE.read_bytes()
    expected = ocr.recognize(page, task=task).text
    body = asking(page, prompt=prompt)
    reply = client.post(PATH, json=body).json()["choices"][0]
    assert (reply["message"]["content"], reply["layout"]) == (expected, "lines")
    found = chunks(client, body)
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in found) == expected
    assert found[-1]["choices"][0]["layout"] == "lines"


@pytest.mark.parametrize("stream", [False, True])
def test_what_fits_of_a_page_comes_where_few_tokens_are_asked_for(
    client: httpx.Client, receipt: bytes, stream: bool
) -> None:
    whole = client.post(PATH, json=asking(receipt, prompt="OCR")).json()["choices"][0]
    text = whole["message"]["content"]
    for n_tokens in (1, 5, 30):
        body = asking(receipt, prompt="OCR", max_tokens=n_tokens, stream=stream)
        if stream:
            body["stream_options"] = {"include_usage": True}
            sent = chunks(client, body)
            found = "".join(
                choice["delta"].get("content") or "" for c in sent for choice in c["choices"]
            )
            reason, usage = sent[-2]["choices"][0]["finish_reason"], sent[-1]["usage"]
        else:
            reply = client.post(PATH, json=body).json()
            found, usage = reply["choices"][0]["message"]["content"], reply["usage"]
            reason = reply["choices"][0]["finish_reason"]
        assert found
        assert text.startswith(found)
        assert reason == "length"
        assert 0 < usage["completion_tokens"] <= n_tokens
    enough = client.post(PATH, json=asking(receipt, prompt="OCR", max_tokens=4000)).json()
    assert enough["choices"][0]["message"]["content"] == text
    assert enough["choices"][0]["finish_reason"] == whole["finish_reason"] == "stop"


def test_the_most_tokens_are_those_of_all_pages_together(
    client: httpx.Client, receipt: bytes
) -> None:
    whole = client.post(PATH, json=asking(receipt, receipt, prompt="OCR")).json()
    text, n_tokens = whole["choices"][0]["message"]["content"], whole["usage"]["completion_tokens"]
    for most in (n_tokens // 2, n_tokens // 2 + 9):
        reply = client.post(PATH, json=asking(receipt, receipt, prompt="OCR", max_tokens=most))
        choice = reply.json()["choices"][0]
        assert choice["finish_reason"] == "length"
        assert text.startswith(choice["message"]["content"])
        assert (len(choice["message"]["content"]) > len(text) // 2) == (most > n_tokens // 2)
        assert 0 < reply.json()["usage"]["completion_tokens"] <= most
    reply = client.post(PATH, json=asking(receipt, receipt, prompt="OCR", max_tokens=n_tokens))
    assert reply.json()["choices"][0] == whole["choices"][0]


def test_a_model_of_lines_sees_a_page_as_any_model_does_where_something_else_is_asked(
    client: httpx.Client, ocr: CrispOCR
) -> None:
    page, prompt = SAMPLE.read_bytes(), "Who is the director?"
    content = [{"type": "image", "image": page}, {"type": "text", "text": prompt}]
    expected = ocr.chat([{"role": "user", "content": content}], max_tokens=20).text
    reply = client.post(PATH, json=asking(page, prompt=prompt, max_tokens=20)).json()
    choice = reply["choices"][0]
    assert (choice["message"]["content"], choice["layout"]) == (expected, "page")
    body = asking(page, prompt=prompt, layout="lines")
    assert client.post(PATH, json=body).json()["choices"][0]["layout"] == "lines"
    body = asking(page, prompt="OCR", layout="page", max_tokens=5)
    assert client.post(PATH, json=body).json()["choices"][0]["layout"] == "page"


def test_pictures_alone_ask_for_the_task(
    client: httpx.Client, ocr: CrispOCR, receipt: bytes
) -> None:
    picture = {"type": "image_url", "image_url": {"url": data_address(receipt)}}
    body = {"messages": [{"role": "user", "content": [picture]}], "task": "caption"}
    prompt = "Describe this image in one or two sentences."
    content = [{"type": "image", "image": receipt}, {"type": "text", "text": prompt}]
    assert answer(client, body) == ocr.chat([{"role": "user", "content": content}]).text


@pytest.mark.parametrize(
    ("prompt", "task"),
    [
        ("Convert this page to docling.", "text"),
        ("Free OCR.", "text"),
        ("<|grounding|>Convert the document to markdown.", "markdown"),
        ("\nText Recognition:", "text"),
        ("Extract the text from the above document as if you were reading it naturally.", "text"),
        ("Please extract the text from the image.", "text"),
        ("Transcribe everything, please", "text"),
        ("What is written here?", "text"),
        ("请识别图中的文字", "text"),
        (
            "Attached is one page of a document that you must process. Just return the plain text "
            "representation of this document as if you were reading it naturally. If there are "
            "any figures, label them with markdown, the alt text describing the contents.",
            "markdown",
        ),
        ("What is the total?", None),
        ("Write a detailed caption for this image.", None),
        ("Describe this image in one or two sentences.", None),
        ("How many words are on this page?", None),
        ("Is it a table?", None),
        ("Extract the invoice number and the date as JSON", None),
        ("Translate this page to German.", None),
        ("Summarise the text.", None),
        ("Who signed the letter?", None),
    ],
)
def test_prompts_that_ask_for_a_pages_text_are_told_from_others(
    prompt: str, task: str | None
) -> None:
    assert reading_task(prompt) == task


def test_a_model_that_cannot_think_is_not_asked_to(
    client: httpx.Client, receipt: bytes, expected: str
) -> None:
    refused = client.post(PATH, json={**asking(receipt), "thinking": True})
    assert refused.status_code == 400
    assert "enable_thinking" in refused.json()["error"]["message"]
    assert answer(client, {**asking(receipt), "thinking": False}) == expected


def thinking_model(folder: Path) -> Path:
    """A tiny model of random weights, all of whose answers are thoughts."""
    checkpoint = make_checkpoint(row("qwen2-hf"), folder / "checkpoint")
    added = checkpoint / "added_tokens.json"
    tokens = json.loads(added.read_text("utf-8"))
    first = max(tokens.values()) + 1
    added.write_text(json.dumps({**tokens, "<think>": first, "</think>": first + 1}), "utf-8")
    (checkpoint / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m.content }}{% endfor %}<think>", "utf-8"
    )
    convert_checkpoint(checkpoint, folder / "thinking.gguf", "f32")
    return folder / "thinking.gguf"


def test_a_thought_is_streamed_apart_from_the_answer(
    serve: Callable[..., RunningServer], tmp_path: Path
) -> None:
    server = serve("-m", str(thinking_model(tmp_path)))
    body = {"messages": [{"role": "user", "content": "Why?"}], "max_tokens": 24}
    with httpx.Client(base_url=server.url, timeout=120) as client:
        message = client.post(PATH, json=body).json()["choices"][0]["message"]
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks(client, body)]
    thought = [delta.get("reasoning_content", "") for delta in deltas]
    assert len([piece for piece in thought if piece]) > 1
    assert "".join(thought) == message["reasoning_content"]
    assert "".join(delta.get("content", "") for delta in deltas) == message["content"] == ""
