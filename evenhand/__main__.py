"""``python -m evenhand``: the command, from any folder."""

import sys

from experiments.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
