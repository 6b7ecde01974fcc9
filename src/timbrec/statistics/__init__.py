"""Statistics of rankings: intervals over users and items."""
