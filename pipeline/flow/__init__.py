"""The stages put in order: what the driver does, what a task does, and the summaries.

    driver/     which videos are to do, which shards are whole, when they are committed
    task/       what one Ray task or actor does, on plain records
    summaries/  which days are summarized again, and their commits
    graph.py    the Ray Data graphs; every Ray argument of the project

Only `graph`, `driver.archive` and `summaries.summarize` import Ray.
"""
