"""The index for agents: an MCP server whose tools only read, and questions answered with rows.

server     the tools, for the official package mcp
answers    what the tools answer: bounded, with ids, times and coverage
still      one picture as JPEG, and a clip as bytes
question   a model that is asked about the index, within limits
look       what that model may look up, and the form of its steps
sentences  which of its sentences hold: those that rest on rows it was given
"""
