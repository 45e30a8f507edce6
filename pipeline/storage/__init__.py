"""Reading from disks, mounts and object stores that may fail for a while.

retry  distinguishes a medium that fails for a while from a bad file, and retries
file   a file object that checks the length of every read
"""
