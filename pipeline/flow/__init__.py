"""Runs the stages in their order: on the driver, in Ray tasks, and for summaries.

    driver/     chooses files, plans batches, collects results and commits them
    task/       what one Ray task or actor does, as functions on records
    summaries/  chooses the days to summarize, and commits their summaries
    graph.py    the Ray Data graphs, with every Ray argument of the project
    cluster.py  starts Ray or joins one
    nodes.py    whether a node can do the work of this driver
    metrics.py  the figures of a run for Prometheus
    spans.py    the spans of a run for OpenTelemetry

Only `graph`, `cluster`, `metrics`, `submission`, `driver.archive` and `summaries.summarize`
import Ray.
"""
