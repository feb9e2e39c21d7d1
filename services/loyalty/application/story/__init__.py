"""What happened to a member and why, in sentences of several languages."""
