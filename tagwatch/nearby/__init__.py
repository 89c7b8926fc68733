"""Who was near, from the database: whom the hourly summaries settle, and what is read of the others."""
