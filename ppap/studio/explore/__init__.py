"""The Explore page: what it asks of the server, what scripts may ask, and what is drawn."""
