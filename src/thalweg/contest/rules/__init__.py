"""What a task of the contest is: what an entry gets, what it gives, how that is scored, and within which limits."""
