"""The instrument: schedules, clocks, histograms, scenarios, targets and the run record.

Nothing here knows Locust, HTTP or SQL, and every clock is injected, so that all of it is tested in virtual time.
"""
