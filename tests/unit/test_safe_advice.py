"""No message advises to delete what may hold footage: who follows it could not get it back."""

import ast
import re

from tests.conftest import ROOT

# Our messages end with advice in the imperative, after a punctuation mark or as an alternative.
_ADVICE = re.compile(r"(?:[;:,(]|\bor|\band) (?:delete|remove|erase|discard|throw away)\b[^;]*")

# What may go: a file without any content, and a line of a list.
SAFE = {
    "<>: is empty (0 bytes); nothing was recorded, delete it",
    "<>: this list names itself; remove the line",
}


def _texts(tree):
    """Every text that is no docstring, with a mark for each value in it."""
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            silent |= {id(part) for part in node.values}
            yield "".join(getattr(part, "value", "") if isinstance(part, ast.Constant) else "<>"
                          for part in node.values)  # fmt: skip
        elif isinstance(node, ast.Constant) and id(node) not in silent:
            yield str(node.value)


def test_no_message_advises_to_delete_a_file_that_is_not_empty():
    paths = [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "timereel").rglob("*.py")]
    texts = {text for path in paths for text in _texts(ast.parse(path.read_text()))}
    assert {text for text in texts if _ADVICE.search(text)} == SAFE
