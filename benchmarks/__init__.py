"""The measurements: each bench is one module here, found by its file name. docs/performance.md has the results."""
