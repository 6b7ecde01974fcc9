"""Synthetic worlds with a known answer: planted vectors for the audit, synthesised music for the demo."""
