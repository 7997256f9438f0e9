"""Who asks, and may they: turns a calling AE title, a token or an address into a `Work`, the key to every record."""
