"""`loyalty bench`: what the service can do, in ratios to floors that are measured in the same run."""
