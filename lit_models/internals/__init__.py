"""Private parts of torch and Lightning, one module per library; only ``lit_models.cpu.hook_name`` names another.

``tests/internals/test_lit_models_internals.py`` has a test per name, which fails by that name once it has vanished.
"""
