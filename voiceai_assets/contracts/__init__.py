"""What a row of each dataset looks like: the one place from which DDL, parsing and documentation are generated."""
