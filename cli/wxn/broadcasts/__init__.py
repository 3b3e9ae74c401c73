"""``wxn broadcast``: bring a broadcast to its start, and follow it to its end.

`session` is one broadcast as a person watches it. `creating` makes it of a file, which `transfers` uploads;
`following` looks at it again and again; `reports` prints its check and its summary, in the `words` for its states;
`refusals` has the reasons that end it.
"""
