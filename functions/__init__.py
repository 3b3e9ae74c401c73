"""What Lambda calls.

A start makes 100,000 objects and no garbage, and looks for some every 2,000 objects: a twentieth of its time.
"""

import gc

gc.set_threshold(100_000, 10, 10)
