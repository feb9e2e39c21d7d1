"""The rules of the programme and its books, as pure functions over immutable facts.

Nothing in here reads a clock, a database or a network: time, ids and everything else that a
decision needs arrive as arguments, so that folding the journal through :func:`decide.decide` again
gives the same bytes.
"""
