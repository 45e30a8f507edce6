"""A generated world with exact truth, and a small Qwen3-VL that knows only this world.

`language` has the labels, prompts and answers; `sprites`, `things` and `scene` render frames;
`timeline` and `archive` make long recordings and files. Rendering needs numpy, and PyAV for files.
`jobs/training` teaches the model in `checkpoint`.
"""
