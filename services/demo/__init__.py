"""The demonstration: half a year of a real shop's sales, played through the whole service."""
