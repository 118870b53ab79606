"""What ``python -m bnn_tutorial`` runs: see :mod:`bnn_tutorial.command_line`."""

import sys

from bnn_tutorial.command_line import main

if __name__ == "__main__":
    sys.exit(main())
