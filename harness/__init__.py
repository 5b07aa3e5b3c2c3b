"""membench: load, measure and judge an agentic memory service."""

__version__ = "0.1.0"
