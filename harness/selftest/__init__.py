"""The instrument, checked on the reader's own machine: known misbehaviour in, known figures out.

A server that freezes, stops or answers by a known distribution, and a generator that freezes, is swamped or killed;
each case says what the figure must be, what was measured, and PASS, FAIL or INVALID.
"""
