"""One study shared by a person by link: who made it, what it opens, for how long, and who opened it."""
