"""Reading from disks, mounts and stores that fail for a while.

retry  what failed for a while is told apart from a bad file, and tried again
file   one file, read in checked lengths
"""
