"""Worker processes in which a target may crash, hang, exit, leak or print what it likes, and nothing else suffers.

The pools of the standard library and of PyPI lose a task whose worker ends itself with status 0, or break as a
whole when one worker dies; here one pipe and one ledger a worker tell what happened to which case.
"""
