"""`loyalty bench`: what the service can do, in ratios to floors measured in the same run."""
