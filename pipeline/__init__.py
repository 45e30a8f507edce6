"""timereel: archives of long video become a time index.

    list -> probe -> plan -> decode -> gate -> engine -> parse -> stitch -> summarize -> commit
    Source  Video    Shard*  Frame*    Window  Window-   Obser-   Event*    Segment*     tables
                                       |quiet  Result*   vation*

    query <- index

Every arrow is a plain function on the frozen records of ``records``; ``flow`` alone knows
their order and Ray. Windows are committed per batch of whole shards, a video's events and
segments when its last shard is in, and its row in ``videos`` last: that row is the done marker.
"""
