"""Clips of what an index knows: which footage they show, and proof of what they show.

ranges   the times to show, of events or as a user names them
plan     the files that show these times
picture  the picture of an event, kept or made
make     the clips, their receipts and checksums
"""
