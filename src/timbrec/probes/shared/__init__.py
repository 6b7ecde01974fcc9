"""The steps that all probes share: labels, split, heads, metrics and controls."""
