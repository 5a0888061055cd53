"""The path for blocks of many rows: scans along time in place of one row after the other."""

from thresholds.batch.run import run

__all__ = ["run"]
