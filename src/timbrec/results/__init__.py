"""Results: from the lists a run stores to figures."""
