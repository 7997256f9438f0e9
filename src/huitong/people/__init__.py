"""One person, one card: who the patients of all institutions are, and the card they show."""
