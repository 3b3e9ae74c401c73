"""Broadcasts in the simulation: the functions that check, release and count, with faults and kills.

The world is that of the messages, with the queues, the bucket and the functions of broadcasts beside it.
"""
