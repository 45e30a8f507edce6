"""Processes of the operating system.

identity         a unique name for a process, and whether that process has ended
crash_isolation  runs a function that may crash or hang in a child process
watchdog         a time limit on calls that nothing else can interrupt
"""
