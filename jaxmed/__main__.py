"""`python -m jaxmed`."""

import sys

from jaxmed.cli import main

if __name__ == "__main__":
    sys.exit(main())
