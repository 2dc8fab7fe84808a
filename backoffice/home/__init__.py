"""The back office's home: the folder that holds its keys and files, and its configuration."""
