"""The index for agents: an MCP server whose tools only read.

server   the tools, for the official package mcp
answers  what the tools answer: bounded, with ids, times and coverage
still    one picture as JPEG, and a clip as bytes
"""
