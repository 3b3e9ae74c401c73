"""``wxn doctor``: finds the causes of troubles.

`examination` runs the `checks` on what `context` gives them. Each module with checks looks at one part of the
service. A check yields findings (`findings`); `advice` says of each name of a finding what to do about it.
"""
