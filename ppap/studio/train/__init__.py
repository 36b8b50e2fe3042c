"""The Train page: what it asks of the server, and what scripts may ask."""
