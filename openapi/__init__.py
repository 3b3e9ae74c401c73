"""The OpenAPI document of the HTTP API, made from the code that answers: ``python -m openapi`` writes it.

A route of a handler and its entry here belong together: tests compare the two, and every answer of the
handlers' tests with the document. No function imports this package.
"""
