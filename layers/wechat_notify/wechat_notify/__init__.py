"""WeChat notifications from AWS: validate, send once, know what became of it."""

import gc

# A start makes many objects and hardly any garbage: looking for it takes 6 to 9 % of the time until the first
# event is answered. With that, ``Telemetry.invocation`` turns the collector on.
gc.disable()
