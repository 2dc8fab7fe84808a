"""How the commands `turnike` and `turnike-backoffice` print, and how they end on an error."""
