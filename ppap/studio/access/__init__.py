"""Who may ask the studio for what: hosts, origins, logins, and whose things are whose."""
