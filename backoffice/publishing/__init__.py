"""Publishing: from the registry's states to the signed list that the gates fetch."""
