"""Private parts of torch and Lightning, one module per library; no other module of this package names one.

``tests/internals/test_lit_models_internals.py`` has a test per name, which fails by that name once it has vanished.
"""
