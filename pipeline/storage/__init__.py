"""Reading from disks, mounts and object stores that may fail for a while.

locations    the gate that opens and lists; ``access`` says what it lets through
http_client  one server, which is not left for another
retry        distinguishes a medium that fails for a while from a bad file, and retries
targets      new files of users: whole under their names, or absent
file         a file object that checks the length of every read
"""
