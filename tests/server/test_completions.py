"""Prompts without a chat format, and tokens."""

from __future__ import annotations

import json

import httpx
import pytest
from crispvl import CrispOCR

PATH = "/v1/completions"
PROMPT = "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"


def test_a_prompt_is_continued_as_the_model_continues_it(
    client: httpx.Client, ocr: CrispOCR
) -> None:
    ids = ocr.model.tokenize(PROMPT)
    expected = ocr.model.generate(ids, max_tokens=12)
    for prompt in (PROMPT, ids):
        reply = client.post(PATH, json={"prompt": prompt, "max_tokens": 12}).json()
        assert reply["object"] == "text_completion"
        assert reply["choices"][0]["text"] == expected.text
        assert reply["usage"]["prompt_tokens"] == len(ids)
        assert reply["usage"]["completion_tokens"] == len(expected.ids)


def test_several_prompts_have_answers_in_their_order(client: httpx.Client) -> None:
    body = {"prompt": ["one", "two"], "n": 2, "max_tokens": 2, "echo": True}
    choices = client.post(PATH, json=body).json()["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2, 3]
    beginnings = [choice["text"][:3] for choice in choices]
    assert beginnings == ["one", "one", "two", "two"]


def test_a_stream_adds_up_to_the_answer(client: httpx.Client) -> None:
    body = {"prompt": PROMPT, "max_tokens": 12, "logprobs": 1}
    whole = client.post(PATH, json=body).json()["choices"][0]
    with client.stream("POST", PATH, json={**body, "stream": True}) as response:
        data = [line[6:] for line in response.iter_lines() if line.startswith("data: ")]
    assert data.pop() == "[DONE]"
    chunks = [json.loads(line)["choices"][0] for line in data]
    assert "".join(chunk["text"] for chunk in chunks) == whole["text"]
    assert chunks[-1]["finish_reason"] == whole["finish_reason"]
    logprobs = [p for chunk in chunks if chunk["logprobs"] for p in chunk["logprobs"]["tokens"]]
    assert logprobs == whole["logprobs"]["tokens"]


def test_image_tokens_without_a_picture_are_refused(client: httpx.Client) -> None:
    reply = client.post(PATH, json={"prompt": "<IMG_CONTEXT>", "max_tokens": 1})
    assert reply.status_code == 400


@pytest.mark.parametrize("field", ["prompt", "content"])
def test_a_text_becomes_tokens_and_a_text_again(
    client: httpx.Client, ocr: CrispOCR, field: str
) -> None:
    text = "<img> Grüße, 世界"
    reply = client.post("/tokenize", json={field: text}).json()
    assert reply["tokens"] == ocr.model.tokenize(text)
    assert reply["count"] == len(reply["tokens"])
    plain = client.post("/tokenize", json={field: text, "parse_special": False}).json()
    assert plain["tokens"] == ocr.model.tokenize(text, special=False)
    back = client.post("/detokenize", json={"tokens": reply["tokens"]}).json()
    assert back["prompt"] == back["content"] == text
    assert client.post("/detokenize", json={"tokens": [10**6]}).status_code == 400
