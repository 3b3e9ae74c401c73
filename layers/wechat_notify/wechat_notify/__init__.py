"""WeChat notifications from AWS: validate, send once, know what became of it."""

import gc

# A start makes 46,000 objects and no garbage.
# To look for some every 2,000 of them is a twentieth of its time.
gc.set_threshold(100_000, 10, 10)
