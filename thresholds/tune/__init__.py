"""Choosing thresholds: many settings of a rule over many stations and years, scored against events."""
