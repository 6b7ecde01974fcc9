"""Made worlds whose answer is known: planted vectors for the audit, synthesised music for the demo."""
