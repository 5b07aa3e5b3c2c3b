"""Drives the system under test: Locust users in processes of their own, paced by the plan.

Only the modules that run in a load process import Locust, since that patches the standard library; `driver` and
`loader` run in the command's own process and do not.
"""
