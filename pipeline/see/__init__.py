"""The page of an index: a server of JSON, pictures and video, and a page that asks it.

server          the command behind ``timereel serve``: where it listens, and what it prints
app             the application: all routes behind the guard
guard           who may ask: hosts, the token, writes of other sites, headers of every answer
indexes         one or several indexes, each read by a few readers that can be interrupted
answers         rows of tables as JSON
questions       what a request may ask for
rows            routes: events, lanes, videos, runs and other rows
review          routes: what people say about events
footage         routes: which video plays when, its bytes, clips and the times of its frames
pictures        routes: the picture of an event
recordings      from an id to a file that may be opened
byte_ranges     a part of a file, as a browser asks for it
isolation       decoding in child processes, of which few run at a time
metrics         figures for Prometheus
web/            the page: ES modules that need no build, and one vendored file
"""
