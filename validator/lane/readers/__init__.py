"""Card readers, a folder each. Each implements ports.Reader; one contract suite runs on all."""
