"""Private parts of other libraries, one module a library; no other folder of ``experiments`` uses any.

``tests/internals`` names the private part that a new version of a library has removed.
"""
