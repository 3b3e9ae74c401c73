"""``wxn erase``: search and erase what is stored of one person.

`places` lists the places, each of which is a `place.Place`: `schedules`, `entries` of the ledger, `letters` of a
dead letter queue, `files` of broadcasts, `consents`. `person` knows how a person is named in them, `rewriting` takes the person
out of a file.
"""
