"""The parts of ``wxn broadcast``."""
