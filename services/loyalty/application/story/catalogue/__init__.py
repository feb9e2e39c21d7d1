"""The sentences of `explain`: a file per language, whose name is its tag (BCP 47)."""
