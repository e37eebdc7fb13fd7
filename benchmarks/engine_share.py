"""What share of a decode step is the engine's own: all but the model's graph.

    python benchmarks/engine_share.py -m model.gguf --mmproj mmproj.gguf --streams 16

Threads ask short questions without images, so that steps are passes of the decoder and little else;
answers are all of one length, whatever the model says, so one with random weights will do. The
target is 5% at most, with 16 streams of a model of a billion parameters.
"""

from __future__ import annotations

import argparse

from crispvl import CrispOCR
from many_callers import Read, measure

TARGET = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-m", "--model", help="GGUF file; else the bundled model")
    parser.add_argument("--mmproj")
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--threads", type=int, help="of the model")
    parser.add_argument("--max-tokens", type=int, default=64, help="of each answer")
    args = parser.parse_args()
    settings = {"max_tokens": args.max_tokens, "stop_at_eos": False, "speculate": False}
    questions = [f"Question {i}: what is a page?" for i in range(args.streams)]
    with CrispOCR(args.model, args.mmproj, threads=args.threads, image_cache_bytes=0) as ocr:

        def answer(question: str) -> Read:
            generation = ocr.chat([{"role": "user", "content": question}], **settings).generation
            return ("", []) if generation is None else (generation.text, generation.ids)

        answer(questions[0])
        found = measure(ocr, args.streams, answer, questions)
    graph_ms, own_ms = found.graph_ms / found.passes, found.own_ms / found.passes
    print(
        f"{args.streams} streams: {found.rows / found.passes:.1f} tokens a pass, {graph_ms:.1f} ms "
        f"of graphs and {own_ms:.2f} ms of the engine's own: {own_ms / (own_ms + graph_ms):.1%} "
        f"(target: at most {TARGET:.0%})"
    )


if __name__ == "__main__":
    main()
