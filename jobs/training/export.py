"""Writes a trained demo model as a directory that transformers and vLLM load, with hashes."""

import shutil
from pathlib import Path

from jobs.training.card import CARD_NAME
from jobs.training.hashes import write_hashes
from jobs.training.model import DemoModel


def export(demo: DemoModel, directory: Path) -> None:
    """Write weights, tokenizer and processor; `directory` gets its name when it is complete."""
    partial = directory.with_name(f"{directory.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)
    demo.model.save_pretrained(partial)
    demo.processor.save_pretrained(partial)
    demo.tokenizer.save_pretrained(partial)
    if directory.exists():
        shutil.rmtree(directory)
    partial.rename(directory)


def describe(directory: Path, card: str) -> None:
    """Add the model card, and last the hashes of all files, which mark the directory complete."""
    (directory / CARD_NAME).write_text(card, encoding="utf-8")
    write_hashes(directory)
