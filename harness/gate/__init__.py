"""Base and head measured in turns: here their services, the load and the verdict are put together."""
