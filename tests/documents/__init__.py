"""The commands and examples of the documents, run and checked."""
