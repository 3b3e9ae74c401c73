"""``make scan``: what scanners find in the template, the code, the files and the locked libraries.

Each module runs one scanner, shows what nothing excuses, and ends with exit status 1 then. Something is
planted for each scanner: one that does not find it does not work, and that fails too. bandit needs no module.
They run in ``.venv-scan`` and ``.venv-nag``, for checkov brings pins of its own, and cdk-nag needs Node.
"""
