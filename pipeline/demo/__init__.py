"""A generated world with exact truth, and a Qwen3-VL small enough to ship that sees only it.

`language` names what happens, `things`, `scene`, `clip`, `timeline` and `archive` make it visible,
`model` to `train` teach it, `serve` and `exam` ask about it. Rendering needs numpy (and PyAV for
files); training and asking need torch, transformers and, for vLLM, vLLM.
"""
