"""One release's data in the hands of another: what is stored and on the queues when the code changes."""
