"""How often search by meaning finds the event that a question is about, in English and Chinese.

    make bench-search

Writes the events of ``search_pairs.yaml`` into an index, makes their vectors and asks each question
in both languages. Recall@k is the share of questions whose event is among the first k.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import yaml

import pipeline.index as pi
from pipeline.config import EmbeddingConfig
from pipeline.engine.embed import Embedder, open_embedder
from pipeline.index.search import by_meaning
from pipeline.index.vectors import embed_missing
from tests.index_rows import at, event, rows, video

PAIRS = Path(__file__).with_name("search_pairs.yaml")
_BEST = 5


def is_chinese(text: str) -> bool:
    """Whether it has a Chinese character."""
    return any("\u4e00" <= char <= "\u9fff" for char in text)


def recall(embedder: Embedder, folder: Path) -> dict[str, dict[str, float]]:
    """By languages of question and text, and of all: how many questions, recall@1 and recall@5."""
    pairs = yaml.safe_load(PAIRS.read_text(encoding="utf-8"))
    writer = pi.Writer(folder)
    said = (
        event(str(i), at(i), at(i + 1), label=pair["label"], text=pair["text"])
        for i, pair in enumerate(pairs)
    )
    writer.finish_videos(rows("videos", video()), rows("events", *said))
    embed_missing(writer.index, embedder.texts, embedder.name)
    ranks: dict[str, list[int]] = {}
    for i, pair in enumerate(pairs):
        text = "zh" if is_chinese(pair["text"]) else "en"
        for language in ("en", "zh"):
            question = embedder.question(pair[language])
            best = by_meaning(writer.index, question, embedder.name, limit=_BEST)["id"].to_pylist()
            rank = best.index(str(i)) if str(i) in best else _BEST
            for group in (f"{language} question, {text} text", "all"):
                ranks.setdefault(group, []).append(rank)
    return {
        group: {
            "questions": len(held),
            "recall@1": round(sum(rank < 1 for rank in held) / len(held), 3),
            "recall@5": round(sum(rank < _BEST for rank in held) / len(held), 3),
        }
        for group, held in sorted(ranks.items())
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--base-url", help="of an endpoint to compare with; else kind: local")
    parser.add_argument("--model", help="of that endpoint")
    args = parser.parse_args()
    settings = {"kind": "openai", "base_url": args.base_url, "model": args.model}
    embedder = open_embedder(
        EmbeddingConfig.model_validate(settings if args.base_url else {"kind": "local"})
    )
    embedder.question("")  # loads the model
    before = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        json.dump(recall(embedder, Path(folder)), sys.stdout, indent=1)
    sys.stdout.write(f"\n{time.process_time() - before:.1f} CPU s\n")


if __name__ == "__main__":
    main()
