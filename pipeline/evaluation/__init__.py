"""How good an index is: its events against the truth.

matching     which found event is which true one
scores       counts, errors and confusions of matched events
calibration  confidences against what was right
truth        both sides, from JSON files or from rows of an index
"""
