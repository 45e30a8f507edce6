"""Tells people and programs what rules find in newly committed events.

hours     local hours of the week as ranges of UTC, with summer time
rules     one rule over events: single ones, many within a span, none in footage that was looked at
match     what was found against what was found before: an alert keeps its id
evaluate  the events that commits have added -> the outbox, each commit once
pick      which of them are told now, alone or together
message   what one sink is sent: JSON for programs, lines for people
send      the outbox -> sinks: claimed, tried, tried again, recorded
sinks     JSON lines, signed webhooks, commands, Apprise

An index run knows nothing of alerts and never waits for one: it commits events, and whoever sends
evaluates what is new since the last time.
"""
