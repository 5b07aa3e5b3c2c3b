"""Draws a gate's record, and it alone: terminal, pull request comment, job summary, HTML, JUnit and plots.

`write.write_gate` writes all files of a gate's folder, `terminal.print_gate` prints to a console, and
`words.progress_line` says in one line how a gate that is still running stands.
"""
