"""Time budgets: the seconds that each step of a delivery may take, and that must be left for it."""

from __future__ import annotations

# A test adds them up from the limits of the clients themselves.
MAX_TOKEN_WAIT = 8.0
"""Seconds for which another thread and a busy refresher are waited for, where there is the time."""
TIME_FOR_A_TOKEN_REQUEST = 15.0
"""Seconds that one read of the store and one request to the refresher may take at worst."""
TIME_FOR_A_TOKEN = MAX_TOKEN_WAIT + TIME_FOR_A_TOKEN_REQUEST
TIME_FOR_A_POST = 13.0
"""Seconds that one attempt at WeChat may take at worst: a function that is stopped in the middle of
one does not know what became of the message."""
TIME_FOR_THE_LEDGER = 10.0
"""Seconds that writing down what came of it may take at worst: a silent table is waited out for six."""
TIME_FOR_AN_ATTEMPT = TIME_FOR_A_POST + TIME_FOR_THE_LEDGER
"""Seconds that must be left where a claimed message goes out."""
TIME_FOR_A_CLAIM = TIME_FOR_AN_ATTEMPT + 1.0
"""Seconds that must be left where a message is claimed; a claim that takes longer is given back."""
TIME_FOR_ANOTHER_TOKEN = TIME_FOR_A_TOKEN_REQUEST + TIME_FOR_THE_LEDGER
"""Seconds that must be left where a claimed message asks for another token."""
TIME_FOR_EVENTS = 8.0
"""Seconds that publishing a batch's events may take at worst."""
TIME_FOR_A_MESSAGE = TIME_FOR_A_TOKEN + TIME_FOR_A_CLAIM + TIME_FOR_EVENTS
"""Seconds that must be left where messages are sent side by side, for another one to be started. A function
that is stopped later, while it holds a circuit or hands a message out again, leaves nothing in doubt."""
