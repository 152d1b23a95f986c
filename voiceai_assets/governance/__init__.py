"""Evidence that can be checked: what a certificate means, whether it still holds, where a number comes from."""
