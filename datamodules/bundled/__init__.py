"""Data sets that need no file of yours, one file each; a line in ``datamodules/__init__.pyi`` exports one."""
