"""What bounds on boxes are made of: forms of enclosures, branch and bound, regions of one minimiser."""
