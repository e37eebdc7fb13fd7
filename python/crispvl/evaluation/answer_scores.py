"""Scores of answers to questions, by the rules that the benchmarks publish.

Each takes an answer and the true ones, and returns a number from 0 to 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from crispvl.evaluation.text_scores import edit_distance

ANLS_THRESHOLD = 0.5
RELAXED_TOLERANCE = 0.05


def contains(answer: str, truths: Sequence[str]) -> float:
    """OCRBench: 1 if a true answer occurs in the answer, letters' case and line breaks ignored.

    Source: Yuliang-Liu/MultimodalOCR, example.py.
    """
    found = answer.lower().strip().replace("\n", " ")
    return float(any(truth.lower().strip().replace("\n", " ") in found for truth in truths))


def contains_formula(answer: str, truths: Sequence[str]) -> float:
    """OCRBench's rule for handwritten formulas (HME100k): case counts, spaces don't."""
    found = answer.replace("\n", "").replace(" ", "").strip()
    wanted = (truth.replace("\n", "").replace(" ", "").strip() for truth in truths)
    return float(any(truth in found for truth in wanted))


def anls(answer: str, truths: Sequence[str]) -> float:
    """DocVQA: average normalised Levenshtein similarity, 0 under one half; case ignored.

    The distance is that of texts with single spaces, the length that of the texts as they are.
    Source: the Robust Reading Competition's evaluation of DocVQA, task 1 (arXiv 2007.00398).
    """
    return max((_similarity(answer, truth) for truth in truths), default=0.0)


def _similarity(answer: str, truth: str) -> float:
    length = max(len(answer), len(truth))
    if length == 0:
        return 1.0
    distance = edit_distance(_single_spaced(answer), _single_spaced(truth))
    similarity = 1 - distance / length
    return similarity if similarity >= ANLS_THRESHOLD else 0.0


def _single_spaced(text: str) -> str:
    return " ".join(text.lower().split())


def relaxed_accuracy(answer: str, truths: Sequence[str]) -> float:
    """ChartQA: 1 for a number within 5% of the true one, or for the same text, case ignored.

    ``12%`` is 0.12. A true number of 0 asks for the same text. Source: arXiv 2203.10244, 5.1, as
    computed by google-research/pix2struct, metrics.py.
    """
    return float(any(_is_close(answer.strip(), truth) for truth in truths))


def _is_close(answer: str, truth: str) -> bool:
    found, wanted = _number(answer), _number(truth)
    if found is not None and wanted:
        return abs(found - wanted) / abs(wanted) <= RELAXED_TOLERANCE
    return answer.lower() == truth.lower()


def _number(text: str) -> float | None:
    try:
        return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


def vqa_accuracy(answer: str, truths: Sequence[str]) -> float:
    """TextVQA: how far the people who were asked gave the same answer.

    Over the people, the mean of min(1, others with this answer / 3), after `normalize_answer`.
    Source: facebookresearch/mmf, TextVQAAccuracyEvaluator and EvalAIAnswerProcessor.
    """
    wanted = normalize_answer(answer)
    same = [normalize_answer(truth) == wanted for truth in truths]
    n_same = sum(same)
    if n_same == 0:
        return 0.0
    return sum(min(1.0, (n_same - is_same) / 3) for is_same in same) / len(same)


_NUMBERS = {
    "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5",
    "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10",
}  # fmt: skip
_ARTICLES = {"a", "an", "the"}
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_PERIOD = re.compile(r"(?!<=\d)(\.)(?!\d)")  # as published, although its look-behind is none
_COMMA_IN_NUMBER = re.compile(r"(?<=\d),+(?=\d)")
_MOST_PERIODS = 32  # as published: the flag re.UNICODE is passed where the count belongs

_CONTRACTED = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've
might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've
shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll
someone's something'd something'd've something'll that's there'd there'd've there're there's they'd
they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've
when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't
would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
"""


def _misspellings(word: str) -> dict[str, str]:
    """Returns a contraction's spellings with one apostrophe left out."""
    places = [i for i, letter in enumerate(word) if letter == "'"]
    return {word[:i] + word[i + 1 :]: word for i in places}


CONTRACTIONS = {
    wrong: word for word in _CONTRACTED.split() for wrong, word in _misspellings(word).items()
} | {"somebody'd": "somebodyd"}
"""What is spelt anew; the last as published."""


def normalize_answer(text: str) -> str:
    """Returns an answer as EvalAI compares it: no case, articles or punctuation; numbers as digits.

    Source: facebookresearch/mmf, EvalAIAnswerProcessor.
    """
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    text = text.replace("\n", " ").replace("\t", " ").strip()
    text = _PERIOD.sub("", _without_punctuation(text), count=_MOST_PERIODS)
    words = (_NUMBERS.get(word, word) for word in text.split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def _without_punctuation(text: str) -> str:
    has_comma = _COMMA_IN_NUMBER.search(text) is not None
    cleaned = text
    for mark in _PUNCTUATION:
        stands_apart = f"{mark} " in text or f" {mark}" in text
        cleaned = cleaned.replace(mark, "" if stands_apart or has_comma else " ")
    return cleaned
