"""Processes of the operating system.

identity         a name for a process that no other has, and whether it is gone
crash_isolation  a function in a process of its own, which may crash or hang
watchdog         a limit on calls that nothing else can interrupt
"""
