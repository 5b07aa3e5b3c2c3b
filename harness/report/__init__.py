"""Draws a run record, and it alone: terminal, Markdown, HTML, JUnit and plots.

`write.write_reports` writes all files of a run folder, `terminal.print_report` prints to a console, and
`frames` gives the same figures as pandas frames for a notebook.
"""
