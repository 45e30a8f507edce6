"""Write a trained demo model as a directory that transformers and vLLM load, with its hashes."""

import shutil
from pathlib import Path

from pipeline.demo.hashes import write_hashes
from pipeline.demo.model import DemoModel


def export(demo: DemoModel, directory: Path) -> None:
    """Write weights, tokenizer, processor and hashes; `directory` appears only when complete."""
    partial = directory.with_name(f"{directory.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)
    demo.model.save_pretrained(partial)
    demo.processor.save_pretrained(partial)
    demo.tokenizer.save_pretrained(partial)
    write_hashes(partial)
    if directory.exists():
        shutil.rmtree(directory)
    partial.rename(directory)
