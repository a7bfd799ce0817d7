"""python -m penchant.cli"""

import sys

from . import main

sys.exit(main())
