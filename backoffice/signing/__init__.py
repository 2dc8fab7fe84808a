"""Keys, roots and roles: who may sign what the gates believe, and by which clock."""
