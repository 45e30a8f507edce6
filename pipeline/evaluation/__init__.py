"""How good an index is: its events against the truth.

matching     which found event is which true one
scores       counts, errors and confusions of matched events
calibration  confidences against what was right
truth        both sides, from JSON files or from rows of an index
reviewed     the truth that people wrote into an index

benchmarks         files of ActivityNet, QVHighlights, Charades-STA, ActEV, MOTChallenge, SoccerNet
average_precision  of moments, over thresholds of overlap
retrieval          moments for a text
actev              missed activities at a rate of false alarms
tracks             boxes over time, with hota
spotting           moments within a tolerance
comparison         whether one answer is better than another by more than chance
"""
